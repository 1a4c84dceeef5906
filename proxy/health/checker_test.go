package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/proxy/balance"
)

// network is where dials of a test go. Addresses that are not in ill accept connections.
type network struct {
	mu    sync.Mutex
	ill   map[string]error
	slow  map[string]time.Duration
	dials map[string][]time.Time
	most  int
	now   int
}

func newNetwork() *network {
	return &network{ill: map[string]error{}, slow: map[string]time.Duration{}, dials: map[string][]time.Time{}}
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dials[address] = append(n.dials[address], time.Now())
	n.now++
	n.most = max(n.most, n.now)
	err, slow := n.ill[address], n.slow[address]
	n.mu.Unlock()
	defer func() { n.mu.Lock(); n.now--; n.mu.Unlock() }()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	here, there := net.Pipe()
	_ = there.Close()
	return here, nil
}

func (n *network) set(address string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ill[address] = err
}

// delay makes dials to an address take that long.
func (n *network) delay(address string, d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.slow[address] = d
}

// busiest is how many dials there were at once, and active how many there are.
func (n *network) busiest() (most, active int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.most, n.now
}

// times are when an address was dialled, since the test began.
func (n *network) times(address string) []time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]time.Time(nil), n.dials[address]...)
}

func (n *network) rule(change func(*config.HealthCheck)) *Rule {
	return newRule(section("tcp", change), nil, nil, n.dial)
}

// desk is a running Checker.
type desk struct {
	*Checker
	*network
	log     notes
	changes atomic.Int32
	stop    func()
}

// notes are a log that may be read while it is written.
type notes struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{network: newNetwork()}
	d.Checker = NewChecker(slog.New(slog.NewTextHandler(&d.log, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() { d.Run(ctx) })
	d.stop = func() { cancel(); tasks.Wait() }
	t.Cleanup(d.stop)
	return d
}

func (d *desk) add(r *Rule, address string) (*Target, *balance.Load) {
	load := &balance.Load{}
	return d.Add(r, Subject{Address: address}, "orders", load, func() { d.changes.Add(1) }), load
}

var errIll = errors.New("dial tcp: connection refused")

func unhealthy(l *balance.Load) bool { return l.Flags()&balance.Unhealthy != 0 }

func TestThresholds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		target, load := d.add(d.rule(nil), "a")
		if st := d.Status(target); !st.Healthy || !st.Since.IsZero() || unhealthy(load) {
			t.Fatalf("before the first check: %+v", st)
		}
		began := time.Now()
		synctest.Wait()
		if st := d.Status(target); !st.Healthy || st.Checks != 1 || !st.Since.Equal(began) || !st.At.Equal(began) || st.Error != "" {
			t.Fatalf("the first check comes at once: %+v", st)
		}
		time.Sleep(21 * time.Second)
		times := d.times("a")
		for i := 1; i < len(times); i++ {
			if gap := times[i].Sub(times[i-1]); gap < 4500*time.Millisecond || gap > 5500*time.Millisecond {
				t.Errorf("pause of %v", gap)
			}
		}
		if len(times) < 4 || len(times) > 6 || d.changes.Load() != 0 {
			t.Fatalf("%d checks, %d changes", len(times), d.changes.Load())
		}

		d.set("a", errIll)
		fell := time.Now()
		for !unhealthy(load) {
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		st := d.Status(target)
		if st.Healthy || st.Row != 3 || st.Error != errIll.Error() || st.LastError != errIll.Error() || !st.LastErrorAt.Equal(st.At) || !st.Since.Equal(st.At) {
			t.Errorf("%+v", st)
		}
		// One interval until it is noticed, and no two more until it is certain.
		if took := st.At.Sub(fell); took > 8*time.Second {
			t.Errorf("took %v", took)
		}
		if d.changes.Load() != 1 || !strings.Contains(d.log.String(), `level=INFO msg="instance fails its health checks" service=orders instance=a reason="dial tcp: connection refused"`) {
			t.Errorf("%d changes, %s", d.changes.Load(), d.log.String())
		}
		n := len(d.times("a"))
		time.Sleep(20 * time.Second)
		if n = len(d.times("a")) - n; n < 3 || n > 5 {
			t.Errorf("an ill one is checked %d times in 20 s", n)
		}

		d.set("a", nil)
		rose := time.Now()
		for unhealthy(load) {
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		st = d.Status(target)
		if !st.Healthy || st.Row != 2 || st.Error != "" || st.LastError == "" || d.changes.Load() != 2 {
			t.Errorf("%+v", st)
		}
		if took := st.At.Sub(rose); took > 7*time.Second {
			t.Errorf("took %v", took)
		}
		if !strings.Contains(d.log.String(), `msg="instance passes its health checks" service=orders instance=a`) {
			t.Error(d.log.String())
		}
	})
}

// TestOneBadCheckIsNotEnough: what is well now and then keeps its verdict.
func TestOneBadCheckIsNotEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		target, load := d.add(d.rule(nil), "a")
		failures := 0
		for range 120 {
			synctest.Wait()
			switch st := d.Status(target); {
			case st.Error == "":
				d.set("a", errIll)
			case st.Row == 2: // one more would be too many
				failures++
				d.set("a", nil)
			}
			time.Sleep(500 * time.Millisecond)
		}
		if failures < 5 {
			t.Errorf("only %d times nearly unhealthy", failures)
		}
		if unhealthy(load) || d.changes.Load() != 0 || d.Status(target).LastError == "" {
			t.Errorf("%+v, %d changes", d.Status(target), d.changes.Load())
		}
	})
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.delay("a", time.Hour)
		target, load := d.add(d.rule(nil), "a")
		time.Sleep(5 * time.Second)
		st := d.Status(target)
		if !unhealthy(load) || st.Error != "no answer within 1s" || st.Took != time.Second || st.Checks < 3 {
			t.Errorf("%+v", st)
		}
	})
}

func TestWaitForFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.set("a", errIll)
		rule := d.rule(func(h *config.HealthCheck) { h.WaitForFirst = true })
		target, load := d.add(rule, "a")
		if !unhealthy(load) {
			t.Fatal("used before its first check")
		}
		time.Sleep(10 * time.Second)
		if n := d.Status(target).Checks; n < 9 {
			t.Errorf("one that starts was checked %d times in 10 s", n)
		}
		d.set("a", nil)
		time.Sleep(1100 * time.Millisecond)
		if unhealthy(load) || d.changes.Load() != 1 || d.Status(target).Since.IsZero() {
			t.Fatalf("one check is enough for a new one: %+v", d.Status(target))
		}
		// Afterwards it is one like the others.
		d.set("a", errIll)
		time.Sleep(10 * time.Second)
		d.set("a", nil)
		time.Sleep(5500 * time.Millisecond)
		if st := d.Status(target); st.Healthy && st.Row < 2 {
			t.Errorf("%+v", st)
		}
		// One that never comes up is not asked every second for ever.
		d.set("b", errIll)
		d.add(rule, "b")
		time.Sleep(2 * time.Minute)
		n := len(d.times("b"))
		time.Sleep(time.Minute)
		if n = len(d.times("b")) - n; n > 14 {
			t.Errorf("%d checks a minute", n)
		}
	})
}

func TestPauseAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.set("a", errIll)
		rule := d.rule(nil)
		target, load := d.add(rule, "a")
		time.Sleep(10 * time.Second)
		d.Pause(target)
		n := len(d.times("a"))
		d.set("a", nil)
		time.Sleep(time.Hour)
		if len(d.times("a")) != n || !unhealthy(load) {
			t.Fatalf("%d checks of a paused one", len(d.times("a"))-n)
		}
		d.Resume(target, d.rule(nil), Subject{Address: "a"})
		synctest.Wait()
		if len(d.times("a")) != n+1 || !unhealthy(load) {
			t.Fatal("one that comes back is what it was until it is known better")
		}
		time.Sleep(2 * time.Second)
		if unhealthy(load) {
			t.Error("not known better")
		}
		// The same rule changes nothing; another one is asked by at once.
		n = len(d.times("a"))
		d.Resume(target, d.rule(nil), Subject{Address: "a"})
		synctest.Wait()
		if len(d.times("a")) != n {
			t.Error("the same rule makes work")
		}
		d.Resume(target, d.rule(func(h *config.HealthCheck) { h.Interval = time.Minute }), Subject{Address: "a"})
		synctest.Wait()
		if len(d.times("a")) != n+1 {
			t.Error("another rule waits for the old one's time")
		}
		time.Sleep(54 * time.Second)
		if len(d.times("a")) != n+1 {
			t.Error("the interval is the old one")
		}
		if st := d.Status(target); !st.Healthy || st.LastError == "" {
			t.Errorf("another rule has forgotten everything: %+v", st)
		}
	})
}

func TestSetRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		target, _ := d.add(d.rule(nil), "a")
		synctest.Wait()
		for n, change := range []func(*config.HealthCheck){nil, func(h *config.HealthCheck) { h.Interval = time.Hour }} {
			d.SetRule(target, d.rule(change))
			synctest.Wait()
			if got := len(d.times("a")); got != n+1 {
				t.Errorf("rule %d: %d checks", n, got)
			}
		}
		// Another address of the same instance is asked at once.
		d.Resume(target, d.rule(func(h *config.HealthCheck) { h.Interval = time.Hour }), Subject{Address: "a", Secure: true})
		synctest.Wait()
		if got := len(d.times("a")); got != 3 {
			t.Errorf("%d checks", got)
		}
		d.Pause(target)
		d.SetRule(target, d.rule(nil))
		time.Sleep(time.Hour)
		if got := len(d.times("a")); got != 3 {
			t.Errorf("a paused one is checked")
		}
	})
}

// TestLeavesWhileItIsChecked: the result of a check that was under way comes too late to matter.
func TestLeavesWhileItIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.delay("a", 500*time.Millisecond)
		d.set("a", errIll)
		rule := d.rule(func(h *config.HealthCheck) { h.UnhealthyThreshold = 1 })
		target, load := d.add(rule, "a")
		time.Sleep(100 * time.Millisecond)
		d.Remove(target)
		time.Sleep(time.Minute)
		if unhealthy(load) || d.changes.Load() != 0 || len(d.times("a")) != 1 {
			t.Error("it is still looked after")
		}
		// One that leaves and comes back meanwhile is not checked twice at once; the check by the old rule says nothing.
		target, load = d.add(rule, "a")
		time.Sleep(100 * time.Millisecond)
		d.Pause(target)
		d.Resume(target, d.rule(nil), Subject{Address: "a"})
		time.Sleep(500 * time.Millisecond)
		if unhealthy(load) {
			t.Error("unhealthy by the old rule")
		}
		time.Sleep(10 * time.Second)
		if !unhealthy(load) {
			t.Error("not checked any more")
		}
		if most, _ := d.busiest(); most > 1 {
			t.Errorf("%d checks of one instance at once", most)
		}
	})
}

func TestRemoveTakesTheFlagBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.set("a", errIll)
		target, load := d.add(d.rule(nil), "a")
		time.Sleep(10 * time.Second)
		if !unhealthy(load) {
			t.Fatal("not unhealthy")
		}
		d.Remove(target)
		if unhealthy(load) {
			t.Error("unhealthy for ever")
		}
	})
}

// TestManyInstances: a thousand cost neither a goroutine each nor all their checks at once, even if none answers.
func TestManyInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		before := runtime.NumGoroutine()
		loads := make([]*balance.Load, 3000)
		rule := d.rule(nil)
		for i := range loads {
			address := fmt.Sprint(i)
			if i%2 == 0 {
				d.delay(address, time.Hour)
			}
			_, loads[i] = d.add(rule, address)
		}
		time.Sleep(20 * time.Second)
		for i, l := range loads {
			if unhealthy(l) != (i%2 == 0) {
				t.Fatalf("%d: %v", i, unhealthy(l))
			}
		}
		if most, _ := d.busiest(); most > parallel {
			t.Errorf("%d checks at once", most)
		}
		d.Checker.mu.Lock()
		running := d.running
		d.Checker.mu.Unlock()
		if n := runtime.NumGoroutine() - before; n > running+50 {
			t.Errorf("%d goroutines for %d running checks", n, running)
		}
		made, failed := d.Counts()
		if made < 9000 || failed > made || failed == 0 {
			t.Errorf("%d checks, %d failed", made, failed)
		}
	})
}

// TestStop: the end waits for the checks that run, which end with it, and say nothing.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.delay("a", time.Hour)
		target, load := d.add(d.rule(func(h *config.HealthCheck) { h.UnhealthyThreshold = 1 }), "a")
		time.Sleep(100 * time.Millisecond)
		began := time.Now()
		d.stop()
		_, active := d.busiest()
		if time.Since(began) > 0 || active != 0 || unhealthy(load) || d.Status(target).Checks != 0 {
			t.Errorf("after %v: %d run, %+v", time.Since(began), active, d.Status(target))
		}
	})
}

func TestClean(t *testing.T) {
	for in, out := range map[string]string{
		"plain": "plain", " a\r\nb\x00\x1b[31mc\u202e ": "a  b  [31mc", "\xff\xfe ok": "ok",
		strings.Repeat("é", 400): strings.Repeat("é", 150) + "...",
	} {
		if got := clean(in); got != out {
			t.Errorf("%q becomes %q, want %q", in, got, out)
		}
	}
}

func TestRules(t *testing.T) {
	base := func() *Rule { return NewRule(section("http", nil), nil, nil) }
	if !base().same(base()) {
		t.Error("equal rules differ")
	}
	for name, other := range map[string]*Rule{
		"path": NewRule(section("http", func(h *config.HealthCheck) { h.Path = "/x" }), nil, nil),
		"kind": NewRule(section("tcp", nil), nil, nil),
		"tls":  NewRule(section("http", nil), &config.UpstreamTLS{ServerName: "x"}, nil),
	} {
		if base().same(other) {
			t.Errorf("another %s is the same", name)
		}
	}
	r := NewRule(section("tcp", func(h *config.HealthCheck) { h.Port = 81 }), nil, nil)
	for in, out := range map[string]string{"10.0.0.1:80": "10.0.0.1:81", "[fd00::1]:80": "[fd00::1]:81", "nonsense": "nonsense"} {
		if got := r.address(&Subject{Address: in}); got != out {
			t.Errorf("%s is asked at %s, want %s", in, got, out)
		}
	}
}
