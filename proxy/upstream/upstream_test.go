package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/static"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is a store over a catalogue whose one registry, "r", tests write themselves.
type bed struct {
	*Store
	catalogue *discovery.Catalogue
	t         *testing.T
}

func newBed(t *testing.T) *bed {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	c := discovery.New(logger, nil)
	s := NewStore(logger, c, map[string]Dialer{"http1": HTTP1(), "https": HTTP1(), "dubbo": Dubbo()})
	ctx, cancel := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() { s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		tasks.Wait()
		s.Close(context.Background())
		c.Close()
	})
	return &bed{s, c, t}
}

// set makes the registry hold these services; waiting for it to be seen is the caller's.
func (b *bed) set(services map[string][]static.Instance, dubbo ...static.DubboService) {
	b.t.Helper()
	if err := b.catalogue.Apply(map[string]discovery.Spec{"r": {Config: &static.Config{Services: services, Dubbo: dubbo}}}); err != nil {
		b.t.Fatal(err)
	}
}

func at(addresses ...string) []static.Instance {
	out := make([]static.Instance, len(addresses))
	for i, a := range addresses {
		out[i] = static.Instance{Address: a, Weight: 1}
	}
	return out
}

func key(name string) discovery.Key {
	return discovery.Key{Registry: "r", Service: registry.App(name)}
}

// tries are a route's, with the document's defaults.
func tries(timeout time.Duration, attempts int) Tries {
	var to config.Target
	to.SetDefaults()
	to.Timeout, to.Retries.Attempts = timeout, attempts
	return TriesOf(&to)
}

func defaults() config.Service {
	var s config.Service
	s.SetDefaults()
	return s
}

func (b *bed) acquire(k discovery.Key, settings config.Service) *Service {
	b.t.Helper()
	svc, err := b.Acquire(k, settings)
	if err != nil {
		b.t.Fatal(err)
	}
	return svc
}

// until waits for the service to have n instances.
func until(t *testing.T, svc *Service, n int) {
	t.Helper()
	eventually(t, func() bool { return svc.state.Load().endpoints != nil && len(svc.state.Load().instances) == n })
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not come to be")
		}
	}
}

// ask sends one request and returns the answer's body.
func ask(h protocol.Handler, method string) (string, error) {
	req := &protocol.Request{Method: method, Scheme: "http", Authority: "h", Path: "/", Version: protocol.HTTP11}
	return askWith(h, req)
}

func askWith(h protocol.Handler, req *protocol.Request) (string, error) {
	resp, err := h.Serve(context.Background(), req)
	if err != nil {
		return "", err
	}
	body, err := protocol.ReadAll(nil, resp.Body, 1<<20)
	return fmt.Sprintf("%d %s", resp.Status, body), errors.Join(err, resp.Close())
}

// named starts an HTTP server that answers with its name, and returns its address.
func named(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, name)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// refusing returns an address where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// resetting reads a request and hangs up. It counts the requests.
func resetting(t *testing.T) (address string, seen *atomic.Int32) {
	t.Helper()
	seen = new(atomic.Int32)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if n, _ := c.Read(make([]byte, 4096)); n > 0 {
				seen.Add(1)
			}
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); tasks.Wait() })
	return l.Addr().String(), seen
}

func TestFollowsTheRegistry(t *testing.T) {
	b := newBed(t)
	svc := b.acquire(key("s"), defaults())
	defer b.Release(svc)
	h := NewTarget(svc, tries(0, 0))
	if _, err := ask(h, "GET"); protocol.AsError(err).Code != protocol.CodeNoInstance || !strings.Contains(err.Error(), "not told") {
		t.Errorf("before the registry has spoken: %v", err)
	}
	one, two := named(t, "one"), named(t, "two")
	b.set(map[string][]static.Instance{"s": at(one)})
	until(t, svc, 1)
	if got, err := ask(h, "GET"); got != "200 one" {
		t.Errorf("%q %v", got, err)
	}
	b.set(map[string][]static.Instance{"s": at(two)})
	eventually(t, func() bool { got, _ := ask(h, "GET"); return got == "200 two" })
	b.set(map[string][]static.Instance{})
	until(t, svc, 0)
	_, err := ask(h, "GET")
	if e := protocol.AsError(err); e.Code != protocol.CodeNoInstance || e.Status != 503 || e.RetryAfter <= 0 {
		t.Errorf("without instances: %v", err)
	}
}

func TestRefusedConnectionIsTriedElsewhereWhateverTheMethod(t *testing.T) {
	b := newBed(t)
	b.set(map[string][]static.Instance{"s": at(refusing(t), named(t, "alive"))})
	svc := b.acquire(key("s"), defaults())
	defer b.Release(svc)
	until(t, svc, 2)
	h := NewTarget(svc, tries(0, 1))
	for i := range 50 {
		req := &protocol.Request{Method: "POST", Path: "/", Version: protocol.HTTP11, Body: protocol.NewBytes([]byte("x")), ContentLength: 1}
		if got, err := askWith(h, req); got != "200 alive" {
			t.Fatalf("request %d: %q %v", i, got, err)
		}
		if a := req.Record.Attempts; a < 1 || a > 2 {
			t.Fatalf("%d attempts", a)
		}
	}
	var dead InstanceStatus
	for _, i := range b.Status()[0].Instances {
		if i.Failures > 0 {
			dead = i
		}
	}
	// A failure costs a second of latency, so the dead one is left alone after the first try.
	if dead.Requests == 0 || dead.Requests > 5 || dead.InFlight != 0 {
		t.Errorf("the dead instance: %+v", dead)
	}
}

func TestWhatMayHaveRunIsOnlyRepeatedIfItMayBe(t *testing.T) {
	b := newBed(t)
	bad, seen := resetting(t)
	b.set(map[string][]static.Instance{"s": at(bad)})
	svc := b.acquire(key("s"), defaults())
	defer b.Release(svc)
	until(t, svc, 1)
	h := NewTarget(svc, tries(0, 2))
	_, err := ask(h, "POST")
	if e := protocol.AsError(err); e.Code != protocol.CodeUpstreamReset || e.Status != 502 || seen.Load() != 1 {
		t.Errorf("POST: %v, %d tries", err, seen.Load())
	}
	seen.Store(0)
	if _, err = ask(h, "GET"); protocol.AsError(err).Code != protocol.CodeUpstreamReset || seen.Load() != 3 {
		t.Errorf("GET: %v, %d tries", err, seen.Load())
	}
	seen.Store(0)
	req := &protocol.Request{Method: "GET", Path: "/", Version: protocol.HTTP11, Call: "a call"}
	if _, err = askWith(h, req); seen.Load() > 1 {
		t.Errorf("a transcoded call was repeated: %v", err)
	}
}

func TestTimeoutIsNotRepeated(t *testing.T) {
	b := newBed(t)
	stop := make(chan struct{})
	var n atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { n.Add(1); <-stop }))
	defer s.Close()
	defer close(stop)
	b.set(map[string][]static.Instance{"s": at(s.Listener.Addr().String())})
	svc := b.acquire(key("s"), defaults())
	defer b.Release(svc)
	until(t, svc, 1)
	began := time.Now()
	_, err := ask(NewTarget(svc, tries(100*time.Millisecond, 3)), "GET")
	if e := protocol.AsError(err); e.Code != protocol.CodeUpstreamTimeout || e.Status != 504 {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 5*time.Second || n.Load() != 1 {
		t.Errorf("took %v, %d tries", took, n.Load())
	}
}

func TestTimeoutEndsWithTheHead(t *testing.T) {
	b := newBed(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "a")
		w.(http.Flusher).Flush()
		time.Sleep(400 * time.Millisecond)
		_, _ = io.WriteString(w, "b")
	}))
	defer s.Close()
	b.set(map[string][]static.Instance{"s": at(s.Listener.Addr().String())})
	svc := b.acquire(key("s"), defaults())
	defer b.Release(svc)
	until(t, svc, 1)
	if got, err := ask(NewTarget(svc, tries(200*time.Millisecond, 0)), "GET"); got != "200 ab" || err != nil {
		t.Errorf("%q %v: a body that takes its time is not late", got, err)
	}
}

func TestLoadOutlivesBlipsAndPlans(t *testing.T) {
	b := newBed(t)
	one := named(t, "one")
	b.set(map[string][]static.Instance{"s": at(one)})
	svc := b.acquire(key("s"), defaults())
	until(t, svc, 1)
	if _, err := ask(NewTarget(svc, tries(0, 0)), "GET"); err != nil {
		t.Fatal(err)
	}
	b.set(map[string][]static.Instance{"s": at(refusing(t))})
	eventually(t, func() bool { return svc.state.Load().instances[0].endpoint.ID != one })
	b.set(map[string][]static.Instance{"s": at(one)})
	eventually(t, func() bool { return svc.state.Load().instances[0].endpoint.ID == one })
	if n := svc.state.Load().instances[0].load.Requests(); n != 1 {
		t.Errorf("after a blip %d requests are known, want 1", n)
	}
	// Another treatment is another service, over the same loads.
	settings := defaults()
	settings.Balance.Policy = "roundRobin"
	other := b.acquire(key("s"), settings)
	until(t, other, 1)
	b.Release(svc)
	if other == svc || other.state.Load().instances[0].load.Requests() != 1 {
		t.Error("a plan that treats the service otherwise has forgotten its instances")
	}
	b.Release(other)
	b.forget(time.Now().Add(remember / 2))
	again := b.acquire(key("s"), defaults())
	until(t, again, 1)
	if again.state.Load().instances[0].load.Requests() != 1 {
		t.Error("forgotten too early")
	}
	b.Release(again)
	b.forget(time.Now().Add(2 * remember))
	if len(b.loads) != 0 {
		t.Errorf("%d loads are kept for ever", len(b.loads))
	}
}

func TestAcquireShares(t *testing.T) {
	b := newBed(t)
	one := b.acquire(key("s"), defaults())
	settings := defaults()
	settings.Match.Service = "s*"
	two := b.acquire(key("s"), settings)
	if one != two {
		t.Error("how settings were found makes another service")
	}
	b.Release(one)
	if len(b.list()) != 1 {
		t.Error("released too early")
	}
	b.Release(two)
	if len(b.list()) != 0 {
		t.Error("never released")
	}
	for _, change := range []func(*config.Service){
		func(s *config.Service) { s.Balance.Policy = "fastest" },
		func(s *config.Service) { s.Protocol = "smtp" },
		func(s *config.Service) { s.TLS = &config.UpstreamTLS{CA: filepath.Join(t.TempDir(), "none.pem")} },
		func(s *config.Service) { s.TLS = &config.UpstreamTLS{Cert: "x"} },
		func(s *config.Service) {
			file := filepath.Join(t.TempDir(), "empty.pem")
			_ = os.WriteFile(file, nil, 0o600)
			s.TLS = &config.UpstreamTLS{CA: file}
		},
	} {
		settings := defaults()
		change(&settings)
		if svc, err := b.Acquire(key("s"), settings); err == nil {
			b.Release(svc)
			t.Errorf("%+v was accepted", settings)
		}
	}
}

func TestInstanceOfAnUnknownProtocolIsExcluded(t *testing.T) {
	b := newBed(t)
	b.set(map[string][]static.Instance{"s": {{Address: named(t, "ok"), Weight: 1}, {Address: "127.0.0.1:1", Weight: 1, Protocol: "smtp"}}})
	svc := b.acquire(key("s"), defaults())
	defer b.Release(svc)
	until(t, svc, 1)
	st := svc.status()
	if len(st.Excluded) != 1 || !strings.Contains(st.Excluded[0].Reason, `"smtp" is not one of dubbo, http1, https`) {
		t.Errorf("%+v", st.Excluded)
	}
	if got, err := ask(NewTarget(svc, tries(0, 0)), "GET"); got != "200 ok" {
		t.Errorf("%q %v", got, err)
	}
	b.set(map[string][]static.Instance{"s": {{Address: "127.0.0.1:1", Weight: 1, Protocol: "smtp"}}})
	until(t, svc, 0)
	if _, err := ask(NewTarget(svc, tries(0, 0)), "GET"); !strings.Contains(err.Error(), "speaks a protocol") {
		t.Errorf("%v", err)
	}
}

func TestInFlightUntilTheAnswerIsClosed(t *testing.T) {
	b := newBed(t)
	b.set(map[string][]static.Instance{"s": at(named(t, "x"))})
	svc := b.acquire(key("s"), defaults())
	defer b.Release(svc)
	until(t, svc, 1)
	load := svc.state.Load().instances[0].load
	resp, err := NewTarget(svc, tries(0, 0)).Serve(context.Background(), &protocol.Request{Method: "GET", Path: "/", Version: protocol.HTTP11})
	if err != nil || load.InFlight() != 1 {
		t.Fatalf("%v, %d in flight", err, load.InFlight())
	}
	_ = resp.Close()
	if load.InFlight() != 0 {
		t.Error("still in flight")
	}
}

// panicking is a client with a bug.
type panicking struct{}

func (panicking) Serve(context.Context, *protocol.Request) (*protocol.Response, error) { panic("bug") }
func (panicking) Close(context.Context) error                                          { return nil }

func TestPanicLeavesNoCount(t *testing.T) {
	load := &balance.Load{}
	dialer := &Dialer{Dial: func(*discovery.Endpoint, *Settings, *balance.Load) Client { return panicking{} }}
	i := &instance{endpoint: &discovery.Endpoint{}, service: &Service{}, connector: &connector{store: newBed(t).Store, dialer: dialer}, load: load}
	func() {
		defer func() { _ = recover() }()
		_, _ = i.serve(context.Background(), &protocol.Request{}, protocol.Now())
	}()
	if load.InFlight() != 0 {
		t.Error("a panic left its request in flight")
	}
}

func TestOverloadedAnswersArePriced(t *testing.T) {
	b := newBed(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(503)
	}))
	defer s.Close()
	b.set(map[string][]static.Instance{"s": at(s.Listener.Addr().String())})
	svc := b.acquire(key("s"), defaults())
	defer b.Release(svc)
	until(t, svc, 1)
	if got, err := ask(NewTarget(svc, tries(0, 3)), "GET"); got != "503 " {
		t.Errorf("%q %v: the service's own answer is passed on", got, err)
	}
	i := svc.status().Instances[0]
	if i.Failures != 1 || i.Latency < 6*time.Second {
		t.Errorf("%+v, want a price of 7 s", i)
	}
}

func TestTemplates(t *testing.T) {
	req := &protocol.Request{Params: []protocol.Param{{Name: "team", Value: "a"}, {Name: "svc", Value: "b"}}}
	for in, want := range map[string]string{"{svc}": "b", "x-{team}": "x-a", "{team}/{svc}-v1": "a/b-v1", "{none}x": "x"} {
		tpl, dynamic := ParseTemplate(in)
		if got := tpl.Expand(req); got != want || !dynamic {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	if _, dynamic := ParseTemplate("plain"); dynamic {
		t.Error("a plain name has captures")
	}
}

func TestPartsOfADubboService(t *testing.T) {
	b := newBed(t)
	dubbo := func(group, version, address string) static.DubboService {
		return static.DubboService{Interface: "a.B", Group: group, Version: version, Instances: at(address)}
	}
	b.set(nil, dubbo("g", "1", "127.0.0.1:1"), dubbo("g", "2", "127.0.0.1:2"), dubbo("h", "1", "127.0.0.1:3"))
	svc := b.acquire(discovery.Key{Registry: "r", Service: registry.DubboService("a.B", "*", "*")}, defaults())
	defer b.Release(svc)
	until(t, svc, 3)
	type want struct {
		group, version     string
		groupOK, versionOK bool
	}
	choose := func(w want) (part, error) {
		target := NewPartTarget(svc, tries(0, 0), func(*protocol.Request) (string, bool, string, bool) {
			return w.group, w.groupOK, w.version, w.versionOK
		})
		group, version, err := target.Part(&protocol.Request{})
		return part{group, version}, err
	}
	for w, p := range map[want]part{
		{"g", "1", true, true}:  {"g", "1"},
		{"h", "", true, false}:  {"h", "1"},
		{"", "2", false, true}:  {"g", "2"},
		{"h", "1", true, false}: {"h", "1"},
	} {
		if got, err := choose(w); got != p || err != nil {
			t.Errorf("%+v: %+v %v, want %+v", w, got, err, p)
		}
	}
	for w, status := range map[want]int{
		{}:                      400, // several fit
		{"g", "", true, false}:  400,
		{"x", "", true, false}:  503,
		{"g", "9", true, true}:  503,
		{"", "", true, true}:    503, // empty is a value, and nobody has it
		{"", "1", false, true}:  400,
		{"", "77", false, true}: 503,
	} {
		if got, err := choose(w); err == nil || protocol.AsError(err).Status != status {
			t.Errorf("%+v: %+v %v, want status %d", w, got, err, status)
		}
	}
	b.set(nil, dubbo("", "", "127.0.0.1:1"), dubbo("g", "2", "127.0.0.1:2"))
	until(t, svc, 2)
	if got, err := choose(want{}); err != nil || got != (part{}) {
		t.Errorf("an empty group and version are what a caller gets who names none: %+v %v", got, err)
	}
	if _, _, err := NewTarget(svc, tries(0, 0)).Part(&protocol.Request{}); err == nil {
		t.Error("a plain target has no parts")
	}
}

func TestStatusNamesEverything(t *testing.T) {
	b := newBed(t)
	b.set(map[string][]static.Instance{"s": {
		{Address: "127.0.0.1:1", Weight: 2, Zone: "z"}, {Address: "127.0.0.1:2", Weight: 1, Disabled: true}, {Address: "127.0.0.1:3"},
	}})
	svc := b.acquire(key("s"), defaults())
	defer b.Release(svc)
	until(t, svc, 1)
	st := b.Status()
	if len(st) != 1 || !st[0].Answered || st[0].Policy != "peakEWMA" || st[0].At.IsZero() {
		t.Fatalf("%+v", st)
	}
	var reasons []string
	for _, x := range st[0].Excluded {
		reasons = append(reasons, x.ID+" "+x.Reason)
	}
	slices.Sort(reasons)
	if got := strings.Join(reasons, ", "); got != "127.0.0.1:2 disabled, 127.0.0.1:3 weight 0" {
		t.Error(got)
	}
}

func TestReleaseClosesConnections(t *testing.T) {
	b := newBed(t)
	var open atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
	s.Start()
	defer s.Close()
	b.set(map[string][]static.Instance{"s": at(s.Listener.Addr().String())})
	svc := b.acquire(key("s"), defaults())
	until(t, svc, 1)
	if _, err := ask(NewTarget(svc, tries(0, 0)), "GET"); err != nil {
		t.Fatal(err)
	}
	if open.Load() != 1 {
		t.Fatalf("%d connections are kept, want 1", open.Load())
	}
	b.Release(svc)
	eventually(t, func() bool { return open.Load() == 0 })
}

// TestEventToFirstPick: an instance that joins a known service is timed from the registry's word to its first request, once.
func TestEventToFirstPick(t *testing.T) {
	b := newBed(t)
	b.set(map[string][]static.Instance{"a": at(named(t, "A"))})
	svc := b.acquire(key("a"), defaults())
	defer b.Release(svc)
	until(t, svc, 1)
	h := NewTarget(svc, tries(0, 0))
	if _, err := ask(h, "GET"); err != nil {
		t.Fatal(err)
	}
	if n := observed(t, b.Discovered()); n != 0 {
		t.Errorf("%d observed; what was there before us is no event", n)
	}
	b.set(map[string][]static.Instance{"a": at(named(t, "B"))})
	eventually(t, func() bool { got, _ := ask(h, "GET"); return got == "200 B" })
	for range 5 {
		if _, err := ask(h, "GET"); err != nil {
			t.Fatal(err)
		}
	}
	if n := observed(t, b.Discovered()); n != 1 {
		t.Errorf("%d observed, want the one that joined", n)
	}
}

func observed(t *testing.T, c prometheus.Collector) uint64 {
	t.Helper()
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(c)
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var n uint64
	for _, f := range families {
		for _, m := range f.GetMetric() {
			n += m.GetHistogram().GetSampleCount()
		}
	}
	return n
}
