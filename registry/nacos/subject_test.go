package nacos

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

func TestPool(t *testing.T) {
	p := pool{limit: 4}
	var running, most, done atomic.Int32
	gate := make(chan struct{})
	for n := range 100 {
		p.submit(func() {
			now := running.Add(1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
			}
			<-gate
			running.Add(-1)
			done.Add(1)
			if n == 99 {
				p.submit(func() { done.Add(1) }) // a task may submit another
			}
		})
	}
	registrytest.Within(t, "four tasks", func() bool { return running.Load() == 4 })
	close(gate)
	p.wait()
	if done.Load() != 101 || most.Load() != 4 {
		t.Errorf("%d tasks, %d at once", done.Load(), most.Load())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != 0 || p.queue != nil {
		t.Errorf("%d workers and %d tasks are left", p.running, len(p.queue))
	}
}

// counter is a subject that counts what it is asked.
type counter struct {
	subjectState
	mu            sync.Mutex
	syncs, leaves int
	hold          chan struct{} // not nil: sync waits for it
	err           error
}

func (c *counter) String() string { return "counter" }

func (c *counter) sync(ctx context.Context, _ *session) error {
	c.mu.Lock()
	c.syncs++
	hold, err := c.hold, c.err
	c.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	return err
}

func (c *counter) leave(context.Context, *session) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaves++
	return nil
}

func (c *counter) counts() (syncs, leaves int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.syncs, c.leaves
}

func (c *counter) with(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// subjects is a client with a session that leads nowhere.
func subjects(t *testing.T) (*client, *session, map[string]*counter) {
	t.Helper()
	config := Default()
	config.Addresses = []string{"127.0.0.1:1"}
	c := newClient(config, registry.Options{Logger: quietLogger(), Report: func(registry.State, error) {}})
	ctx, cancel := context.WithCancelCause(t.Context())
	s := &session{client: c, ctx: ctx, end: cancel, pool: pool{limit: 2}, askers: pool{limit: 2}}
	c.session = s
	t.Cleanup(func() {
		cancel(nil)
		c.disconnected(s)
		s.pool.wait()
	})
	return c, s, map[string]*counter{}
}

func (c *client) readCounter(sc *scope, all map[string]*counter, name string) *counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	sub := find(all, name, func() *counter { return &counter{} })
	sc.read(sub)
	return sub
}

func TestScopeGivesBackWhatItDoesNotRead(t *testing.T) {
	c, _, all := subjects(t)
	ctx, cancel := context.WithCancel(t.Context())
	runs := make(chan *scope)
	names := make(chan []string)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.follow(ctx, func(sc *scope) {
			runs <- sc
			for _, n := range <-names {
				c.readCounter(sc, all, n)
			}
		})
	}()
	has := func(name string) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return all[name] != nil
	}
	sc := <-runs
	names <- []string{"a", "b"}
	registrytest.Within(t, "both", func() bool { return has("a") && has("b") })
	sc.poke()
	<-runs
	names <- []string{"b", "c", "c"}
	registrytest.Within(t, "the one that is not read to be forgotten", func() bool { return !has("a") && has("b") && has("c") })
	cancel()
	<-done
	registrytest.Within(t, "all to be forgotten", func() bool { return !has("b") && !has("c") })
}

func TestPokesBeforeARunAreOne(t *testing.T) {
	sc := &scope{wake: make(chan struct{}, 1)}
	for range 3 {
		sc.poke()
	}
	if len(sc.wake) != 1 {
		t.Errorf("%d runs are due", len(sc.wake))
	}
}

func TestComingAndLeavingNeverOvertakeEachOther(t *testing.T) {
	c, _, all := subjects(t)
	one, two := &scope{client: c, wake: make(chan struct{}, 1), reads: map[subject]uint64{}}, &scope{client: c, wake: make(chan struct{}, 1), reads: map[subject]uint64{}}
	everything := func(uint64) bool { return true }
	hold := make(chan struct{})

	sub := c.readCounter(one, all, "a")
	registrytest.Within(t, "it to be asked for", func() bool { s, _ := sub.counts(); return s == 1 })
	registrytest.Within(t, "the answer", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return !sub.busy })
	sub.with(func() { sub.hold = hold })

	// Left and wanted again while the server is being asked: it stays.
	c.mu.Lock()
	c.session.kickLocked(sub)
	c.mu.Unlock()
	registrytest.Within(t, "it to be asked for again", func() bool { s, _ := sub.counts(); return s == 2 })
	one.release(everything)
	if c.readCounter(two, all, "a") != sub {
		t.Fatal("there are two subjects of one name")
	}
	close(hold)
	registrytest.Within(t, "quiet", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return !sub.busy })
	if _, leaves := sub.counts(); leaves != 0 {
		t.Errorf("it was left %d times", leaves)
	}
	// Left for good.
	two.release(everything)
	registrytest.Within(t, "it to be forgotten", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return all["a"] == nil })
	if _, leaves := sub.counts(); leaves != 1 {
		t.Errorf("it was left %d times", leaves)
	}
}

func TestFailedSubjectIsTriedAgain(t *testing.T) {
	c, s, all := subjects(t)
	sc := &scope{client: c, wake: make(chan struct{}, 1), reads: map[subject]uint64{}}
	c.mu.Lock()
	sub := find(all, "a", func() *counter { return &counter{err: errors.New("no")} })
	sc.read(sub)
	c.mu.Unlock()
	registrytest.Within(t, "several tries", func() bool { n, _ := sub.counts(); return n >= 3 })
	sub.with(func() { sub.err = nil })
	registrytest.Within(t, "success", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return sub.fails == 0 && !sub.busy })
	// A connection that the server has forgotten ends the session.
	sub.with(func() { sub.err = &refusal{"X", codeUnregistered, ""} })
	c.mu.Lock()
	s.kickLocked(sub)
	c.mu.Unlock()
	<-s.ctx.Done()
	sc.release(func(uint64) bool { return true })
}
