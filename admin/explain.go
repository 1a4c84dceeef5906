package admin

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy"
	"github.com/sluice-gateway/sluice/proxy/upstream"
	"github.com/sluice-gateway/sluice/telemetry"
)

// The bounds of questions about the past.
const (
	rememberedByID = 10
	rememberedMost = 100
)

// explain tells what would become of a request, or what became of one.
//
//	?method=GET&url=http://shop.example.com/orders/1&header=X-A:b&header=...&client=10.0.0.1
//	?request=ID
//	?failed=20
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	switch {
	case query.Has("request"):
		s.remembered(w, query.Get("request"))
	case query.Has("failed"):
		n, err := strconv.Atoi(query.Get("failed"))
		if err != nil || n < 1 {
			writeText(w, http.StatusBadRequest, "failed: how many, from 1\n")
			return
		}
		recent := s.gateway.Recent()
		writeJSON(w, http.StatusOK, rememberedOf(recent, recent.Failed(min(n, rememberedMost))))
	default:
		q, err := question(query)
		if err != nil {
			writeText(w, http.StatusBadRequest, err.Error()+"\n")
			return
		}
		s.explaining.Lock() // one at a time: traffic has the other processors
		defer s.explaining.Unlock()
		x, err := s.gateway.Explain(q)
		if err != nil {
			writeText(w, http.StatusBadRequest, err.Error()+"\n")
			return
		}
		writeJSON(w, http.StatusOK, explanationOf(x))
	}
}

// remembered answers for one id.
func (s *Server) remembered(w http.ResponseWriter, id string) {
	recent := s.gateway.Recent()
	switch {
	case id == "":
		writeText(w, http.StatusBadRequest, "request: the X-Request-Id of a request\n")
		return
	case recent.Size() == 0:
		writeText(w, http.StatusNotFound, "no request is remembered: admin.recent is 0\n")
		return
	}
	found := recent.Find(id, rememberedByID)
	if len(found) == 0 {
		writeText(w, http.StatusNotFound, fmt.Sprintf("no request with this X-Request-Id is among the last %d that are remembered\n", recent.Size()))
		return
	}
	writeJSON(w, http.StatusOK, rememberedOf(recent, found))
}

func question(query url.Values) (proxy.Question, error) {
	q := proxy.Question{Method: cmp.Or(query.Get("method"), "GET"), URL: query.Get("url")}
	if q.URL == "" {
		return q, fmt.Errorf("url: is missing; ask for ?method=GET&url=http://host/path&header=Name:value, for ?request=ID, or for ?failed=20")
	}
	for _, line := range query["header"] {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return q, fmt.Errorf("header: %q is not NAME:VALUE", line)
		}
		q.Header = append(q.Header, protocol.Field{Name: name, Value: strings.TrimSpace(value)})
	}
	if client := query.Get("client"); client != "" {
		var err error
		if q.Client, err = netip.ParseAddr(client); err != nil {
			return q, fmt.Errorf("client: %w", err)
		}
	}
	return q, nil
}

func explanationOf(x *proxy.Explanation) Explanation {
	doc := Explanation{
		Request: ExplainedRequest{x.Method, x.Host, x.Path, x.Query}, Matched: x.Won, Answer: answerOf(x.Refused),
		Candidates: []Candidate{}, Routes: x.Routes,
	}
	for i, c := range x.Candidates {
		doc.Candidates = append(doc.Candidates, Candidate{
			Name: c.Config.Name, Position: c.Config.Pos.String(), Hosts: c.Config.Match.Hosts, Path: c.Config.Match.Path,
			Won: x.Won && i == 0, Behind: c.Behind, Failed: string(c.Failed), Of: c.Name, Wanted: c.Wanted, Seen: c.Seen,
		})
	}
	if !x.Won {
		return doc
	}
	doc.Route = explainedRoute(&x.Route)
	for i := range x.Targets {
		doc.Targets = append(doc.Targets, destinationOf(&x.Targets[i]))
	}
	return doc
}

func answerOf(e *protocol.Error) *Answer {
	if e == nil {
		return nil
	}
	return &Answer{e.Status, string(e.Code), e.Message, e.Allow}
}

func explainedRoute(r *proxy.ExplainedRoute) *ExplainedRoute {
	c := r.Config
	out := &ExplainedRoute{
		Name: c.Name, Position: c.Pos.String(), Hosts: c.Match.Hosts, Path: c.Match.Path, Preflight: r.Preflight, To: target(c.To),
		InFlight: r.InFlight, Requests: r.Requests, Earlier: r.Earlier,
	}
	for _, p := range r.Params {
		out.Captures = append(out.Captures, Capture{p.Name, p.Value})
	}
	for _, f := range c.Filters {
		out.Filters = append(out.Filters, f.Name)
	}
	if f := c.FlowControl; f != nil {
		out.FlowControl = &FlowControl{f.QPS, f.Concurrency}
	}
	if to := c.To; to != nil {
		if len(to.Split) > 0 {
			out.To = fmt.Sprintf("split in %d", len(to.Split))
		}
		out.Timeout = duration(to.Timeout)
		if to.Retries.Attempts > 0 {
			out.Retries = &Retries{to.Retries.Attempts, to.Retries.On, duration(to.Retries.PerTry), to.Retries.Idempotent}
		}
	}
	return out
}

func duration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func destinationOf(t *proxy.ExplainedTarget) Destination {
	out := Destination{
		Service: t.Key.Service.String(), Registry: t.Key.Registry, LastError: t.Registry.LastError, Share: t.Share, Mirror: t.Mirror,
		Group: t.Group, Version: t.Version, Subset: t.Subset, Unfit: t.Unfit, Answer: answerOf(t.Refused), Unwatched: t.Unwatched,
		Policy: t.Policy, Keyed: t.Keyed, Stuck: t.Stuck, Answered: t.Answered, Stale: t.Stale, LastChange: when(t.At), Panic: t.Ignored.String(),
		Total: t.Total, Instances: []Instance{}, ExcludedTotal: t.ExcludedTotal, Skipped: t.Skipped,
	}
	if t.Hedged {
		out.Hedge = "at p95"
		if t.HedgeDelay > 0 {
			out.Hedge = t.HedgeDelay.Round(10 * time.Microsecond).String()
		}
	}
	if t.Registry.Name != "" {
		out.RegistryState = t.Registry.Word()
	}
	several := slices.ContainsFunc(t.Instances, func(i upstream.InstanceView) bool { return i.TierShare < 1 })
	for i := range t.Instances {
		out.Instances = append(out.Instances, explainedInstance(&t.Instances[i], several))
	}
	for _, x := range t.Excluded {
		out.Excluded = append(out.Excluded, excludedDoc{x.ID, x.Source, x.Reason})
	}
	if l := t.Limits; l != nil {
		out.Limits = &ServiceLimits{l.Rule.Service, l.Rule.Instance, l.Rule.Adaptive, l.Rule.Queue, l.InFlight, l.Waiting}
	}
	if t.Policy != "" {
		b := t.Budget
		out.RetryBudget = &ServiceRetries{b.Rule.Share, b.Rule.MinPerSecond, rounded(b.Left), b.Granted, b.Refused}
	}
	return out
}

func explainedInstance(i *upstream.InstanceView, tiers bool) Instance {
	out := Instance{
		instanceDoc: instanceOf(i.InstanceStatus), Chance: rounded(i.Chance), Share: rounded(i.Share), Price: rounded(i.Price), Warm: rounded(i.Warm),
		Limit: i.Limit,
	}
	if flags := i.Flags.String(); flags != "" {
		out.Flags = strings.Split(flags, ", ")
	}
	if tiers {
		out.Tier = &Tier{i.Tier.Level, i.Tier.Zone, i.Tier.Local, rounded(i.TierShare)}
	}
	return out
}

// rounded keeps three places of what JSON can hold.
func rounded(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return math.Round(f*1000) / 1000
}

func rememberedOf(recent *telemetry.Recent, found []telemetry.Exchange) Remembered {
	doc := Remembered{Size: recent.Size(), Requests: []Exchange{}}
	for i := range found {
		doc.Requests = append(doc.Requests, exchangeOf(&found[i]))
	}
	return doc
}

func exchangeOf(x *telemetry.Exchange) Exchange {
	out := Exchange{
		RequestID: x.ID, Time: x.Start, Method: x.Method, Host: x.Host, Path: x.Path, PathCut: x.PathCut, Status: x.Status,
		DurationMs: milliseconds(x.Duration), Route: x.Route, Service: x.Service, Attempts: x.Attempts, Code: string(x.Code), Error: x.Err,
	}
	for _, t := range x.Earlier {
		out.Tries = append(out.Tries, ExchangeTry{t.Instance, t.Status, string(t.Code), milliseconds(time.Duration(t.Nanos))})
	}
	if x.Attempts > 0 {
		last := ExchangeTry{Instance: x.Instance, Code: string(x.Code), Ms: milliseconds(x.Upstream)}
		if x.Code == "" {
			last.Status = x.Status
		}
		out.Tries = append(out.Tries, last)
	}
	return out
}
