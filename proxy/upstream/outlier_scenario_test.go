package upstream

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
)

// The scenarios of this file have 20 instances, of which some are bad, and closed-loop clients.
const (
	scenarioClients = 8
	scenarioTimeout = time.Second
)

// frozen takes connections and requests, and never answers. It notes when requests came.
type frozen struct {
	address string
	seen    atomic.Int32
}

func newFrozen(t *testing.T) *frozen {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &frozen{address: l.Addr().String()}
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			tasks.Go(func() {
				defer c.Close()
				if n, _ := c.Read(make([]byte, 4096)); n > 0 {
					f.seen.Add(1)
				}
				_, _ = io.Copy(io.Discard, c)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); tasks.Wait() })
	return f
}

// mortal is an instance that is killed every second, and there again a moment later.
func newMortal(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	stop := make(chan struct{})
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })}
			tasks.Go(func() { _ = s.Serve(l) })
			select {
			case <-stop:
				_ = s.Close()
				return
			case <-time.After(time.Second):
			}
			_ = s.Close() // with its connections, as a kill does
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
			for l, err = net.Listen("tcp", address); err != nil; l, err = net.Listen("tcp", address) {
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		}
	})
	t.Cleanup(func() { close(stop); tasks.Wait() })
	return address
}

// result is what clients saw.
type result struct {
	requests int
	// failed at the bad instance, and elsewhere: a machine that is busy with other things may stand still for a second.
	failed, elsewhere int
	begun             []time.Duration // when those that failed at the bad instance began
}

// drive sends requests until there were n and least has passed.
func drive(h protocol.Handler, bad string, n int, least time.Duration) (r result) {
	var mu sync.Mutex
	var sent atomic.Int64
	var clients sync.WaitGroup
	began := time.Now()
	for range scenarioClients {
		clients.Go(func() {
			for sent.Add(1) <= int64(n) || time.Since(began) < least {
				req := &protocol.Request{Method: "GET", Scheme: "http", Authority: "h", Path: "/", Version: protocol.HTTP11}
				start := time.Since(began)
				_, err := askWith(h, req)
				mu.Lock()
				r.requests++
				switch {
				case err == nil:
				case req.Record.Instance == bad:
					r.failed++
					r.begun = append(r.begun, start)
				default:
					r.elsewhere++
				}
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	return r
}

// want complains of more failures than most at the bad instance, or more than one in a thousand elsewhere.
func (r *result) want(t *testing.T, name string, most int) {
	t.Helper()
	t.Logf("%s: %d of %d failed, and %d elsewhere", name, r.failed, r.requests, r.elsewhere)
	if r.failed > most || 1000*r.elsewhere > r.requests {
		t.Errorf("%s: %d of %d failed, at most %d may, and %d elsewhere", name, r.failed, r.requests, most, r.elsewhere)
	}
}

// hosts are n good instances and the bad ones.
func hosts(t *testing.T, n int, bad ...string) []string {
	t.Helper()
	all := bad
	for range n {
		all = append(all, named(t, "ok"))
	}
	return all
}

func policy(name string) config.Service {
	s := defaults()
	s.Balance.Policy = name
	return s
}

// scenarioPolicies are those that look at what instances have shown, and those that do not. One of each has to do with
// the race detector, and for the short form.
func scenarioPolicies(t *testing.T) []string {
	t.Helper()
	if raceEnabled || testing.Short() {
		return []string{"peakEWMA", "roundRobin"}
	}
	return []string{"peakEWMA", "roundRobin", "leastRequest", "random"}
}

// TestFastFailingHost: one of 20 hangs up at once, which attracts whoever goes by latency or queue alone.
func TestFastFailingHost(t *testing.T) {
	for _, name := range scenarioPolicies(t) {
		b := newBed(t)
		bad, _ := resetting(t)
		svc := b.over(policy(name), hosts(t, 19, bad)...)
		r := drive(NewTarget(svc, tries(scenarioTimeout, 0)), bad, 13_000, 0)
		r.want(t, name+" without retries", r.requests/1000)
		r = drive(NewTarget(svc, tries(scenarioTimeout, 1)), bad, 1000, 0)
		r.want(t, name+" with one retry", 0)
	}
}

// TestFastFailingHostFromTheStart is met by requests with retries before anything is known of it.
func TestFastFailingHostFromTheStart(t *testing.T) {
	for _, name := range scenarioPolicies(t) {
		b := newBed(t)
		bad, _ := resetting(t)
		svc := b.over(policy(name), hosts(t, 19, bad)...)
		r := drive(NewTarget(svc, tries(scenarioTimeout, 1)), bad, 1500, 0)
		r.want(t, name+" with one retry", 0)
	}
}

// TestFrozenHost: traffic leaves a host that takes everything and never answers within a second of the timeout.
func TestFrozenHost(t *testing.T) {
	for _, name := range scenarioPolicies(t) {
		b := newBed(t)
		bad := newFrozen(t)
		svc := b.over(policy(name), hosts(t, 19, bad.address)...)
		r := drive(NewTarget(svc, tries(scenarioTimeout, 0)), bad.address, 0, 4*time.Second)
		// Each client may meet it once, and some again until five in a row have timed out.
		r.want(t, name, 3*scenarioClients)
		late := 0
		for _, at := range r.begun {
			if at > scenarioTimeout+time.Second {
				late++
			}
		}
		// Policies that see the requests that wait there, or the price of a timeout, send hardly any; so it takes longer until
		// there were five in a row.
		if blind := name == "roundRobin" || name == "random"; blind && late > 0 || late > 3 {
			t.Errorf("%s: %d requests went to the frozen host later than a second after the first had timed out", name, late)
		}
	}
}

// TestMortalHost: one of 20 is killed every second.
func TestMortalHost(t *testing.T) {
	for _, name := range scenarioPolicies(t) {
		b := newBed(t)
		bad := newMortal(t)
		svc := b.over(policy(name), hosts(t, 19, bad)...)
		r := drive(NewTarget(svc, tries(scenarioTimeout, 0)), bad, 0, 3*time.Second)
		// Those that are under way when it is killed, and those that find nobody until it is ejected.
		r.want(t, name+" without retries", 3*(scenarioClients+5))
		r = drive(NewTarget(svc, tries(scenarioTimeout, 1)), bad, 0, 2*time.Second)
		r.want(t, name+" with one retry", 0)
	}
}

// TestAllThreeAtOnce, and plans that change all the time: who is bad stays out, and requests with retries do not notice.
func TestAllThreeAtOnce(t *testing.T) {
	b := newBed(t)
	hasty, _ := resetting(t)
	bad, mortal := newFrozen(t), newMortal(t)
	settings := policy("peakEWMA")
	settings.RetryBudget.MinPerSecond = 50 // a request may meet all three before anything is known
	svc := b.over(settings, hosts(t, 17, hasty, bad.address, mortal)...)
	to := config.Target{}
	to.SetDefaults()
	to.Timeout = 4 * scenarioTimeout
	to.Retries.On, to.Retries.PerTry, to.Retries.Attempts = append(to.Retries.On, "timeout"), scenarioTimeout, 3
	stop := make(chan struct{})
	var current atomic.Pointer[Target]
	current.Store(NewTarget(svc, TriesOf(&to)))
	var reloads sync.WaitGroup
	reloads.Go(func() {
		var old []*Service
		for n := 1; ; n++ {
			select {
			case <-stop:
				for _, s := range old {
					b.Release(s)
				}
				return
			case <-time.After(20 * time.Millisecond):
			}
			settings.Connections.Max = 1000 + n
			next, err := b.Acquire(key("s"), settings)
			if err != nil {
				t.Error(err)
				return
			}
			<-next.Answered()
			current.Store(NewTarget(next, TriesOf(&to)))
			if old = append(old, next); len(old) > 30 { // long after its last request
				b.Release(old[0])
				old = old[1:]
			}
		}
	})
	h := protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		return current.Load().Serve(ctx, req)
	})
	r := drive(h, bad.address, 0, 5*time.Second)
	close(stop)
	reloads.Wait()
	r.want(t, "all", 0)
	if n := bad.seen.Load(); n > 5*scenarioClients {
		t.Errorf("the frozen one had %d requests", n)
	}
}
