package discovery

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// hosts are instances 10.0.0.from to 10.0.0.to at port 80.
func hosts(from, to int) []registry.Instance {
	var list []registry.Instance
	for n := from; n <= to; n++ {
		list = append(list, at(fmt.Sprintf("10.0.0.%d", n), 80))
	}
	return list
}

// stage is one scripted registry "a" with subscribers of its services.
type stage struct {
	t     *testing.T
	c     *Catalogue
	world *world
	net   *network
	heard map[string]*heard
}

func newStage(t *testing.T, services ...string) *stage {
	s := &stage{t: t, net: newNetwork(), world: &world{}, heard: map[string]*heard{}}
	s.c = newCatalogueIn(t, s.net)
	apply(t, s.c, map[string]registry.Config{"a": s.world.config(1)})
	for _, name := range services {
		h := &heard{}
		s.heard[name] = h
		sub := s.c.Subscribe(key("a", name), h.notify)
		t.Cleanup(sub.Close)
	}
	synctest.Wait()
	s.world.named("a").opts.Report(registry.Live, nil)
	return s
}

func (s *stage) push(service string, list ...registry.Instance) {
	s.world.named("a").push(registry.App(service), list...)
}

// want checks who may be picked now, without waiting for probes.
func (s *stage) want(service, state string) {
	s.t.Helper()
	synctest.Wait()
	e, _ := s.c.services.feeds[key("a", service)].newest()
	if got := ids(e); got != state {
		s.t.Errorf("%s: %s, want %s", service, got, state)
	}
	held := 0
	for _, u := range e.Usable {
		if u.Held != nil {
			held++
		}
	}
	if e.Held != held {
		s.t.Errorf("%s: %d are counted as held, %d are", service, e.Held, held)
	}
}

func (s *stage) counts() Counts { return s.c.Registries()[0].Counts }

func TestSmallLossesAreBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "orders", "small")
		s.push("orders", hosts(1, 10)...)
		s.push("orders", hosts(1, 3)...) // 70 %, and not more
		s.want("orders", "[10.0.0.1:80 10.0.0.2:80 10.0.0.3:80]")
		s.push("small", hosts(20, 22)...)
		time.Sleep(CollapseWindow + time.Second)
		s.push("small") // all, but few
		s.want("small", "[]")
		if s.net.probed("10.0.0.4:80")+s.net.probed("10.0.0.20:80") != 0 {
			t.Error("somebody was probed whose leaving was believed")
		}
	})
}

func TestCollapseOfAServiceIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "orders")
		s.net.refuse["10.0.0.3:80"] = true
		s.net.silence["10.0.0.4:80"] = true
		s.push("orders", hosts(1, 5)...)
		began := time.Now()
		s.push("orders")
		s.want("orders", "[10.0.0.1:80? 10.0.0.2:80? 10.0.0.3:80? 10.0.0.4:80? 10.0.0.5:80?]")
		if n := s.counts(); n.Held != 5 || n.Usable != 5 {
			t.Errorf("counts %+v", n)
		}
		time.Sleep(500 * time.Millisecond)
		s.want("orders", "[10.0.0.1:80? 10.0.0.2:80? 10.0.0.4:80? 10.0.0.5:80?]") // one has refused
		time.Sleep(4 * time.Second)
		s.want("orders", "[10.0.0.1:80? 10.0.0.2:80? 10.0.0.5:80?]") // one did not answer twice
		s.push("orders", hosts(1, 1)...)
		s.want("orders", "[10.0.0.1:80 10.0.0.2:80? 10.0.0.5:80?]") // back as if nothing had been
		s.net.set(s.net.refuse, "10.0.0.2:80", true)
		time.Sleep(2 * time.Second)
		s.want("orders", "[10.0.0.1:80 10.0.0.5:80?]")

		e, _ := s.c.services.feeds[key("a", "orders")].newest()
		hold := e.Usable[1].Held
		if !hold.Since.Equal(began) || !hold.Until.Equal(began.Add(time.Minute)) || hold.Reason == "" {
			t.Errorf("held %+v", hold)
		}
		time.Sleep(time.Until(hold.Until) - time.Millisecond)
		s.want("orders", "[10.0.0.1:80 10.0.0.5:80?]")
		time.Sleep(time.Millisecond)
		s.want("orders", "[10.0.0.1:80]") // the registry is believed after all
		settle()
		if got := s.heard["orders"].ids(); got != "[10.0.0.1:80]" {
			t.Errorf("the subscriber believes %s", got)
		}
		if n := s.net.probed("10.0.0.5:80"); n < 45 || n > 80 {
			t.Errorf("%d probes in a minute", n)
		}
		probes := s.net.probed("10.0.0.5:80")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if s.net.probed("10.0.0.5:80") != probes || len(s.c.prober.targets) != 0 {
			t.Error("probes go on though nobody is held")
		}
	})
}

// A registry that loses its instances one by one, as leases end, collapses like one that loses them together.
func TestCollapseInSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "orders")
		s.net.refuse["10.0.0.10:80"] = true
		s.push("orders", hosts(1, 10)...)
		for n := 9; n >= 0; n-- {
			time.Sleep(300 * time.Millisecond)
			s.push("orders", hosts(1, n)...)
		}
		time.Sleep(time.Second) // for the probes of those that were believed to be gone
		s.want("orders", "[10.0.0.1:80? 10.0.0.2:80? 10.0.0.3:80? 10.0.0.4:80? 10.0.0.5:80? 10.0.0.6:80? 10.0.0.7:80? 10.0.0.8:80? 10.0.0.9:80?]")
		time.Sleep(time.Minute)
		s.want("orders", "[]")
	})
}

func TestDeploymentIsNoCollapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "orders")
		s.push("orders", hosts(1, 10)...)
		s.push("orders", hosts(11, 20)...)
		s.push("orders", hosts(21, 30)...)
		if n := s.counts(); n.Usable != 10 || n.Held != 0 {
			t.Errorf("counts %+v", n)
		}
	})
}

func TestOnPurposeIsNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "orders")
		list := hosts(1, 6)
		s.push("orders", list...)
		list[0].Disabled = true
		list[1].Weight = 0
		for n := 2; n < 6; n++ {
			list[n].Unhealthy = true
		}
		s.push("orders", list...)
		s.want("orders", "[10.0.0.3:80? 10.0.0.4:80? 10.0.0.5:80? 10.0.0.6:80?]") // two were put out of service, and all others failed
		s.push("orders", hosts(1, 6)...)
		for n := range list {
			list[n] = hosts(1, 6)[n]
			list[n].Unhealthy = true
		}
		time.Sleep(CollapseWindow + time.Second)
		s.push("orders", list...)
		s.want("orders", "[10.0.0.1:80? 10.0.0.2:80? 10.0.0.3:80? 10.0.0.4:80? 10.0.0.5:80? 10.0.0.6:80?]")
		if n := s.counts(); n.Excluded != 0 {
			t.Errorf("%d are excluded and held", n.Excluded)
		}
		list[3].Disabled = true // somebody looks after it
		s.push("orders", list...)
		s.want("orders", "[10.0.0.1:80? 10.0.0.2:80? 10.0.0.3:80? 10.0.0.5:80? 10.0.0.6:80?]")
		if n := s.counts(); n.Excluded != 1 {
			t.Errorf("counts %+v", n)
		}
	})
}

func TestCollapseOfARegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []string{"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"}
		s := newStage(t, names...)
		var logged bytes.Buffer
		s.c.logger = slog.New(slog.NewTextHandler(&logged, nil))
		for n, name := range names {
			s.push(name, hosts(n*10, n*10+1)...)
		}
		s.net.refuse["10.0.0.1:80"] = true
		for _, name := range names[:3] {
			s.push(name) // 30 %, of services too small to be doubted
			s.want(name, "[]")
			time.Sleep(time.Second)
		}
		for _, name := range names[3:] {
			s.push(name)
		}
		s.want("s3", "[10.0.0.30:80? 10.0.0.31:80?]")
		s.want("s9", "[10.0.0.90:80? 10.0.0.91:80?]")
		time.Sleep(500 * time.Millisecond)
		s.want("s0", "[10.0.0.0:80?]") // what was believed before it was seen to be a collapse, and lives
		s.want("s2", "[10.0.0.20:80? 10.0.0.21:80?]")
		if n := s.counts(); n.Held != 19 {
			t.Errorf("counts %+v", n)
		}
		// One change more is part of it; one service comes back.
		s.push("s5", hosts(50, 51)...)
		s.want("s5", "[10.0.0.50:80 10.0.0.51:80]")
		time.Sleep(10 * time.Second)
		s.push("s5")
		s.want("s5", "[10.0.0.50:80? 10.0.0.51:80?]")

		time.Sleep(time.Minute)
		for _, name := range names {
			s.want(name, "[]")
		}
		text := logged.String()
		if strings.Count(text, "collapse=registry") != 1 || !strings.Contains(text, "s3") || !strings.Contains(text, "lost=14") {
			t.Errorf("log %s", text)
		}
		if !strings.Contains(text, "names=\"[s3 s4 s5 s6 s7 s8 s9]\"") {
			t.Errorf("log %s", text)
		}
		dropped := 0
		for _, m := range regexp.MustCompile(`dropped=(\d+)`).FindAllStringSubmatch(text, -1) {
			n, _ := strconv.Atoi(m[1])
			dropped += n
		}
		if dropped != 19 {
			t.Errorf("%d are said to be dropped in the end: %s", dropped, text)
		}
		if strings.Count(text, "level=WARN") > 6 {
			t.Errorf("log %s", text)
		}
	})
}

// Services that leave one by one within an hour are nobody's collapse.
func TestSlowLossOfARegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []string{"s0", "s1", "s2", "s3", "s4", "s5"}
		s := newStage(t, names...)
		for n, name := range names {
			s.push(name, hosts(n*10, n*10+1)...)
		}
		for _, name := range names {
			time.Sleep(CollapseWindow)
			time.Sleep(time.Second)
			s.push(name)
			s.want(name, "[]")
		}
	})
}

// The registry was restarted empty: its first word after that empties even the smallest service, but nobody has left.
func TestRestartedEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "orders")
		s.push("orders", hosts(1, 2)...)
		reg := s.world.named("a")
		reg.opts.Report(registry.Stale, errors.New("connection reset"))
		s.want("orders", "[10.0.0.1:80 10.0.0.2:80]")
		time.Sleep(time.Minute)
		reg.opts.Report(registry.Live, nil)
		s.push("orders")
		s.want("orders", "[10.0.0.1:80? 10.0.0.2:80?]")
		time.Sleep(3 * time.Second)
		s.push("orders", hosts(1, 1)...)
		s.want("orders", "[10.0.0.1:80 10.0.0.2:80?]")
		s.push("orders", hosts(1, 2)...)
		s.want("orders", "[10.0.0.1:80 10.0.0.2:80]")
		time.Sleep(afterReconnect)
		s.push("orders")
		s.want("orders", "[]") // much later a small service's end is believed
	})
}

func TestReplacedSourceIsComparedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "orders")
		s.push("orders", hosts(1, 5)...)
		apply(t, s.c, map[string]registry.Config{"a": s.world.config(2)}) // other credentials, say
		synctest.Wait()
		s.push("orders", hosts(1, 1)...)
		s.want("orders", "[10.0.0.1:80 10.0.0.2:80? 10.0.0.3:80? 10.0.0.4:80? 10.0.0.5:80?]")
		// Another registry is another truth.
		other := s.world.config(2)
		other.ID = "elsewhere"
		apply(t, s.c, map[string]registry.Config{"a": other})
		synctest.Wait()
		s.push("orders", hosts(9, 9)...)
		s.want("orders", "[10.0.0.9:80]")
		if n := s.counts(); n.Held != 0 || s.c.guards["a"].held != 0 || s.c.guards["a"].total != 1 {
			t.Errorf("counts %+v", n)
		}
	})
}

func TestPolicyChangesWithoutAReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "orders", "users")
		s.push("orders", hosts(1, 5)...)
		s.push("orders")
		cfg := s.world.config(1)
		if err := s.c.Apply(map[string]Spec{"a": {Config: cfg, Policy: Policy{
			Hold: time.Minute, ServiceCollapse: 0.5, CollapseMin: 1,
			DenyAddresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/31")},
		}}}); err != nil {
			t.Fatal(err)
		}
		if s.world.count() != 1 {
			t.Error("the registry was built again")
		}
		s.want("orders", "[10.0.0.1:80? 10.0.0.4:80? 10.0.0.5:80?]")
		s.push("users", hosts(1, 4)...)
		s.want("users", "[10.0.0.1:80 10.0.0.4:80]")
		s.push("users", hosts(1, 3)...)
		s.want("users", "[10.0.0.1:80]")
		s.push("users")
		s.want("users", "[10.0.0.1:80?]")
		if n := s.counts(); n.Held != 4 || s.c.guards["a"].held != 4 {
			t.Errorf("counts %+v, guard %d", n, s.c.guards["a"].held)
		}
		// The zero policy believes.
		if err := s.c.Apply(map[string]Spec{"a": {Config: cfg}}); err != nil {
			t.Fatal(err)
		}
		s.push("users")
		s.want("users", "[]")
		s.push("orders", hosts(2, 2)...)
		s.want("orders", "[10.0.0.2:80]")
	})
}

// Who unsubscribes takes its instances out of the books.
func TestUnsubscribedServicesAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "orders")
		s.push("orders", hosts(1, 4)...)
		var h heard
		sub := s.c.Subscribe(key("a", "users"), h.notify)
		synctest.Wait()
		s.push("users", hosts(11, 30)...)
		s.push("users")
		if g := s.c.guards["a"]; g.total != 4 || g.held != 20 {
			t.Errorf("%d usable, %d held", g.total, g.held)
		}
		sub.Close()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if g := s.c.guards["a"]; g.total != 4 || g.held != 0 || g.net != 0 || g.losing != 0 || len(g.losses) != 0 {
			t.Errorf("guard %+v", g)
		}
		if len(s.c.prober.targets) != 0 {
			t.Errorf("%d addresses are probed for nobody", len(s.c.prober.targets))
		}
	})
}
