package conformance

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// grace is how long an instance serves on after it has withdrawn itself, as deployments have it.
const grace = 2 * time.Second

// fleet is the instances of one service: they come, register themselves, withdraw themselves and go.
type fleet struct {
	t       testing.TB
	writer  writer
	service string

	mu      sync.Mutex
	serial  int
	members []*member // that are registered, the oldest first
	all     []*member
	leaving sync.WaitGroup
}

// member is one instance with its dates.
type member struct {
	*backend
	entry entry
	came  time.Time // the registry has taken note; zero if it never did
	left  time.Time
}

func newFleet(t testing.TB, w writer, service string, size int) *fleet {
	t.Helper()
	f := &fleet{t: t, writer: w, service: service}
	for range size {
		if _, err := f.join(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(f.leaving.Wait)
	return f
}

// patiently repeats a write until the registry takes it, as clients of registries do, but not for ever.
func patiently(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		try, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := do(try)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", err, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// join starts an instance and registers it.
func (f *fleet) join(ctx context.Context) (*member, error) {
	f.mu.Lock()
	f.serial++
	name := fmt.Sprintf("%s-%d", f.service, f.serial)
	f.mu.Unlock()
	b, err := serve(f.t, name, 0)
	if err != nil {
		return nil, err
	}
	return f.register(ctx, b)
}

func (f *fleet) register(ctx context.Context, b *backend) (*member, error) {
	m := &member{backend: b, entry: entry{service: f.service, host: b.host, port: b.port, who: b.name}}
	err := patiently(ctx, func(ctx context.Context) error { return f.writer.put(ctx, m.entry) })
	if err != nil {
		return nil, fmt.Errorf("register %s: %w", b.name, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m.came = time.Now()
	f.members, f.all = append(f.members, m), append(f.all, m)
	return m, nil
}

// leave withdraws an instance, which serves on for its grace and then ends; leave does not wait for that.
func (f *fleet) leave(ctx context.Context, m *member) error {
	if err := f.withdraw(ctx, m); err != nil {
		return err
	}
	f.leaving.Go(func() {
		time.Sleep(grace)
		m.close()
	})
	return nil
}

func (f *fleet) withdraw(ctx context.Context, m *member) error {
	err := patiently(ctx, func(ctx context.Context) error { return f.writer.remove(ctx, m.entry) })
	if err != nil {
		return fmt.Errorf("withdraw %s: %w", m.name, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m.left = time.Now()
	f.members = slices.DeleteFunc(f.members, func(o *member) bool { return o == m })
	return nil
}

// registered are the members that are, the oldest first.
func (f *fleet) registered() []*member {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.members)
}

// addresses are those of the registered members, in order.
func (f *fleet) addresses() []string {
	var out []string
	for _, m := range f.registered() {
		out = append(out, m.entry.address())
	}
	slices.Sort(out)
	return out
}

// untilUses waits until the gateway uses exactly who is registered.
func (g *gateway) untilUses(f *fleet) {
	g.t.Helper()
	want := f.addresses()
	var got []string
	until(g.t, fmt.Sprintf("%v are in use", want), func() string { return fmt.Sprint(got) }, func() bool {
		got = g.instances(f.service)
		return slices.Equal(got, want)
	})
}

// again registers everybody anew, in a registry that has forgotten them.
func (f *fleet) again(ctx context.Context) error {
	for _, m := range f.registered() {
		if err := patiently(ctx, func(ctx context.Context) error { return f.writer.put(ctx, m.entry) }); err != nil {
			return fmt.Errorf("register %s again: %w", m.name, err)
		}
	}
	return nil
}

// churn lets one come and the oldest go, at every interval, until the function that it returns is called. What was begun
// then is ended first, however long the registry takes.
func (f *fleet) churn(interval time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	enough, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-enough:
				return
			case <-time.After(interval):
			}
			_, err := f.join(ctx)
			if err == nil {
				err = f.leave(ctx, f.registered()[0])
			}
			if err != nil {
				if ctx.Err() == nil {
					f.t.Errorf("churn: %v", err)
				}
				return
			}
		}
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			close(enough)
			select {
			case <-done:
			case <-time.After(patience):
				f.t.Errorf("churn: the registry takes no write within %v", patience)
			}
			cancel()
			<-done
		})
	}
	f.t.Cleanup(stop)
	return stop
}

// stale is the longest time from a change in the registry to the first request on who came, or the last on who left, and
// which change that was. What changed before since does not count.
func (f *fleet) stale(since time.Time) (longest time.Duration, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	note := func(from, to time.Time, m *member, event string) {
		if d := to.Sub(from); from.After(since) && d > longest {
			longest, what = d, event+" of "+m.name
		}
	}
	for _, m := range f.all {
		first, asked := m.firstAsked()
		switch {
		case asked:
			note(m.came, first, m, "coming")
		case !m.left.IsZero(): // nobody ever knew
			note(m.came, m.left, m, "coming")
		}
		if last, asked := m.lastAsked(); asked && !m.left.IsZero() {
			note(m.left, last, m, "leaving")
		}
	}
	return longest, what
}

// turnover lets three come and the three oldest go, one a second. Who was there before and stays is enough for the load.
func (f *fleet) turnover(ctx context.Context) error {
	old := f.registered()
	for _, m := range old[:3] {
		if _, err := f.join(ctx); err != nil {
			return err
		}
		if err := f.leave(ctx, m); err != nil {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// untilAsked waits for the first request on a member.
func (f *fleet) untilAsked(m *member) time.Time {
	f.t.Helper()
	until(f.t, "a request on "+m.name, func() string { return "none" }, func() bool { return m.first.Load() != 0 })
	at, _ := m.firstAsked()
	return at
}
