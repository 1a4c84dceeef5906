package conformance

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/registry"
)

// TestNothingLeft begins and cancels registries at any moment, and looks for goroutines and descriptors. It runs alone,
// before the tests that run side by side.
func TestNothingLeft(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			b := k.shared(t)
			services := make([]string, 5)
			for i := range services {
				services[i] = b.named("left-" + string(rune('a'+i)))
				b.put(t, spot(t, services[i]))
			}
			runs := 10
			if full() {
				runs = 50
			}
			brief(t, b, services, time.Second) // what is made once, such as the resolver's state, is no leak
			ignore := goleak.IgnoreCurrent()
			before := descriptors(t)
			for range runs {
				brief(t, b, services, rand.N(60*time.Millisecond))
			}
			if err := goleak.Find(ignore); err != nil {
				t.Error(err)
			}
			// A connection that was closed may take a moment to leave the table.
			until(t, "no descriptor more than before", func() string { return "more" }, func() bool { return descriptors(t) <= before })
		})
	}
}

// brief runs a registry with watches, and ends it after a while.
func brief(t *testing.T, b *bed, services []string, life time.Duration) {
	t.Helper()
	c := b.config(t, b.addresses, "", "")
	reg, err := c.Build(registry.Options{Name: "brief", Logger: slog.New(slog.DiscardHandler), Report: func(registry.State, error) {}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), life)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() {
		if err := reg.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	for _, service := range services {
		all.Go(func() { _ = reg.Watch(ctx, registry.App(service), func(registry.Snapshot) {}) })
	}
	all.Go(func() { _ = reg.WatchServices(ctx, func(registry.ServiceSet) {}) })
	all.Wait()
}

func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestSlowConsumer: a consumer that takes its time for one service does not hold back another.
func TestSlowConsumer(t *testing.T) {
	each(t, func(t *testing.T, k *kind) {
		b := k.shared(t)
		slow, quick := b.named("slow"), b.named("quick")
		e, late := spots(t, slow, 1), spot(t, quick)
		b.put(t, e...)
		s := b.watch(t, quick)
		s.untilUsable(quick)

		const held = 2 * time.Second
		begun, over := make(chan struct{}), make(chan struct{})
		var once sync.Once
		s.watch(slow, func(registry.Snapshot) {
			once.Do(func() {
				close(begun)
				time.Sleep(held)
				close(over)
			})
		})
		select {
		case <-begun:
		case <-time.After(patience):
			t.Fatal("nothing was pushed")
		}
		b.put(t, late)
		s.untilUsable(quick, late)
		select {
		case <-over:
			t.Errorf("the other service waited until the slow consumer was done, %v", held)
		default:
		}
		more := spot(t, slow)
		b.put(t, more)
		s.untilUsable(slow, e[0], more) // the newest wins
	})
}
