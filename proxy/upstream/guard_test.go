package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
	"github.com/sluice-gateway/sluice/proxy/outlier"
	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/static"
)

// patient is an instance whose health can be set. It counts its requests, those for its health apart.
type patient struct {
	address       string
	ill           atomic.Bool
	checks, other atomic.Int32
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	p := &patient{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			p.other.Add(1)
			return
		}
		p.checks.Add(1)
		if p.ill.Load() {
			w.WriteHeader(503)
			_, _ = io.WriteString(w, "out of order")
		}
	}))
	t.Cleanup(s.Close)
	p.address = s.Listener.Addr().String()
	return p
}

// checked are settings with quick checks.
func checked(change func(*config.HealthCheck)) config.Service {
	var h config.HealthCheck
	h.SetDefaults()
	h.Kind, h.Path = "http", "/health"
	h.Interval, h.Timeout = 100*time.Millisecond, 100*time.Millisecond
	if change != nil {
		change(&h)
	}
	s := defaults()
	s.HealthCheck = &h
	return s
}

func (b *bed) instance(id string) InstanceStatus {
	for _, s := range b.Status() {
		for _, i := range s.Instances {
			if i.Endpoint.ID == id {
				return i
			}
		}
	}
	return InstanceStatus{}
}

func asks(t *testing.T, h protocol.Handler, n int) {
	t.Helper()
	for range n {
		if got, err := ask(h, "GET"); got != "200 " {
			t.Errorf("%q %v", got, err)
		}
	}
}

func TestTrafficLeavesTheUnhealthy(t *testing.T) {
	b := newBed(t)
	one, two := newPatient(t), newPatient(t)
	settings := checked(nil)
	settings.Balance.Policy = "roundRobin"
	svc := b.over(settings, one.address, two.address)
	h := NewTarget(svc, tries(0, 0))
	asks(t, h, 10)
	if one.other.Load() != 5 {
		t.Errorf("%d of 10 requests", one.other.Load())
	}
	one.ill.Store(true)
	eventually(t, func() bool { return !b.instance(one.address).Health.Healthy })
	was := one.other.Load()
	asks(t, h, 20)
	if n := one.other.Load() - was; n != 0 {
		t.Errorf("%d requests to an unhealthy instance", n)
	}
	if st := b.instance(one.address).Health; st.Error != "answered 503: out of order" || st.Since.IsZero() || b.Status()[0].Panic {
		t.Errorf("%+v", st)
	}
	one.ill.Store(false)
	eventually(t, func() bool { return b.instance(one.address).Health.Healthy })
	asks(t, h, 10)
	if n := one.other.Load() - was; n != 5 {
		t.Errorf("%d of 10 requests after it got well", n)
	}
	if made, failed := b.Checks(); made < 10 || failed < 3 {
		t.Errorf("%d checks, %d failed", made, failed)
	}
}

// TestHealthIsDoubtedWhenAllAreIll: what most checks say at once is more likely wrong than right.
func TestHealthIsDoubtedWhenAllAreIll(t *testing.T) {
	b := newBed(t)
	one, two, three := newPatient(t), newPatient(t), newPatient(t)
	settings := checked(nil)
	settings.Balance.Policy = "roundRobin"
	svc := b.over(settings, one.address, two.address, three.address)
	one.ill.Store(true)
	eventually(t, func() bool { return !b.instance(one.address).Health.Healthy })
	two.ill.Store(true)
	eventually(t, func() bool { return b.Status()[0].Panic })
	asks(t, NewTarget(svc, tries(0, 0)), 9)
	for _, p := range []*patient{one, two, three} {
		if p.other.Load() != 3 {
			t.Errorf("%d of 9 requests", p.other.Load())
		}
	}
	// A registry that takes one of the ill away makes the rest believable again.
	b.set(map[string][]static.Instance{"s": at(one.address, three.address)})
	until(t, svc, 2)
	eventually(t, func() bool { return !b.Status()[0].Panic })
}

func TestNewInstancesWaitForTheirFirstCheck(t *testing.T) {
	b := newBed(t)
	one, two := newPatient(t), newPatient(t)
	two.ill.Store(true)
	settings := checked(func(h *config.HealthCheck) { h.WaitForFirst = true })
	settings.Balance.Policy = "roundRobin"
	svc := b.over(settings, one.address)
	eventually(t, func() bool { return b.instance(one.address).Health.Healthy })
	b.set(map[string][]static.Instance{"s": at(one.address, two.address)})
	until(t, svc, 2)
	asks(t, NewTarget(svc, tries(0, 0)), 10)
	if two.other.Load() != 0 {
		t.Errorf("%d requests to an instance that was never well", two.other.Load())
	}
	two.ill.Store(false)
	eventually(t, func() bool { return b.instance(two.address).Health.Healthy })
	asks(t, NewTarget(svc, tries(0, 0)), 10)
	if two.other.Load() != 5 {
		t.Errorf("%d of 10 requests", two.other.Load())
	}
}

// TestHealthOutlivesPlansAndBlips: whatever is acquired, released or blinks, what is known stays, and nobody is asked twice.
func TestHealthOutlivesPlansAndBlips(t *testing.T) {
	b := newBed(t)
	one, two, three := newPatient(t), newPatient(t), newPatient(t)
	one.ill.Store(true)
	settings := checked(nil)
	svc := b.acquire(key("s"), settings)
	b.set(map[string][]static.Instance{"s": at(one.address, two.address, three.address)})
	until(t, svc, 3)
	eventually(t, func() bool { return !b.instance(one.address).Health.Healthy })
	since := b.instance(one.address).Health.Since

	flags := func(svc *Service) balance.Flags {
		for _, i := range svc.state.Load().instances {
			if i.endpoint.ID == one.address {
				return i.load.Flags()
			}
		}
		return 0
	}
	// Reloads that treat the service otherwise.
	for n := range 20 {
		settings.Balance.SlowStart = time.Duration(n+1) * time.Second
		next := b.acquire(key("s"), settings)
		until(t, next, 3)
		b.Release(svc)
		if svc = next; flags(svc)&balance.Unhealthy == 0 {
			t.Fatal("a reload makes an instance healthy")
		}
	}
	if got := b.instance(one.address).Health; !got.Since.Equal(since) {
		t.Errorf("since %v, was %v", got.Since, since)
	}
	// A blip.
	b.set(map[string][]static.Instance{"s": at(two.address, three.address)})
	until(t, svc, 2)
	checks := one.checks.Load()
	time.Sleep(300 * time.Millisecond)
	if n := one.checks.Load() - checks; n > 1 {
		t.Errorf("%d checks of an instance that has left", n)
	}
	b.set(map[string][]static.Instance{"s": at(one.address, two.address, three.address)})
	until(t, svc, 3)
	if got := b.instance(one.address).Health; flags(svc)&balance.Unhealthy == 0 || !got.Since.Equal(since) {
		t.Errorf("after a blip: %+v", got)
	}
	// Another section of checks goes on from there.
	settings.HealthCheck = checked(func(h *config.HealthCheck) { h.UnhealthyThreshold = 2 }).HealthCheck
	next := b.acquire(key("s"), settings)
	until(t, next, 3)
	b.Release(svc)
	svc = next
	if flags(svc)&balance.Unhealthy == 0 {
		t.Error("another section makes an instance healthy")
	}
	// Without checks nothing is known.
	settings.HealthCheck = nil
	next = b.acquire(key("s"), settings)
	until(t, next, 3)
	b.Release(svc)
	if flags(next) != 0 || b.instance(one.address).Health != nil {
		t.Errorf("without checks: flags %b, %+v", flags(next), b.instance(one.address).Health)
	}
	checks = one.checks.Load()
	time.Sleep(300 * time.Millisecond)
	if n := one.checks.Load() - checks; n > 1 {
		t.Errorf("%d checks that nobody asked for", n)
	}
	b.Release(next)
}

// TestTheNewestPlanChecks: while plans change, instances are checked as the newest says, and in the end as the one that is
// left, whichever came first.
func TestTheNewestPlanChecks(t *testing.T) {
	b := newBed(t)
	one := newPatient(t)
	never := func(path string) config.Service {
		return checked(func(h *config.HealthCheck) { h.Path, h.Interval = path, time.Hour })
	}
	first := b.acquire(key("s"), never("/health"))
	b.set(map[string][]static.Instance{"s": at(one.address)})
	until(t, first, 1)
	made := func() uint64 { return b.instance(one.address).Health.Checks }
	eventually(t, func() bool { return made() == 1 && one.checks.Load() == 1 })
	second := b.acquire(key("s"), never("/other"))
	until(t, second, 1)
	eventually(t, func() bool { return made() == 2 && one.other.Load() == 1 })
	// The first is still there, and a plan goes back to it.
	if again := b.acquire(key("s"), never("/health")); again != first {
		t.Fatal("equal settings make another service")
	}
	// What it learns meanwhile does not make the second's instances be checked by its rule.
	b.set(map[string][]static.Instance{"s": {{Address: one.address, Weight: 1, Protocol: "http1"}}})
	eventually(t, func() bool {
		return first.state.Load().instances[0].endpoint.Protocol == "http1" && second.state.Load().instances[0].endpoint.Protocol == "http1"
	})
	if made() != 2 {
		t.Errorf("%d checks", made())
	}
	b.Release(second)
	eventually(t, func() bool { return made() == 3 && one.checks.Load() == 2 })
	b.Release(first)
	b.Release(first)
}

// TestOneAddressIsCheckedOnce although it serves several groups of a Dubbo service.
func TestOneAddressIsCheckedOnce(t *testing.T) {
	b := newBed(t)
	var dials atomic.Int32
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			dials.Add(1)
			_ = c.Close()
		}
	}()
	defer func() { _ = l.Close(); <-ended }()
	settings := checked(func(h *config.HealthCheck) {
		h.Kind, h.Path, h.Interval, h.Timeout = "tcp", "/", time.Hour, time.Second
	})
	settings.Protocol = "dubbo"
	k := discovery.Key{Registry: "r", Service: registry.DubboService("com.acme.Users", "*", "*")}
	svc := b.acquire(k, settings)
	defer func() { b.Release(svc) }()
	var list []static.DubboService
	for _, group := range []string{"a", "b", "c"} {
		list = append(list, static.DubboService{Interface: "com.acme.Users", Group: group, Instances: at(l.Addr().String())})
	}
	b.set(nil, list...)
	until(t, svc, 3)
	// A first check may be confirmed by a second one soon; three would be three groups'.
	eventually(t, func() bool { return b.instance(l.Addr().String()).Health.Checks >= 1 })
	if checks := int32(b.instance(l.Addr().String()).Health.Checks); dials.Load() > checks+1 || svc.detector == nil || distinct(svc.state.Load().instances) != 1 {
		t.Errorf("%d dials, %d checks, %d instances", dials.Load(), checks, distinct(svc.state.Load().instances))
	}
	b.set(nil, list[:1]...)
	until(t, svc, 1)
	eventually(t, func() bool { // the others leave after the new state is there
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.loads[k][l.Addr().String()].checks == 1
	})
}

func TestOutcomes(t *testing.T) {
	for code, want := range map[protocol.Code]outlier.Outcome{
		protocol.CodeUpstreamConnect: outlier.Failed, protocol.CodeUpstreamReset: outlier.Failed, protocol.CodeUpstreamProtocol: outlier.Failed,
		protocol.CodeUpstreamTimeout: outlier.Failed, protocol.CodeUpstreamBusy: outlier.Unknown, protocol.CodeClientGone: outlier.Unknown,
		protocol.CodeBadRequest: outlier.Unknown, protocol.CodeInternal: outlier.Unknown, protocol.CodeUpstreamException: outlier.Good,
	} {
		if got := fault(protocol.NewError(500, code, "x")); got != want {
			t.Errorf("%s is %d, want %d", code, got, want)
		}
	}
	if fault(errors.New("x")) != outlier.Unknown || fault(context.Canceled) != outlier.Unknown {
		t.Error("any error is the instance's fault")
	}
	for status, want := range map[int]outlier.Outcome{101: outlier.Good, 200: outlier.Good, 499: outlier.Good, 500: outlier.ServerError, 503: outlier.ServerError} {
		if got := outcome(status); got != want {
			t.Errorf("%d is %d, want %d", status, got, want)
		}
	}
}

// ejecting are settings under which a bad instance goes at once and may soon come back.
func ejecting(change func(*config.Outlier)) config.Service {
	s := defaults()
	s.Balance.Policy = "roundRobin"
	s.Outlier.ConsecutiveErrors, s.Outlier.BaseEjection = 2, time.Second
	if change != nil {
		change(&s.Outlier)
	}
	return s
}

func TestBadInstancesAreEjectedAndComeBack(t *testing.T) {
	b := newBed(t)
	bad := newFlaky(t)
	svc := b.over(ejecting(nil), bad.address, named(t, "good"))
	h := NewTarget(svc, tries(0, 1))
	for range 10 {
		if got, err := ask(h, "GET"); got != "200 good" {
			t.Fatalf("%q %v", got, err)
		}
	}
	st := b.instance(bad.address)
	if st.Requests != 2 || !st.Outlier.Ejected || st.Outlier.Reason != outlier.ConsecutiveErrors || b.Status()[0].Ejections[outlier.ConsecutiveErrors] != 1 {
		t.Fatalf("%+v, %+v", st, st.Outlier)
	}
	bad.well.Store(true)
	eventually(t, func() bool {
		_, err := ask(h, "GET")
		return err == nil && !b.instance(bad.address).Outlier.Ejected
	})
	before := bad.seen.Load()
	for range 10 {
		_, _ = ask(h, "GET")
	}
	if n := bad.seen.Load() - before; n != 5 {
		t.Errorf("%d of 10 requests after it came back", n)
	}
	// What breaks in the middle of an answer counts, too.
	bad.well.Store(false)
	bad.half.Store(true)
	eventually(t, func() bool { _, _ = ask(h, "GET"); return b.instance(bad.address).Outlier.Ejected })
}

// flaky answers, hangs up, or hangs up in the middle of its answer.
type flaky struct {
	address    string
	well, half atomic.Bool
	seen       atomic.Int32
}

func newFlaky(t *testing.T) *flaky {
	t.Helper()
	f := &flaky{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		f.seen.Add(1)
		if f.half.Load() {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
		}
		if !f.well.Load() {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(s.Close)
	f.address = s.Listener.Addr().String()
	return f
}

func TestOutlierOff(t *testing.T) {
	b := newBed(t)
	bad, _ := resetting(t)
	good := named(t, "good")
	svc := b.acquire(key("s"), ejecting(nil))
	b.set(map[string][]static.Instance{"s": at(bad, good)})
	until(t, svc, 2)
	for range 10 {
		_, _ = ask(NewTarget(svc, tries(0, 0)), "GET")
	}
	if !b.instance(bad).Outlier.Ejected {
		t.Fatal("not ejected")
	}
	// A plan without frees it, once the plan with it has gone; until then the flag is respected.
	off := ejecting(func(o *config.Outlier) { o.ConsecutiveErrors = 0 })
	next := b.acquire(key("s"), off)
	defer func() { b.Release(next) }()
	until(t, next, 2)
	if next.detector != nil || next.state.Load().instances[0].outlier != nil {
		t.Error("judged although it is off")
	}
	b.Release(svc)
	for _, i := range next.state.Load().instances {
		if i.load.Flags() != 0 {
			t.Errorf("%s is out, and nobody lets it in", i.endpoint.ID)
		}
	}
}

// TestReloadsKeepEjections: plans come and go, the registry blinks, and an ejected instance stays out until its time is over.
func TestReloadsKeepEjections(t *testing.T) {
	b := newBed(t)
	bad, seen := resetting(t)
	all := []string{bad, named(t, "a"), named(t, "b"), named(t, "c")}
	settings := defaults()
	settings.Balance.Policy = "roundRobin"
	svc := b.acquire(key("s"), settings)
	b.set(map[string][]static.Instance{"s": at(all...)})
	until(t, svc, 4)
	for range 40 {
		_, _ = ask(NewTarget(svc, tries(0, 0)), "GET")
	}
	st := b.instance(bad).Outlier
	if !st.Ejected || seen.Load() != 5 {
		t.Fatalf("%+v after %d requests", st, seen.Load())
	}
	for n := range 30 {
		settings.Connections.Max = n + 10
		next := b.acquire(key("s"), settings)
		until(t, next, 4)
		b.Release(svc)
		svc = next
		if n%5 == 4 {
			b.set(map[string][]static.Instance{"s": at(all[1:]...)})
			until(t, svc, 3)
			b.set(map[string][]static.Instance{"s": at(all...)})
			until(t, svc, 4)
		}
		for range 10 {
			if got, err := ask(NewTarget(svc, tries(0, 0)), "GET"); err != nil {
				t.Fatalf("reload %d: %q %v", n, got, err)
			}
		}
	}
	now := b.instance(bad).Outlier
	if !now.Ejected || now.Until.Sub(st.Until).Abs() > 10*time.Millisecond || seen.Load() != 5 {
		t.Errorf("%+v, was %+v, %d requests", now, st, seen.Load())
	}
	b.Release(svc)
	b.forget(time.Now().Add(2 * remember))
	if len(b.groups) != 0 || len(b.loads) != 0 {
		t.Errorf("%d groups and %d loads are kept for ever", len(b.groups), len(b.loads))
	}
}

// TestTheOnlyInstanceStays: the only instance of a service is never out, however bad it is.
func TestTheOnlyInstanceStays(t *testing.T) {
	b := newBed(t)
	bad, _ := resetting(t)
	svc := b.over(ejecting(nil), bad)
	for range 20 {
		if _, err := ask(NewTarget(svc, tries(0, 0)), "GET"); err == nil || strings.Contains(err.Error(), "no_instance") {
			t.Fatal(err)
		}
	}
	if st := b.instance(bad); st.Outlier.Ejected || st.Outlier.Errors != 20 || b.Status()[0].Panic {
		t.Errorf("%+v", st.Outlier)
	}
}
