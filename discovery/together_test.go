package discovery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// Everything at once, for the race detector and for the order of locks: merged registries, collapses and probes, policies,
// states on disk, announcements, status, while registries come, fail and go.
func TestEverythingTogether(t *testing.T) {
	folder := t.TempDir()
	w, n := &world{}, newNetwork()
	c := newCatalogueIn(t, n)
	c.Keep(Keep{Path: folder})
	set := func(rev int) map[string]Spec {
		s := trio(w, rev/3, rev%2)
		cfg := registers(w, rev/3)
		p := Policy{ServiceCollapse: 0.5, RegistryCollapse: 0.2, CollapseMin: 1 + rev%3, Hold: 20 * time.Millisecond}
		if rev%4 == 0 {
			p.DenyAddresses = []netip.Prefix{netip.MustParsePrefix("10.0.0.2/31")}
		}
		s["nacos"] = Spec{Config: cfg, Policy: p}
		return s
	}
	if err := c.Apply(set(0)); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var tasks sync.WaitGroup
	busy := func(work func(r *rand.Rand)) {
		tasks.Go(func() {
			r := rand.New(rand.NewPCG(3, 4))
			for {
				select {
				case <-stop:
					return
				default:
					work(r)
				}
			}
		})
	}
	name := func(r *rand.Rand) string { return fmt.Sprint("s", r.IntN(4)) }
	for _, reg := range []string{"nacos", "eureka"} {
		busy(func(r *rand.Rand) {
			service := registry.App(name(r))
			if push := w.named(reg).pushed(service); push != nil {
				push(registry.Snapshot{Service: service, Instances: hosts(1, r.IntN(6))})
			}
			if r.IntN(10) == 0 {
				w.named(reg).opts.Report(registry.Stale, errors.New("lost"))
				w.named(reg).opts.Report(registry.Live, nil)
			}
			n.set(n.refuse, fmt.Sprintf("10.0.0.%d:80", r.IntN(6)), r.IntN(2) == 0)
		})
	}
	busy(func(r *rand.Rand) {
		var closed atomic.Bool
		s := c.Subscribe(key("all", name(r)), func(*Endpoints) {
			if closed.Load() {
				t.Error("called after Close")
			}
		})
		d := c.Subscribe(key("nacos", name(r)), func(*Endpoints) {})
		l := c.SubscribeServices("all", func(*registry.ServiceSet) {})
		f := c.SubscribeDefinition(key("all", name(r)), func(*Definition) {})
		time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
		s.Close()
		closed.Store(true)
		d.Close()
		l.Close()
		f.Close()
	})
	busy(func(*rand.Rand) { c.Waiting(); c.Services(); c.Registries(); c.Announcements() })
	busy(func(*rand.Rand) { c.keeper.writeAll(false) })
	busy(func(r *rand.Rand) {
		a := c.Announce("nacos", ourselves())
		time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
		a.Close(context.Background())
	})
	var hold heard
	sub := c.Subscribe(key("all", "s0"), hold.notify)
	for rev := range 40 {
		if err := c.Apply(set(rev)); err != nil {
			t.Fatal(err)
		}
		c.Keep(Keep{Path: folder, MaxAge: time.Duration(rev) * time.Hour})
		time.Sleep(5 * time.Millisecond)
	}
	close(stop)
	tasks.Wait()
	sub.Close()
	if got := c.Services(); len(got) != 0 {
		t.Errorf("services nobody wants: %+v", got)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.guards["nacos"]; len(c.services.feeds) == 0 && (g.total != 0 || g.held != 0 || len(g.losses) != 0) {
		t.Errorf("%d usable, %d held, %d losses in the books of no service", g.total, g.held, len(g.losses))
	}
}

// One member answers, the other starts from the disk: the union is of both, and not stale as a whole.
func TestMergedRegistryFromDisk(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		first := newCatalogue(t)
		first.Keep(Keep{Path: folder, MaxAge: time.Hour})
		applySpecs(t, first, trio(w, 1, 1))
		var h heard
		first.Subscribe(key("all", "orders"), h.notify)
		synctest.Wait()
		w.named("nacos").push(registry.App("orders"), at("10.0.0.1", 80))
		w.named("eureka").push(registry.App("orders"), at("10.0.0.1", 80), at("10.0.0.2", 80))
		first.Close()

		second := newCatalogue(t)
		second.Keep(Keep{Path: folder, MaxAge: time.Hour})
		applySpecs(t, second, trio(w, 1, 1))
		var again heard
		second.Subscribe(key("all", "orders"), again.notify)
		synctest.Wait()
		w.named("nacos").opts.Report(registry.Connecting, errors.New("connection refused"))
		w.named("eureka").push(registry.App("orders"), at("10.0.0.2", 80))
		settle()
		if got := sources(&again); got != "10.0.0.1:80 nacos 1, 10.0.0.2:80 eureka 1" {
			t.Errorf("%s", got)
		}
		r := second.Registries()[0]
		if second.Waiting() != nil || !r.Kept.Serving || r.Counts.Stale != 0 || !r.Answered {
			t.Errorf("waiting for %q, status %+v", second.Waiting(), r)
		}
		if n := second.Registries()[2]; !n.Down || n.Word() != "down" || n.Counts.Stale != 1 {
			t.Errorf("status %+v", n)
		}
		second.Close()
	})
}
