// Package registrytest runs a registry for the tests of its room, beside a real server, and keeps what it says.
package registrytest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// Deadline is how long a test waits for what must come, on a machine that has other things to do.
const Deadline = 90 * time.Second

// Within waits for a condition.
func Within(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !poll(ok) {
		t.Fatalf("not within %v: %s", Deadline, what)
	}
}

// poll asks again and again, and reports whether it was so in the end.
func poll(ok func() bool) bool {
	end := time.NewTimer(Deadline)
	defer end.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end.C:
			return false
		}
	}
	return true
}

// Rig is a registry that runs, and what it reported.
type Rig struct {
	T testing.TB
	// Stop ends the registry before the test does.
	Stop func()

	reg    registry.Registry
	mu     sync.Mutex
	states []registry.State
	errs   []error
}

// New makes a rig whose Report belongs in the registry's options.
func New(t testing.TB) *Rig { return &Rig{T: t} }

// Use makes reg the registry to watch, which does not run yet.
func (r *Rig) Use(reg registry.Registry) { r.reg = reg }

// Start runs a registry until the test ends.
func (r *Rig) Start(reg registry.Registry) {
	r.Use(reg)
	r.Stop = r.Background(reg.Run)
}

// Report takes what the registry reports.
func (r *Rig) Report(s registry.State, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states = append(r.states, s)
	if err != nil {
		r.errs = append(r.errs, err)
	}
}

// States are all that were reported.
func (r *Rig) States() []registry.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.states)
}

// State is the newest one reported.
func (r *Rig) State() registry.State {
	if all := r.States(); len(all) > 0 {
		return all[len(all)-1]
	}
	return registry.Connecting
}

// Await waits for a state.
func (r *Rig) Await(s registry.State) {
	r.T.Helper()
	Within(r.T, "state "+s.String(), func() bool { return r.State() == s })
}

// Errors are those reported that hold every one of the parts.
func (r *Rig) Errors(parts ...string) []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []error
	for _, err := range r.errs {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(err.Error(), p) }) {
			found = append(found, err)
		}
	}
	return found
}

// SawError reports whether there was an error that holds part.
func (r *Rig) SawError(part string) bool { return len(r.Errors(part)) > 0 }

// AwaitError waits for an error that holds every one of the parts.
func (r *Rig) AwaitError(parts ...string) {
	r.T.Helper()
	if !poll(func() bool { return len(r.Errors(parts...)) > 0 }) {
		r.T.Fatalf("not within %v: an error with %q; there were %q", Deadline, parts, r.Errors())
	}
}

// NoErrors fails the test if anything was reported as trouble.
func (r *Rig) NoErrors() {
	r.T.Helper()
	if all := r.Errors(); len(all) > 0 {
		r.T.Errorf("%d errors were reported: %q", len(all), all)
	}
}

// Background runs something until the test ends, or the function returned is called.
func (r *Rig) Background(task func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := task(ctx); err != nil {
			r.T.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(Deadline):
			r.T.Error("did not end when its context did")
		}
	})
	r.T.Cleanup(stop)
	return stop
}

// Watch follows a service.
func (r *Rig) Watch(name registry.ServiceName) *Pushes[registry.Snapshot] {
	return Collect(r, func(ctx context.Context, push func(registry.Snapshot)) error { return r.reg.Watch(ctx, name, push) })
}

// WatchServices follows the list of services.
func (r *Rig) WatchServices() *Pushes[registry.ServiceSet] {
	return Collect(r, r.reg.WatchServices)
}

// WatchDefinition follows the definition of a Dubbo service.
func (r *Rig) WatchDefinition(name registry.ServiceName) *Pushes[string] {
	return Collect(r, func(ctx context.Context, push func(string)) error {
		w, ok := r.reg.(registry.DefinitionWatcher)
		if !ok {
			return fmt.Errorf("%T has no definitions", r.reg)
		}
		return w.WatchDefinition(ctx, name, func(b []byte) { push(string(b)) })
	})
}
