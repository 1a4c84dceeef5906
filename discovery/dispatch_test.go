package discovery

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

func TestFirstChangeAtOnceThenCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		began := time.Now()
		var mu sync.Mutex
		var told []string
		defer s.c.Subscribe(key("a", "orders"), func(e *Endpoints) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, fmt.Sprint(time.Since(began).Milliseconds(), ids(e)))
		}).Close()
		synctest.Wait()
		for n := range 25 { // every 10 ms
			s.push("orders", at("h", 1+n))
			time.Sleep(10 * time.Millisecond)
		}
		settle()
		time.Sleep(time.Minute)
		s.push("orders", at("h", 100)) // after a rest the first is told at once again
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		want := []string{"0[h:1]", "100[h:11]", "200[h:21]", "300[h:25]", "60450[h:100]"}
		// At 100 ms the push and the notice come in either order.
		if len(told) != len(want) || told[0] != want[0] || told[3] != want[3] || told[4] != want[4] {
			t.Errorf("told %v, want about %v", told, want)
		}
	})
}

// A subscriber that never returns stops neither the registry nor other services, nor does it hear twice at once.
func TestSlowSubscriberBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "users")
		release := make(chan struct{})
		var running, most, calls atomic.Int32
		slow := s.c.Subscribe(key("a", "orders"), func(*Endpoints) {
			most.Store(max(most.Load(), running.Add(1)))
			calls.Add(1)
			<-release
			running.Add(-1)
		})
		synctest.Wait()
		for n := range 50 {
			s.push("orders", at("h", 1+n))
			s.push("users", at("h", 1+n))
			time.Sleep(coalesce)
		}
		settle()
		if calls.Load() != 1 || most.Load() != 1 {
			t.Errorf("%d calls, %d at once", calls.Load(), most.Load())
		}
		if got := s.heard["users"].ids(); got != "[h:50]" {
			t.Errorf("users: %s", got)
		}
		close(release)
		slow.Close()
	})
}

// Close waits for the callback that runs, and only those who wait for the same service wait with it.
func TestCloseWaitsForTheCallback(t *testing.T) {
	c, w := newCatalogue(t), &world{}
	apply(t, c, map[string]registry.Config{"a": w.config(1)})
	entered, release := make(chan struct{}, 10), make(chan struct{})
	var ended atomic.Bool
	slow := c.Subscribe(key("a", "orders"), func(*Endpoints) {
		entered <- struct{}{}
		<-release
		ended.Store(true)
	})
	reg := w.named("a")
	until(t, func() bool { return reg.pushed(registry.App("orders")) != nil })
	reg.push(registry.App("orders"), at("h", 1))
	<-entered
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		slow.Close()
		if !ended.Load() {
			t.Error("Close returned while the callback ran")
		}
	}()
	var h heard
	defer c.Subscribe(key("a", "users"), h.notify).Close()
	until(t, func() bool { return reg.pushed(registry.App("users")) != nil })
	reg.push(registry.App("users"), at("h", 2))
	until(t, func() bool { return h.ids() == "[h:2]" })
	reg.push(registry.App("orders"), at("h", 3))
	if got := c.Services(); len(got) != 2 {
		t.Errorf("services %v", got)
	}
	close(release)
	<-closed
}

// The newest wins, also over a subscriber that is slow to take the one before.
func TestNewestWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		var mu sync.Mutex
		var told []string
		defer s.c.Subscribe(key("a", "orders"), func(e *Endpoints) {
			time.Sleep(230 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			told = append(told, ids(e))
		}).Close()
		synctest.Wait()
		for n := range 100 {
			s.push("orders", at("h", 1+n))
			time.Sleep(7 * time.Millisecond)
		}
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if len(told) < 3 || len(told) > 6 || told[len(told)-1] != "[h:100]" || !slices.IsSortedFunc(told, func(a, b string) int { return len(a) - len(b) }) {
			t.Errorf("told %v", told)
		}
	})
}

// Thousands of services cost no goroutine each, beyond that of the registry's watch.
func TestTellersAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const services = 2000
		s := newStage(t)
		var told atomic.Int64
		for n := range services {
			defer s.c.Subscribe(key("a", fmt.Sprint("s", n)), func(*Endpoints) { told.Add(1) }).Close()
		}
		synctest.Wait()
		before := runtime.NumGoroutine()
		for round := range 3 {
			for n := range services {
				s.push(fmt.Sprint("s", n), at("h", 1+round))
			}
		}
		synctest.Wait()
		if more := runtime.NumGoroutine() - before; more > tellers+2 {
			t.Errorf("%d goroutines more", more)
		}
		settle()
		if n := told.Load(); n < services || n > 2*services {
			t.Errorf("%d notices of %d pushes", n, 3*services)
		}
	})
}

func TestNothingIsToldAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "orders")
		s.push("orders", at("h", 1))
		s.push("orders", at("h", 2))
		synctest.Wait()
		reg := s.world.named("a")
		s.c.Close()
		times := s.heard["orders"].times()
		reg.push(registry.App("orders"), at("h", 3))
		time.Sleep(time.Second)
		if s.heard["orders"].times() != times {
			t.Error("told after Close")
		}
	})
}

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		began := time.Now()
		var got []string
		note := func(name string) func() {
			return func() { got = append(got, fmt.Sprint(name, time.Since(began))) }
		}
		c.after(3*time.Second, note("c"))
		c.after(time.Second, note("a"))
		b := c.after(2*time.Second, note("b"))
		c.after(2*time.Second, func() { c.after(time.Second/2, note("d")) })
		c.after(-time.Second, note("past"))
		c.stop(b)
		c.stop(b)
		c.stop(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if want := "[past0s a1s d2.5s c3s]"; fmt.Sprint(got) != want {
			t.Errorf("%v, want %s", got, want)
		}
		c.after(time.Second, note("late"))
		c.close()
		c.after(0, note("never"))
		time.Sleep(10 * time.Second)
		if len(got) != 4 {
			t.Errorf("%v", got)
		}
	})
}

func BenchmarkOneChange(b *testing.B) {
	for _, services := range []int{1, 5000} {
		b.Run(fmt.Sprint(services, " services"), func(b *testing.B) {
			c := New(discard(), nil)
			defer c.Close()
			w := &world{}
			if err := c.Apply(specs(map[string]registry.Config{"a": w.config(1)})); err != nil {
				b.Fatal(err)
			}
			reg := w.named("a")
			for n := range services {
				defer c.Subscribe(key("a", fmt.Sprint("s", n)), func(*Endpoints) {}).Close()
			}
			for n := range services {
				for reg.pushed(registry.App(fmt.Sprint("s", n))) == nil {
					time.Sleep(time.Millisecond)
				}
				reg.push(registry.App(fmt.Sprint("s", n)), hosts(1, 10)...)
			}
			push := reg.pushed(registry.App("s0"))
			states := [2][]registry.Instance{hosts(1, 10), hosts(2, 11)}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				push(registry.Snapshot{Instances: states[n%2]})
			}
		})
	}
}
