package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// offline is a client whose state is set by the test, for tests of time.
func offline(fetcher registry.MetadataFetcher) (*client, *state) {
	c := Default()
	c.Addresses, c.DubboRoot = []string{"h"}, ""
	x := newClient(c, registry.Options{Logger: slog.New(slog.DiscardHandler), Report: func(registry.State, error) {}, Dubbo: fetcher})
	st := newState()
	return x, st
}

func (c *client) put(st *state, rel, value string) {
	c.index.mu.Lock()
	defer c.index.mu.Unlock()
	st.put(c.roots[0], rel, []byte(value))
	c.index.wake(st.takeChanges())
}

// TestPatience: a first push waits a bounded time for metadata, and later ones not at all.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, st := offline(nil)
		_, known := instanceOf("a", "10.0.0.1", 1, "r", metadataOf("a", providerURL("tri", "10.0.0.1", 1, map[string][]string{})))
		_, unknown := instanceOf("b", "10.0.0.2", 1, "r", nil)
		c.put(st, "a/10.0.0.1:1", known)
		c.put(st, "b/10.0.0.2:1", unknown)
		c.index.install(st)
		ctx, cancel := context.WithCancel(t.Context())
		var tasks sync.WaitGroup
		start := time.Now()
		when, lists := &registrytest.Pushes[time.Duration]{T: t}, &registrytest.Pushes[int]{T: t}
		tasks.Go(func() {
			_ = c.Watch(ctx, registry.DubboService(users, "", ""), func(registry.Snapshot) { when.Push(time.Since(start)) })
		})
		tasks.Go(func() { _ = c.WatchServices(ctx, func(s registry.ServiceSet) { lists.Push(len(s.Services)) }) })
		time.Sleep(patience - time.Millisecond)
		synctest.Wait()
		if when.Count()+lists.Count() != 0 {
			t.Errorf("pushed after %v, lists of %v", when.All(), lists.All())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if !slices.Equal(when.All(), []time.Duration{patience}) || lists.Count() != 1 {
			t.Errorf("pushed after %v, lists of %v", when.All(), lists.All())
		}
		_, second := instanceOf("a", "10.0.0.3", 1, "r", nil)
		c.put(st, "a/10.0.0.3:1", second)
		synctest.Wait()
		if n := when.Count(); n != 2 {
			t.Errorf("a change was pushed %d times", n-1)
		}
		cancel()
		tasks.Wait()
	})
}

// TestListRests: a storm of new services is few pushes of the list, and the last one is right.
func TestListRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, st := offline(nil)
		c.index.install(st)
		ctx, cancel := context.WithCancel(t.Context())
		var tasks sync.WaitGroup
		sizes := &registrytest.Pushes[int]{T: t}
		tasks.Go(func() {
			_ = c.WatchServices(ctx, func(s registry.ServiceSet) { sizes.Push(len(s.Services)) })
		})
		for i := range 1000 {
			c.put(st, fmt.Sprintf("s%d/a", i), "h:1")
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if all := sizes.All(); len(all) > 13 || all[len(all)-1] != 1000 {
			t.Errorf("pushes of %v", all)
		}
		cancel()
		tasks.Wait()
	})
}

// counting is a MetadataService that never answers, and when it was asked.
type counting struct {
	start time.Time
	mu    sync.Mutex
	when  []time.Duration
}

func (c *counting) FetchMetadata(context.Context, string, string, string, string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.when = append(c.when, time.Since(c.start).Round(time.Second))
	return nil, errors.New("connection refused")
}

// TestAttempts: a revision that nobody knows is asked for less and less often.
func TestAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &counting{start: time.Now()}
		c, st := offline(f)
		_, unknown := instanceOf("b", "10.0.0.2", 1, "r", nil)
		c.put(st, "b/10.0.0.2:1", unknown)
		c.index.install(st)
		ctx, cancel := context.WithCancel(t.Context())
		var tasks sync.WaitGroup
		tasks.Go(func() { (&session{client: c}).teach(ctx) })
		time.Sleep(100 * time.Second)
		synctest.Wait()
		want := []time.Duration{0, 1, 3, 7, 15, 31, 61, 91}
		for i := range want {
			want[i] *= time.Second
		}
		f.mu.Lock()
		if !slices.Equal(f.when, want) {
			t.Errorf("asked after %v", f.when)
		}
		f.mu.Unlock()
		cancel()
		tasks.Wait()
	})
}
