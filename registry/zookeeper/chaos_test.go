package zookeeper

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// cutter passes connections on to a server until they are cut.
type cutter struct {
	listener net.Listener
	server   string
	tasks    sync.WaitGroup
	mu       sync.Mutex
	open     map[net.Conn]struct{}
}

func newCutter(t *testing.T, server string) *cutter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := &cutter{listener: l, server: server, open: make(map[net.Conn]struct{})}
	c.tasks.Go(c.serve)
	t.Cleanup(func() {
		_ = l.Close()
		c.cut()
		c.tasks.Wait()
	})
	return c
}

func (c *cutter) serve() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", c.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		c.mu.Lock()
		c.open[client], c.open[server] = struct{}{}, struct{}{}
		c.mu.Unlock()
		c.tasks.Go(func() { c.pass(client, server) })
		c.tasks.Go(func() { c.pass(server, client) })
	}
}

func (c *cutter) pass(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	_, _ = from.Close(), to.Close()
	c.mu.Lock()
	delete(c.open, from)
	c.mu.Unlock()
}

// cut ends every connection in the middle of whatever it carries.
func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		_ = conn.Close()
	}
}

// Providers come, go and change at random while the connection is cut again and again: in the end every watch has the
// truth.
func TestConverges(t *testing.T) {
	server := shared.get(t)
	c := newCutter(t, server.Addr())
	r := newRig(t, server, func(cfg *Config, _ *registry.Options) { cfg.Addresses = []string{c.listener.Addr().String()} })
	dubbo, plain, services := r.Watch(registry.DubboService("a.S", "", "")), r.Watch(registry.App("web")), r.WatchServices()
	type place struct{ providers, web bool }
	state := make([]place, 20)
	provider := func(n int) string {
		return r.rdubbo("a.S/providers", encode(java33("dubbo", fmt.Sprintf("192.0.2.%d:20880", n), "a.S", "")))
	}
	web := func(n int) string { return r.rservices("web", fmt.Sprint(n)) }
	weights := make([]int, len(state))
	for began := time.Now(); time.Since(began) < 4*time.Second; {
		n := rand.N(len(state))
		switch p := &state[n]; rand.N(4) {
		case 0, 1:
			if p.providers = !p.providers; p.providers {
				r.writer.put(provider(n), "")
			} else {
				r.writer.remove(provider(n))
			}
		case 2:
			p.web, weights[n] = true, weights[n]+1
			r.writer.put(web(n), spring(fmt.Sprintf("192.0.2.%d", n), `"port":8080`, fmt.Sprintf(`"weight":"%d"`, weights[n])))
		case 3:
			if p.web {
				r.writer.remove(web(n))
				p.web = false
			}
		}
		if rand.N(150) == 0 {
			c.cut()
		}
		time.Sleep(time.Duration(rand.N(3)) * time.Millisecond)
	}
	var wantDubbo, wantPlain []string
	for n, p := range state {
		if p.providers {
			wantDubbo = append(wantDubbo, fmt.Sprintf("dubbo://192.0.2.%d:20880", n))
		}
		if p.web {
			wantPlain = append(wantPlain, fmt.Sprintf("http://192.0.2.%d:8080 %d", n, weights[n]))
		}
	}
	slices.Sort(wantPlain)
	dubbo.Until("the providers that are left", registrytest.Has(wantDubbo...))
	plain.Until("the instances that are left, with their newest weights", func(s registry.Snapshot) bool {
		var got []string
		for _, i := range s.Instances {
			got = append(got, fmt.Sprintf("http://%s %v", i.Address(), i.Weight))
		}
		slices.Sort(got)
		return slices.Equal(got, wantPlain)
	})
	services.Until("what is left", func(s registry.ServiceSet) bool {
		return slices.Contains(s.Services, registry.App("web")) == (len(wantPlain) > 0) &&
			slices.Contains(s.Services, registry.DubboService("a.S", "", "")) == (len(wantDubbo) > 0)
	})
	t.Logf("%d, %d and %d pushes", dubbo.Count(), plain.Count(), services.Count())
}

// Watches and the registry itself end when they are told, even if the server gives no answer.
func TestEndsWhileFrozen(t *testing.T) {
	server := testbed.StartZooKeeper(t)
	c := Default()
	c.Addresses = []string{server.Addr()}
	opts := registry.Options{Logger: quietLogger(), Report: func(registry.State, error) {}}
	built, err := c.Build(opts)
	must(t, err)
	run, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- built.Run(run) }()
	first := make(chan registry.Snapshot, 10)
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan error, 2)
	go func() { watched <- built.Watch(ctx, registry.App("web"), func(s registry.Snapshot) { first <- s }) }()
	<-first
	must(t, server.Freeze())
	go func() {
		watched <- built.Watch(ctx, registry.App("other"), func(registry.Snapshot) { t.Error("an answer of a frozen server") })
	}()
	time.Sleep(50 * time.Millisecond) // so that its requests are under way
	for n, end := range []func(){cancel, func() {}, stop} {
		began := time.Now()
		end()
		select {
		case err := <-[]chan error{watched, watched, ran}[n]:
			must(t, err)
		case <-time.After(5 * time.Second):
			t.Fatalf("%d does not end", n)
		}
		if limit := []time.Duration{time.Second, time.Second, 4 * time.Second}[n]; time.Since(began) > limit {
			t.Errorf("%d took %v", n, time.Since(began))
		}
	}
	must(t, server.Thaw())
}
