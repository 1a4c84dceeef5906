package conformance

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// patience is how long a test waits for what must come. It is long because the machine may be busy.
const patience = 60 * time.Second

// until waits for a condition. describe says what is there instead.
func until(t testing.TB, what string, describe func() string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s; instead: %s", patience, what, describe())
		}
	}
}

// seen is a registry at work, with everything that it has said.
type seen struct {
	t    testing.TB
	reg  registry.Registry
	ctx  context.Context // the life of the watches, which begin at different moments
	end  context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	states []registry.State // each differs from the one before
	errs   []string
	pushed map[registry.ServiceName][]registry.Snapshot
	sets   []registry.ServiceSet
}

// watch runs a registry over the bed's own addresses and watches services.
func (b *bed) watch(t testing.TB, services ...string) *seen {
	t.Helper()
	return b.watchBy(t, b.config(t, b.addresses, "", ""), services...)
}

func (b *bed) watchBy(t testing.TB, c registry.Config, services ...string) *seen {
	t.Helper()
	s := &seen{t: t, pushed: map[registry.ServiceName][]registry.Snapshot{}}
	s.ctx, s.end = context.WithCancel(context.Background())
	reg, err := c.Build(registry.Options{Name: b.kind.name, Logger: slog.New(slog.DiscardHandler), Report: s.report})
	if err != nil {
		t.Fatal(err)
	}
	s.reg = reg
	s.done.Go(func() {
		if err := reg.Run(s.ctx); err != nil {
			s.t.Errorf("Run: %v", err)
		}
	})
	for _, service := range services {
		s.watch(service, func(registry.Snapshot) {})
	}
	t.Cleanup(s.stop)
	return s
}

// watch begins one more watch; also is called with each push, before it is noted.
func (s *seen) watch(service string, also func(registry.Snapshot)) {
	name := registry.App(service)
	s.done.Go(func() {
		err := s.reg.Watch(s.ctx, name, func(p registry.Snapshot) {
			also(p)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.pushed[name] = append(s.pushed[name], p)
		})
		if err != nil && s.ctx.Err() == nil {
			s.t.Errorf("Watch %s: %v", service, err)
		}
	})
}

func (s *seen) watchSet() {
	s.done.Go(func() {
		err := s.reg.WatchServices(s.ctx, func(set registry.ServiceSet) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.sets = append(s.sets, set)
		})
		if err != nil && s.ctx.Err() == nil {
			s.t.Errorf("WatchServices: %v", err)
		}
	})
}

// stop ends everything and waits.
func (s *seen) stop() {
	s.end()
	ended := make(chan struct{})
	go func() {
		s.done.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		s.t.Errorf("the registry has not ended within %v", patience)
	}
}

func (s *seen) report(state registry.State, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.states); n == 0 || s.states[n-1] != state {
		s.states = append(s.states, state)
	}
	if err != nil && len(s.errs) < 1000 {
		s.errs = append(s.errs, err.Error())
	}
}

// moment is how much was seen at one moment.
type moment struct {
	states, errs int
	pushes       map[registry.ServiceName]int
}

func (s *seen) now() moment {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := moment{states: len(s.states), errs: len(s.errs), pushes: map[registry.ServiceName]int{}}
	for name, pushed := range s.pushed {
		m.pushes[name] = len(pushed)
	}
	return m
}

func (s *seen) state() registry.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.states) == 0 {
		return registry.Connecting
	}
	return s.states[len(s.states)-1]
}

// untilState waits for a state that was reported after m.
func (s *seen) untilState(want registry.State, m moment) {
	s.t.Helper()
	until(s.t, "the state "+want.String(), s.describe, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.states) > m.states && slices.Contains(s.states[m.states:], want)
	})
}

func (s *seen) untilLive() {
	s.t.Helper()
	until(s.t, "a live registry", s.describe, func() bool { return s.state() == registry.Live })
}

// untilPushed waits until a service was pushed again after m.
func (s *seen) untilPushed(service string, m moment) {
	s.t.Helper()
	name := registry.App(service)
	until(s.t, "another push of "+service, s.describe, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.pushed[name]) > m.pushes[name]
	})
}

// last is the newest state of a service; false before the first.
func (s *seen) last(service string) (registry.Snapshot, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pushed := s.pushed[registry.App(service)]
	if len(pushed) == 0 {
		return registry.Snapshot{}, false
	}
	return pushed[len(pushed)-1], true
}

// untilUsable waits until exactly these instances of a service may be used.
func (s *seen) untilUsable(service string, want ...entry) {
	s.t.Helper()
	addresses := make([]string, len(want))
	for i, e := range want {
		addresses[i] = e.address()
	}
	slices.Sort(addresses)
	until(s.t, fmt.Sprintf("%s has %v", service, addresses), s.describe, func() bool {
		last, ok := s.last(service)
		return ok && slices.Equal(usable(last), addresses)
	})
}

// wantNoEmpty looks for a push after m that says that a service has no instance.
func (s *seen) wantNoEmpty(service string, m moment) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	name := registry.App(service)
	for _, p := range s.pushed[name][m.pushes[name]:] {
		if len(usable(p)) == 0 {
			s.t.Errorf("%s was pushed without an instance that may be used: %+v", service, p)
		}
	}
}

// usable are the addresses of the instances that may be picked.
func usable(p registry.Snapshot) []string {
	addresses := make([]string, 0, len(p.Instances))
	for _, i := range p.Instances {
		if !i.Disabled && !i.Unhealthy && i.Weight > 0 {
			addresses = append(addresses, i.Address())
		}
	}
	slices.Sort(addresses)
	return slices.Compact(addresses)
}

// describe is for messages.
func (s *seen) describe() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "states %v", s.states)
	for name, pushed := range s.pushed {
		fmt.Fprintf(&b, "\n%v: %d pushes, the last %+v", name, len(pushed), pushed[len(pushed)-1])
	}
	if n := len(s.sets); n > 0 {
		fmt.Fprintf(&b, "\nthe list: %+v", s.sets[n-1])
	}
	fmt.Fprintf(&b, "\n%d errors: %s", len(s.errs), strings.Join(s.errs[max(0, len(s.errs)-5):], "\n"))
	return b.String()
}

// spot is an entry whose port takes connections, as registries that probe want it.
func spot(t testing.TB, service string) entry {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	host, port := hostPort(l.Addr().String())
	return entry{service: service, host: host, port: port}
}

// spots are n entries.
func spots(t testing.TB, service string, n int) []entry {
	t.Helper()
	out := make([]entry, n)
	for i := range out {
		out[i] = spot(t, service)
	}
	return out
}

// hostPort splits an address that is known to be one.
func hostPort(address string) (string, int) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		panic(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return host, port
}

// firstError is the oldest error.
func (s *seen) firstError() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.errs) == 0 {
		return ""
	}
	return s.errs[0]
}

// anotherError says whether there were more errors than at m, or a second has passed: long enough for a wrong push.
func (s *seen) anotherError(m moment) func() bool {
	end := time.Now().Add(time.Second)
	return func() bool { return s.now().errs > m.errs || time.Now().After(end) }
}
