package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// idle is a registry that does not run, with a note of what it complained about.
func idle(t *testing.T) (*zooKeeper, *[]string) {
	complaints := &[]string{}
	var mu sync.Mutex
	c := Default()
	c.Addresses = []string{"127.0.0.1:1"}
	built, err := c.Build(registry.Options{Logger: quietLogger(), Report: func(_ registry.State, err error) {
		mu.Lock()
		defer mu.Unlock()
		*complaints = append(*complaints, fmt.Sprint(err))
	}})
	must(t, err)
	return built.(*zooKeeper), complaints
}

// A refusal is asked again after 1, 2, 4 and so on up to 30 seconds.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, complaints := idle(t)
		ctx, cancel := context.WithCancel(t.Context())
		began, runs := time.Now(), []string{}
		go func() {
			_ = z.follow(ctx, z.cannotWatch("x"), func(*view) error {
				runs = append(runs, time.Since(began).String())
				return errors.New("refused")
			})
		}()
		time.Sleep(100 * time.Second)
		cancel()
		synctest.Wait()
		if got := strings.Join(runs, " "); got != "0s 1s 3s 7s 15s 31s 1m1s 1m31s" {
			t.Errorf("ran at %s", got)
		}
		if len(*complaints) != len(runs) || (*complaints)[0] != "watch x: refused" {
			t.Errorf("%q", *complaints)
		}
	})
}

// However often it is woken, a function rests between its runs, the longer the more it looked at.
func TestRests(t *testing.T) {
	for looked, want := range map[int]int{0: 100, 4_000: 20, 10_000: 9, 1_000_000: 5} { // runs in a second
		synctest.Test(t, func(t *testing.T) {
			z, _ := idle(t)
			ctx, cancel := context.WithCancel(t.Context())
			runs := 0
			go func() {
				_ = z.follow(ctx, z.cannotWatch("x"), func(v *view) error {
					runs++
					v.looked = looked
					v.follower.poke()
					return nil
				})
			}()
			time.Sleep(time.Second - time.Millisecond)
			cancel()
			synctest.Wait()
			if runs < want || runs > want+1 {
				t.Errorf("%d runs in a second for %d nodes, want %d", runs, looked, want)
			}
		})
	}
}

// What was left out because it may not be read is tried again now and then.
func TestRefusedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, complaints := idle(t)
		ctx, cancel := context.WithCancel(t.Context())
		runs := 0
		go func() {
			_ = z.follow(ctx, z.cannotWatch("x"), func(v *view) error {
				runs++
				v.optional(z, &value{err: errors.New("no")}, "/a")
				return nil
			})
		}()
		time.Sleep(61 * time.Second)
		cancel()
		synctest.Wait()
		if runs != 3 || (*complaints)[0] != "read /a: no" {
			t.Errorf("%d runs, %q", runs, *complaints)
		}
	})
}

// Without a session nothing is pushed, and nothing spins.
func TestNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, complaints := idle(t)
		ctx, cancel := context.WithCancel(t.Context())
		var watches sync.WaitGroup
		watches.Go(func() {
			if err := z.Watch(ctx, registry.App("a"), func(registry.Snapshot) { t.Error("pushed") }); err != nil {
				t.Error(err)
			}
		})
		watches.Go(func() {
			if err := z.WatchServices(ctx, func(registry.ServiceSet) { t.Error("pushed") }); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Hour)
		cancel()
		watches.Wait()
		if len(*complaints) != 0 || len(z.tree.followers) != 0 || len(z.tree.nodes) != 0 {
			t.Errorf("%q, %d followers, %d nodes", *complaints, len(z.tree.followers), len(z.tree.nodes))
		}
	})
}

// The same trouble is logged once, and reported every time.
func TestLogsOnce(t *testing.T) {
	var out lines
	c := Default()
	c.Addresses = []string{"127.0.0.1:1"}
	reports := 0
	built, err := c.Build(registry.Options{Logger: out.logger(), Report: func(registry.State, error) { reports++ }})
	must(t, err)
	z := built.(*zooKeeper)
	for range 3 {
		z.report(registry.Connecting, errors.New("one"))
	}
	z.complain(errors.New("two"))
	z.report(registry.Live, nil)
	z.report(registry.Live, nil)
	z.report(registry.Stale, errors.New("two"))
	if got := out.String(); strings.Count(got, "\n") != 4 || reports != 7 {
		t.Errorf("%d reports, logged\n%s", reports, got)
	}
}
