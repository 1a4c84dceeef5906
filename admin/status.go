package admin

import (
	"math"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/proxy"
	"github.com/sluice-gateway/sluice/proxy/upstream"
)

// The answer of /api/v1/status. Its names are stable; members may be added.
type (
	statusDoc struct {
		Version    string        `json:"version"`
		Started    time.Time     `json:"started"`
		Ready      bool          `json:"ready"`
		Waiting    []string      `json:"waiting,omitempty"`
		Plan       planDoc       `json:"plan"`
		Listeners  []listenerDoc `json:"listeners"`
		Registries []registryDoc `json:"registries"`
		Routes     []routeDoc    `json:"routes"`
		Services   []serviceDoc  `json:"services"`
		// Registrations are the gateway's own.
		Registrations []registrationDoc `json:"registrations,omitempty"`
		Refused       []refusedRoute    `json:"refusedRoutes,omitempty"`
	}
	planDoc struct {
		Applied time.Time `json:"applied"`
		Age     string    `json:"age"`
		// Rejected is why a newer document is not in force.
		Rejected   string     `json:"rejected,omitempty"`
		RejectedAt *time.Time `json:"rejectedAt,omitempty"`
	}
	listenerDoc struct {
		Name        string `json:"name"`
		Address     string `json:"address"`
		Connections int    `json:"connections"`
		// HTTP2 counts those of the connections that speak HTTP/2.
		HTTP2    int    `json:"http2Connections,omitempty"`
		Idle     int    `json:"idle"`
		Parked   int    `json:"parked"`
		InFlight int    `json:"inFlight"`
		Rejected uint64 `json:"rejectedRequests"`
	}
	registryDoc struct {
		Name string `json:"name"`
		// Members are those of a merged registry.
		Members []string `json:"members,omitempty"`
		// State is connecting, live, stale (it was live, and what is known of it may be old) or down (it never answered).
		State       string     `json:"state"`
		Since       time.Time  `json:"since"`
		LastPush    *time.Time `json:"lastPush,omitempty"`
		LastPushAge string     `json:"lastPushAge,omitempty"`
		LastError   string     `json:"lastError,omitempty"`
		LastErrorAt *time.Time `json:"lastErrorAt,omitempty"`
		Services    int        `json:"services"`
		Usable      int        `json:"usable"`
		// Held are those of the usable that the registry has dropped, which is doubted.
		Held     int      `json:"held,omitempty"`
		Excluded int      `json:"excluded,omitempty"`
		Skipped  int      `json:"skipped,omitempty"`
		Kept     *keptDoc `json:"kept,omitempty"`
	}
	// keptDoc is what is on disk of a registry.
	keptDoc struct {
		File string `json:"file"`
		// Serving is true while services are served by what was read from it; LoadedFrom is when that was true.
		Serving    bool       `json:"serving"`
		LoadedFrom *time.Time `json:"loadedFrom,omitempty"`
		Written    *time.Time `json:"written,omitempty"`
		Bytes      int64      `json:"bytes,omitempty"`
		Error      string     `json:"error,omitempty"`
	}
	registrationDoc struct {
		Registry    string     `json:"registry"`
		Service     string     `json:"service"`
		Address     string     `json:"address"`
		ID          string     `json:"id"`
		Announced   bool       `json:"announced"`
		Since       time.Time  `json:"since"`
		LastError   string     `json:"lastError,omitempty"`
		LastErrorAt *time.Time `json:"lastErrorAt,omitempty"`
	}
	routeDoc struct {
		Name     string   `json:"name"`
		Position string   `json:"position"`
		Hosts    []string `json:"hosts,omitempty"`
		Methods  []string `json:"methods,omitempty"`
		Path     string   `json:"path"`
		Filters  []string `json:"filters,omitempty"`
		To       string   `json:"to,omitempty"`
		Requests uint64   `json:"requests"`
		InFlight int64    `json:"inFlight"`
		// Earlier is true when the newest version of the route was refused and this is the one before.
		Earlier bool `json:"earlierVersion,omitempty"`
	}
	refusedRoute struct {
		Name     string   `json:"name"`
		Position string   `json:"position"`
		Problems []string `json:"problems"`
	}
	serviceDoc struct {
		Name     string `json:"name"`
		Registry string `json:"registry"`
		Kind     string `json:"kind"`
		Policy   string `json:"policy"`
		Answered bool   `json:"answered"`
		// Stale is true while it is served by what was kept on disk.
		Stale bool `json:"stale,omitempty"`
		// Panic is true while so many instances are unhealthy or ejected that this is ignored.
		Panic bool `json:"panic,omitempty"`
		// LastChange is when the registry told something new of it.
		LastChange *time.Time    `json:"lastChange,omitempty"`
		Instances  []instanceDoc `json:"instances"`
		Excluded   []excludedDoc `json:"excluded,omitempty"`
		Skipped    int           `json:"skipped,omitempty"`
		// SkippedEntries name some of the entries that make no sense.
		SkippedEntries []string `json:"skippedEntries,omitempty"`
	}
	instanceDoc struct {
		Address string `json:"address"`
		// Source is the registry that describes it; in a merged one, which member.
		Source string `json:"source"`
		// Held says why it is used although the registry has dropped it.
		Held     *heldDoc          `json:"held,omitempty"`
		Protocol string            `json:"protocol,omitempty"`
		Weight   float64           `json:"weight"`
		Zone     string            `json:"zone,omitempty"`
		Group    string            `json:"group,omitempty"`
		Version  string            `json:"version,omitempty"`
		Metadata map[string]string `json:"metadata,omitempty"`
		Draining bool              `json:"draining,omitempty"`
		InFlight int64             `json:"inFlight"`
		Requests uint64            `json:"requests"`
		Failures uint64            `json:"failures"`
		// LatencyMs is the peak moving average that balancing goes by.
		LatencyMs float64 `json:"latencyMs"`
		// Health is there for an instance that is checked, Outlier for one whose last requests failed, or that was ejected.
		Health  *healthDoc  `json:"health,omitempty"`
		Outlier *outlierDoc `json:"outlier,omitempty"`
	}
	// healthDoc holds two opinions. Balancing goes by both.
	healthDoc struct {
		// Registry is healthy, or dropped or unhealthy for an instance that is held.
		Registry string `json:"registry"`
		// Checks is healthy or unhealthy; "assumed healthy" and "not passed yet" before the first verdict.
		Checks string     `json:"checks"`
		Since  *time.Time `json:"since,omitempty"`
		// Made is how many checks there were, and Row how many of the last had the same result.
		Made      uint64     `json:"made"`
		Row       int        `json:"row"`
		LastCheck *time.Time `json:"lastCheck,omitempty"`
		TookMs    float64    `json:"tookMs"`
		// Failing is why the last check failed, LastError why any did.
		Failing     string     `json:"failing,omitempty"`
		LastError   string     `json:"lastError,omitempty"`
		LastErrorAt *time.Time `json:"lastErrorAt,omitempty"`
	}
	outlierDoc struct {
		Ejected bool       `json:"ejected"`
		Reason  string     `json:"reason,omitempty"`
		Detail  string     `json:"detail,omitempty"`
		Since   *time.Time `json:"since,omitempty"`
		// Until a request may try it again; in the past while that is awaited.
		Until *time.Time `json:"until,omitempty"`
		Times int        `json:"times,omitempty"`
		// Errors since the last success.
		Errors int `json:"errors,omitempty"`
	}
	heldDoc struct {
		Reason string    `json:"reason"`
		Since  time.Time `json:"since"`
		Until  time.Time `json:"until"`
	}
	excludedDoc struct {
		Address string `json:"address"`
		Source  string `json:"source"`
		Reason  string `json:"reason"`
	}
)

func statusOf(st proxy.Status, version string, now time.Time) statusDoc {
	doc := statusDoc{
		Version: version, Started: st.Started, Ready: st.Ready, Waiting: st.Waiting,
		Plan:      planDoc{Applied: st.Applied, Age: age(now, st.Applied), Rejected: st.Rejected, RejectedAt: when(st.RejectedAt)},
		Listeners: []listenerDoc{}, Registries: []registryDoc{}, Routes: []routeDoc{}, Services: []serviceDoc{},
	}
	for _, l := range st.Listeners {
		doc.Listeners = append(doc.Listeners, listenerDoc{
			Name: l.Name, Address: l.Address, Connections: l.Stats.Open + l.HTTP2.Open, HTTP2: l.HTTP2.Open,
			Idle: l.Stats.Idle + l.HTTP2.Idle, Parked: l.Stats.Parked + l.HTTP2.Parked,
			InFlight: l.Stats.InFlight + l.HTTP2.InFlight, Rejected: l.Stats.Rejected + l.HTTP2.Rejected,
		})
	}
	for _, r := range st.Registries {
		doc.Registries = append(doc.Registries, registryOf(&r, now))
	}
	for _, a := range st.Announcements {
		doc.Registrations = append(doc.Registrations, registrationDoc{
			Registry: a.Registry, Service: a.Service.String(), Address: a.Address, ID: a.ID, Announced: a.Announced, Since: a.Since,
			LastError: a.LastError, LastErrorAt: when(a.LastErrorAt),
		})
	}
	for _, r := range st.Routes {
		doc.Routes = append(doc.Routes, routeOf(r))
	}
	for _, r := range st.Refused {
		out := refusedRoute{Name: r.Name, Position: r.Pos.String()}
		for _, p := range r.Problems {
			out.Problems = append(out.Problems, p.Error())
		}
		doc.Refused = append(doc.Refused, out)
	}
	for _, s := range st.Services {
		doc.Services = append(doc.Services, serviceOf(s))
	}
	return doc
}

func registryOf(r *discovery.RegistryStatus, now time.Time) registryDoc {
	doc := registryDoc{
		Name: r.Name, Members: r.Members, State: r.Word(), Since: r.Since, LastPush: when(r.LastPush), LastPushAge: age(now, r.LastPush),
		LastError: r.LastError, LastErrorAt: when(r.LastErrorAt),
		Services: r.Counts.Services, Usable: r.Counts.Usable, Held: r.Counts.Held, Excluded: r.Counts.Excluded, Skipped: r.Counts.Skipped,
	}
	if k := r.Kept; k.File != "" || k.Error != "" {
		doc.Kept = &keptDoc{k.File, k.Serving, when(k.LoadedFrom), when(k.Written), k.Size, k.Error}
	}
	return doc
}

func routeOf(r proxy.RouteStatus) routeDoc {
	out := routeDoc{
		Name: r.Config.Name, Position: r.Config.Pos.String(), Hosts: r.Config.Match.Hosts, Methods: r.Config.Match.Methods,
		Path: r.Config.Match.Path, To: target(r.Config.To), Requests: r.Requests, InFlight: r.InFlight, Earlier: r.Earlier,
	}
	for _, f := range r.Config.Filters {
		out.Filters = append(out.Filters, f.Name)
	}
	return out
}

// target is where a route goes, in a few words.
func target(to *config.Target) string {
	if to == nil {
		return ""
	}
	var b strings.Builder
	if d := to.Dubbo; d != nil {
		b.WriteString("dubbo ")
		if d.Group != "" {
			b.WriteString(d.Group + "/")
		}
		b.WriteString(d.Interface)
		if d.Version != "" {
			b.WriteString(":" + d.Version)
		}
		b.WriteString("." + d.Method)
	} else {
		b.WriteString(to.Service)
	}
	if to.Registry != "" {
		b.WriteString("@" + to.Registry)
	}
	return b.String()
}

func serviceOf(s upstream.ServiceStatus) serviceDoc {
	out := serviceDoc{
		Name: s.Key.Service.String(), Registry: s.Key.Registry, Kind: s.Key.Service.Kind.String(), Policy: s.Policy,
		Answered: s.Answered, Stale: s.Stale, LastChange: when(s.At), Instances: []instanceDoc{}, Skipped: s.Skipped, SkippedEntries: s.SkippedEntries,
		Panic: s.Panic,
	}
	for _, i := range s.Instances {
		out.Instances = append(out.Instances, instanceOf(i))
	}
	for _, x := range s.Excluded {
		out.Excluded = append(out.Excluded, excludedDoc{x.ID, x.Source, x.Reason})
	}
	return out
}

func instanceOf(i upstream.InstanceStatus) instanceDoc {
	e := &i.Endpoint
	var held *heldDoc
	if e.Held != nil {
		held = &heldDoc{e.Held.Reason, e.Held.Since, e.Held.Until}
	}
	return instanceDoc{
		Address: e.ID, Source: e.Source, Held: held, Protocol: e.Protocol, Weight: e.Weight, Zone: e.Zone, Group: e.Group, Version: e.Version,
		Metadata: visible(e), Draining: i.Draining, InFlight: i.InFlight, Requests: i.Requests, Failures: i.Failures,
		LatencyMs: milliseconds(i.Latency), Health: healthOf(i), Outlier: outlierOf(i),
	}
}

func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}

func healthOf(i upstream.InstanceStatus) *healthDoc {
	h := i.Health
	if h == nil {
		return nil
	}
	doc := &healthDoc{
		Registry: "healthy", Since: when(h.Since), Made: h.Checks, Row: h.Row, LastCheck: when(h.At), TookMs: milliseconds(h.Took),
		Failing: h.Error, LastError: h.LastError, LastErrorAt: when(h.LastErrorAt),
	}
	switch {
	case i.Endpoint.Unhealthy:
		doc.Registry = "unhealthy"
	case i.Endpoint.Held != nil:
		doc.Registry = "dropped"
	}
	switch {
	case h.Since.IsZero() && h.Healthy:
		doc.Checks = "assumed healthy"
	case h.Since.IsZero() && !h.Healthy:
		doc.Checks = "not passed yet"
	case h.Healthy:
		doc.Checks = "healthy"
	default:
		doc.Checks = "unhealthy"
	}
	return doc
}

func outlierOf(i upstream.InstanceStatus) *outlierDoc {
	o := i.Outlier
	if o == nil || !o.Ejected && o.Times == 0 && o.Errors == 0 {
		return nil
	}
	return &outlierDoc{
		Ejected: o.Ejected, Reason: string(o.Reason), Detail: o.Detail, Since: when(o.Since), Until: when(o.Until),
		Times: o.Times, Errors: o.Errors,
	}
}

// visible leaves out what nobody reads on a status page: Dubbo's long lists of methods.
func visible(e *discovery.Endpoint) map[string]string {
	const long = 200
	out := make(map[string]string, len(e.Metadata))
	for k, v := range e.Metadata {
		if len(v) <= long {
			out[k] = v
		}
	}
	return out
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func age(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return now.Sub(t).Round(time.Millisecond).String()
}
