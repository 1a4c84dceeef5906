package nacos

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

func TestOlderServer(t *testing.T) {
	f := startFake(t)
	unregistered := 2
	f.with(func() {
		f.old = true
		f.services["DEFAULT_GROUP@@a"] = []any{aHost("10.0.0.1")}
		f.answer = func(kind string, _ map[string]any) (any, bool) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if kind == typeHealthCheck && unregistered > 0 {
				unregistered--
				return refused(codeUnregistered, "Connection is unregistered."), true
			}
			return nil, false
		}
	})
	r := f.rig()
	set := r.WatchServices()
	r.Watch(registry.App("a")).Until("the instance", registrytest.Has("10.0.0.1:80"))
	set.Until("the list", lists(registry.ServiceName{Name: "a", Group: "DEFAULT_GROUP"}))
	f.with(func() { f.services["DEFAULT_GROUP@@b"] = nil })
	set.Until("the new name", lists(registry.ServiceName{Name: "b", Group: "DEFAULT_GROUP"}))
	if n := f.count(typeFuzzyWatch); n != 0 {
		t.Errorf("%d fuzzy watches asked of a server that cannot", n)
	}
	f.with(func() { delete(f.services, "DEFAULT_GROUP@@a") })
	set.Until("the name to go", func(s registry.ServiceSet) bool { return len(s.Services) == 1 })
	r.NoErrors()
}

func TestUnorderedPagesDropNothing(t *testing.T) {
	f := startFake(t)
	const all = 30
	round := 0
	f.with(func() {
		f.fuzzy = false
		f.answer = func(kind string, body map[string]any) (any, bool) {
			if kind != typeServiceList {
				return nil, false
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			// Pages of ten whatever was asked for, from a set that is shuffled between them: some names come twice, others not.
			round++
			names := []string{}
			if page := int(body["pageNo"].(float64)); page <= all/10 {
				for n := range 10 {
					names = append(names, fmt.Sprintf("s%d", (page*10+n+round*7)%all))
				}
			}
			return map[string]any{"resultCode": 200, "count": all, "serviceNames": names}, true
		}
	})
	r := f.rig(func(c *Config, _ *registry.Options) { c.ListInterval = 100 * time.Millisecond })
	set := r.WatchServices()
	set.Until("all names", func(s registry.ServiceSet) bool { return len(s.Services) == all })
	seen := len(set.All())
	registrytest.Within(t, "more listings", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return round > 40 })
	for _, s := range set.All()[seen-1:] {
		if len(s.Services) != all {
			t.Fatalf("the list shrank to %d", len(s.Services))
		}
	}
}

func TestEmptyAfterReconnectIsDoubted(t *testing.T) {
	f := startFake(t)
	f.with(func() {
		f.services["DEFAULT_GROUP@@back"] = []any{aHost("10.0.0.1")}
		f.services["DEFAULT_GROUP@@gone"] = []any{aHost("10.0.0.2")}
		f.configs["mapping/I"] = "app"
		f.configs["dubbo/I:::provider:app"] = "{}"
		f.configs["mapping/J"] = "app"
		f.configs["dubbo/J:::provider:app"] = "{}"
	})
	r := f.rig(func(c *Config, _ *registry.Options) { c.Settle = time.Second })
	back, gone := r.Watch(registry.App("back")), r.Watch(registry.App("gone"))
	i, j := r.WatchDefinition(registry.DubboService("I", "", "")), r.WatchDefinition(registry.DubboService("J", "", ""))
	set := r.WatchServices()
	back.Until("an instance", registrytest.Has("10.0.0.1:80"))
	gone.Until("an instance", registrytest.Has("10.0.0.2:80"))
	i.Until("a definition", func(s string) bool { return s == "{}" })
	j.Until("a definition", func(s string) bool { return s == "{}" })
	set.Until("a list", func(s registry.ServiceSet) bool { return len(s.Services) >= 2 })

	n, nI := len(back.All()), len(i.All())
	f.restart(func() { f.with(func() { clear(f.services); clear(f.configs) }) })
	registrytest.Within(t, "a new subscription", func() bool { return f.count(typeSubscribe+" back") >= 2 && f.count(typeSubscribe+" gone") >= 2 })
	r.Await(registry.Live)
	live := time.Now()
	f.pushService("back") // servers also push that there is nothing
	f.pushService("back", aHost("10.0.0.1"), aHost("10.0.0.3"))
	f.with(func() {
		f.configs["mapping/I"] = "app"
		f.configs["dubbo/I:::provider:app"] = "{}"
	})
	f.push(typeConfigChange, map[string]any{"requestId": "7", "group": "mapping", "dataId": "I", "tenant": "public"})
	f.push(typeConfigChange, map[string]any{"requestId": "8", "group": "dubbo", "dataId": "I:::provider:app"})
	back.Until("the instances", registrytest.Has("10.0.0.1:80", "10.0.0.3:80"))
	if d := time.Since(live); d > 700*time.Millisecond {
		t.Errorf("the instances came %v after the connection: they end the doubt at once", d)
	}
	for _, s := range back.All()[n:] {
		if len(s.Instances) == 0 {
			t.Error("an empty state was pushed")
		}
	}
	for _, d := range i.All()[nI:] {
		if d == "" {
			t.Error("an absent definition was pushed")
		}
	}
	gone.Until("what is really gone", registrytest.Has())
	j.Until("what is really gone", func(s string) bool { return s == "" })
	if d := time.Since(live); d < 700*time.Millisecond {
		t.Errorf("believed after %v, the doubt lasts 1s", d)
	}
	set.Until("the list without it", func(s registry.ServiceSet) bool { return len(s.Services) == 1 })

	// Once instances were seen, an empty push is the truth.
	f.pushService("back")
	back.Until("nothing", registrytest.Has())
}

func TestFirstEmptyAnswerIsBelieved(t *testing.T) {
	f := startFake(t)
	r := f.rig(func(c *Config, _ *registry.Options) { c.Settle = time.Hour })
	r.Watch(registry.App("never")).Until("nothing", registrytest.Has())
}

func TestOneServiceNeverBlocksAnother(t *testing.T) {
	f := startFake(t)
	block := make(chan struct{})
	t.Cleanup(sync.OnceFunc(func() { close(block) }))
	f.with(func() {
		f.services["DEFAULT_GROUP@@good"] = []any{aHost("10.0.0.1")}
		f.answer = func(kind string, body map[string]any) (any, bool) {
			switch body["serviceName"] {
			case "slow":
				<-block
			case "refused":
				return refused(403, "no permission"), true
			case "garbage":
				return "}{", true
			case "nothing":
				return map[string]any{"resultCode": 200}, true
			}
			return nil, false
		}
	})
	r := f.rig(func(c *Config, _ *registry.Options) { c.Timeouts.Request = 500 * time.Millisecond })
	bad := map[string]*registrytest.Pushes[registry.Snapshot]{}
	for _, name := range []string{"slow", "refused", "garbage", "nothing"} {
		bad[name] = r.Watch(registry.App(name))
	}
	good := r.Watch(registry.App("good"))
	good.Until("the good one", registrytest.Has("10.0.0.1:80"))
	for name := range bad {
		registrytest.Within(t, "an error about "+name, func() bool { return r.SawError("DEFAULT_GROUP@@" + name) })
	}
	f.pushService("good", aHost("10.0.0.2"))
	good.Until("its change", registrytest.Has("10.0.0.2:80"))
	if s := r.State(); s != registry.Live {
		t.Errorf("the state is %v", s)
	}
	for name, p := range bad {
		if n := len(p.All()); n != 0 {
			t.Errorf("%d states of %s were pushed", n, name)
		}
	}
	f.with(func() { f.answer = nil })
	for name, p := range bad {
		if name != "slow" {
			p.Until(name+" after it was mended", registrytest.Has())
		}
	}
}

func TestBadInstancesAreSkippedByName(t *testing.T) {
	f := startFake(t)
	f.with(func() {
		f.services["DEFAULT_GROUP@@a"] = []any{
			aHost("10.0.0.1"), aHost("bad host"), "nonsense", map[string]any{"ip": "10.0.0.2", "port": "x"},
			map[string]any{"ip": "10.0.0.3", "port": 0, "instanceId": "three"}, map[string]any{"ip": "::1", "port": 81},
			map[string]any{"ip": "10.0.0.4", "port": 70000}, map[string]any{"ip": "10.0.0.5", "port": 80, "weight": -1},
		}
	})
	r := f.rig()
	p := r.Watch(registry.App("a"))
	got := p.Until("the good ones", registrytest.Has("10.0.0.1:80", "[::1]:81"))
	if got.SkippedCount != 6 || len(got.Skipped) != 6 {
		t.Errorf("skipped %d: %+v", got.SkippedCount, got.Skipped)
	}
	for _, want := range []string{"three", "10.0.0.4:70000", "hosts[2]", "bad host"} {
		if !strings.Contains(fmt.Sprint(got.Skipped), want) {
			t.Errorf("%s is not named in %v", want, got.Skipped)
		}
	}
	// A push that cannot be read changes nothing, but is acknowledged, or the server would repeat it for ever.
	f.push(typeNotifySubscriber, map[string]any{"requestId": "1", "serviceInfo": "nonsense"})
	f.push(typeNotifySubscriber, map[string]any{"requestId": "2"})
	f.push("SomethingNewRequest", map[string]any{"requestId": "3"})
	f.push(typeClientDetection, map[string]any{"requestId": "4"})
	registrytest.Within(t, "acknowledgements", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return strings.HasSuffix(strings.Join(f.acked, " "),
			"NotifySubscriberResponse NotifySubscriberResponse SomethingNewResponse ClientDetectionResponse")
	})
	registrytest.Within(t, "the errors", func() bool { return r.SawError("read NotifySubscriberRequest") && r.SawError("it holds no service") })
	f.pushService("a", aHost("10.0.0.9"))
	p.Until("the next push", registrytest.Has("10.0.0.9:80"))
}

func TestPushOvertakesAnswer(t *testing.T) {
	f := startFake(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	f.with(func() {
		f.answer = func(kind string, body map[string]any) (any, bool) {
			if kind != typeSubscribe {
				return nil, false
			}
			close(arrived)
			<-release
			return map[string]any{"resultCode": 200, "serviceInfo": info("DEFAULT_GROUP", "a", []any{aHost("10.0.0.1")})}, true
		}
	})
	r := f.rig()
	p := r.Watch(registry.App("a"))
	<-arrived
	f.pushService("a", aHost("10.0.0.2"))
	p.Until("the push", registrytest.Has("10.0.0.2:80"))
	close(release)
	registrytest.Within(t, "the answer to be taken", func() bool {
		r.reg.mu.Lock()
		defer r.reg.mu.Unlock()
		return !r.reg.services[serviceKey{"DEFAULT_GROUP", "a"}].busy
	})
	p.Until("the newer state to stay", registrytest.Has("10.0.0.2:80"))
}

func TestFailoverAndReset(t *testing.T) {
	a, b := startFake(t), startFake(t)
	for n, f := range []*fake{a, b} {
		f.with(func() { f.services["DEFAULT_GROUP@@x"] = []any{aHost(fmt.Sprintf("10.0.0.%d", n+1))} })
	}
	r := a.rig(func(c *Config, _ *registry.Options) { c.Addresses = []string{a.address, b.address} })
	p := r.Watch(registry.App("x"))
	onA, onB := registrytest.Has("10.0.0.1:80"), registrytest.Has("10.0.0.2:80")
	first := p.Until("either", func(s registry.Snapshot) bool { return onA(s) || onB(s) })
	from, to, there := a, b, onB
	if onB(first) {
		from, to, there = b, a, onA
	}
	host, port, _ := strings.Cut(to.address, ":")
	from.push(typeConnectReset, map[string]any{"requestId": "1", "serverIp": host, "serverPort": port})
	p.Until("the other", there)
	// An address that is not ours is not followed, but the connection is given up.
	to.push(typeConnectReset, map[string]any{"requestId": "2", "serverIp": "192.0.2.1", "serverPort": 8848})
	p.Until("the next of ours", func(s registry.Snapshot) bool { return !there(s) })
	from.server.Stop()
	p.Until("the one that is left", there)
	r.Await(registry.Live)
}

func TestLostConfigNoticeIsFound(t *testing.T) {
	f := startFake(t)
	f.with(func() { f.configs["mapping/I"] = "app" })
	c := Default()
	c.Addresses, c.GRPCPortOffset = []string{f.address}, 0
	r := &rig{Rig: registrytest.New(t), config: c}
	r.reg = newClient(c, registry.Options{Logger: quietLogger(), Report: r.Report})
	r.Use(r.reg)
	r.reg.comparePause = 50 * time.Millisecond
	r.Background(r.reg.Run)
	p := r.WatchDefinition(registry.DubboService("I", "", ""))
	p.Until("nothing", func(s string) bool { return s == "" })
	f.with(func() { f.configs["dubbo/I:::provider:app"] = "{}" }) // no notice
	p.Until("the definition", func(s string) bool { return s == "{}" })
	f.with(func() { delete(f.configs, "dubbo/I:::provider:app") })
	p.Until("nothing again", func(s string) bool { return s == "" })
	r.NoErrors()
}

func TestUnwatchedIsLeft(t *testing.T) {
	f := startFake(t)
	r := f.rig()
	a, b := r.Watch(registry.App("x")), r.Watch(registry.App("x"))
	d, set := r.Watch(registry.DubboService("I", "*", "")), r.WatchServices()
	a.Until("an answer", registrytest.Has())
	b.Until("an answer", registrytest.Has())
	d.Until("an answer", registrytest.Has())
	if n := f.count(typeSubscribe + " x"); n != 1 {
		t.Errorf("%d subscriptions of one service", n)
	}
	a.Stop()
	f.pushService("x", aHost("10.0.0.1"))
	b.Until("the push", registrytest.Has("10.0.0.1:80"))
	b.Stop()
	d.Stop()
	set.Stop()
	registrytest.Within(t, "nothing to be left", func() bool {
		r.reg.mu.Lock()
		defer r.reg.mu.Unlock()
		return len(r.reg.subjectsLocked()) == 0
	})
	if n := f.count(typeSubscribe + " x"); n != 2 {
		t.Errorf("%d requests about the service, want one to come and one to leave", n)
	}
	again := r.Watch(registry.App("x"))
	again.Until("the state", registrytest.Has("10.0.0.1:80"))
}

func TestDeletedNamesAfterReconnectAreDoubted(t *testing.T) {
	f := startFake(t)
	f.with(func() { f.services["DEFAULT_GROUP@@a"], f.services["DEFAULT_GROUP@@b"] = nil, nil })
	r := f.rig(func(c *Config, _ *registry.Options) {
		c.Settle, c.ListInterval = 500*time.Millisecond, 150*time.Millisecond
	})
	set := r.WatchServices()
	set.Until("both", func(s registry.ServiceSet) bool { return len(s.Services) == 2 })
	f.push(typeFuzzyChange, map[string]any{"requestId": "1", "serviceKey": "public@@DEFAULT_GROUP@@a", "changedType": changeDelete})
	f.push(typeFuzzyChange, map[string]any{"requestId": "2", "serviceKey": "public@@DEFAULT_GROUP@@c", "changedType": changeAdd})
	set.Until("the new one beside both", func(s registry.ServiceSet) bool { return len(s.Services) == 3 })
	// a and b are on the server's list, c never was.
	set.Until("the list to be right", func(s registry.ServiceSet) bool {
		return len(s.Services) == 2 && s.Services[0].Name == "a" && s.Services[1].Name == "b"
	})
	registrytest.Within(t, "the server to settle", func() bool {
		r.reg.mu.Lock()
		defer r.reg.mu.Unlock()
		return r.reg.session != nil && r.reg.session.settled()
	})
	f.with(func() { delete(f.services, "DEFAULT_GROUP@@a") })
	f.push(typeFuzzyChange, map[string]any{"requestId": "3", "serviceKey": "public@@DEFAULT_GROUP@@a", "changedType": changeDelete})
	set.Until("it to be gone at once", func(s registry.ServiceSet) bool { return len(s.Services) == 1 && s.Services[0].Name == "b" })
	f.push(typeFuzzyChange, map[string]any{"requestId": "4", "serviceKey": "nonsense", "changedType": changeAdd})
	f.push(typeFuzzySync, map[string]any{"requestId": "5", "contexts": []any{
		map[string]any{"serviceKey": "public@@DEFAULT_GROUP@@d", "changedType": changeAdd},
		map[string]any{"serviceKey": "public@@OTHER@@e", "changedType": changeAdd},
	}})
	set.Until("the first of a batch", lists(registry.ServiceName{Name: "d", Group: "DEFAULT_GROUP"}))
}

func TestRefusedFuzzyWatchIsReplacedByListing(t *testing.T) {
	for _, code := range []int{50310, 50311, codeNoHandler, 500} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			f := startFake(t)
			f.with(func() {
				f.services["DEFAULT_GROUP@@a"] = nil
				f.answer = func(kind string, _ map[string]any) (any, bool) {
					return refused(code, "over the limit"), kind == typeFuzzyWatch
				}
			})
			r := f.rig()
			set := r.WatchServices()
			set.Until("what there is", lists(registry.ServiceName{Name: "a", Group: "DEFAULT_GROUP"}))
			// A server over its limit pushes a part of its names all the same; that is no reason to believe it complete.
			f.push(typeFuzzySync, map[string]any{"requestId": "1", "contexts": []any{
				map[string]any{"serviceKey": "public@@DEFAULT_GROUP@@a", "changedType": changeAdd}}})
			f.with(func() { f.services["DEFAULT_GROUP@@b"] = nil })
			set.Until("what came later", lists(registry.ServiceName{Name: "b", Group: "DEFAULT_GROUP"}))
			f.with(func() { delete(f.services, "DEFAULT_GROUP@@a") })
			set.Until("what is left", func(s registry.ServiceSet) bool { return len(s.Services) == 1 })
			if n := f.count(typeFuzzyWatch); n != 1 {
				t.Errorf("it was asked for %d times on one connection", n)
			}
			r.NoErrors()
		})
	}
}
