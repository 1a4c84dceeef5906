package discovery

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
)

// trio is nacos and eureka, and "all" that is made of both, nacos first.
func trio(w *world, nacos, eureka int) map[string]Spec {
	return map[string]Spec{
		"nacos": {Config: w.config(nacos), Policy: DefaultPolicy()}, "eureka": {Config: w.config(eureka), Policy: DefaultPolicy()},
		"all": {Members: []string{"nacos", "eureka"}},
	}
}

func applySpecs(t *testing.T, c *Catalogue, s map[string]Spec) {
	t.Helper()
	if err := c.Apply(s); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// sources lists who may be picked, and by whose word.
func sources(h *heard) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) == 0 {
		return "silence"
	}
	var out []string
	e := h.all[len(h.all)-1]
	for _, u := range e.Usable {
		out = append(out, fmt.Sprint(u.ID, " ", u.Source, " ", u.Weight))
	}
	for _, x := range e.Excluded {
		out = append(out, x.Reason+" "+x.ID+" "+x.Source)
	}
	return strings.Join(out, ", ")
}

func TestMergedRegistries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		applySpecs(t, c, trio(w, 1, 1))
		var h, direct heard
		defer c.Subscribe(key("all", "orders"), h.notify).Close()
		synctest.Wait()
		nacos, eureka, orders := w.named("nacos"), w.named("eureka"), registry.App("orders")
		nacos.opts.Report(registry.Live, nil)
		heavy := at("10.0.0.1", 80)
		heavy.Weight = 5
		nacos.push(orders, heavy, at("10.0.0.2", 80))
		settle()
		if got := sources(&h); got != "silence" {
			t.Errorf("%s: a part looks like the whole", got)
		}
		if got := c.Waiting(); len(got) != 1 || !strings.HasPrefix(got[0], "registry all has not told") {
			t.Errorf("waiting for %q", got)
		}
		eureka.push(orders, at("10.0.0.1", 80), at("10.0.0.3", 80))
		settle()
		if got, want := sources(&h), "10.0.0.1:80 nacos 5, 10.0.0.2:80 nacos 1, 10.0.0.3:80 eureka 1"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		// Each goes its own way.
		nacos.push(orders, at("10.0.0.2", 80))
		settle()
		if got, want := sources(&h), "10.0.0.1:80 eureka 1, 10.0.0.2:80 nacos 1, 10.0.0.3:80 eureka 1"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		// One that the first has put out of service is out, whatever the second says.
		off := at("10.0.0.1", 80)
		off.Disabled = true
		nacos.push(orders, off, at("10.0.0.2", 80))
		settle()
		if got, want := sources(&h), "10.0.0.2:80 nacos 1, 10.0.0.3:80 eureka 1, disabled 10.0.0.1:80 nacos"; got != want {
			t.Errorf("%s, want %s", got, want)
		}

		// Members' feeds are shared with who asks a member itself, and seen in the status only then.
		if got := c.Services(); len(got) != 1 {
			t.Errorf("services %v", got)
		}
		sub := c.Subscribe(key("eureka", "orders"), direct.notify)
		if got := sources(&direct); got != "10.0.0.1:80 eureka 1, 10.0.0.3:80 eureka 1" {
			t.Errorf("eureka has %s", got)
		}
		if got := c.Services(); len(got) != 2 {
			t.Errorf("services %v", got)
		}
		sub.Close()
		if _, begun, open := eureka.watching(); begun != 1 || open != 1 {
			t.Errorf("%d watches begun, %d open", begun, open)
		}

		// A changed member is replaced below; its part stays until it has spoken.
		applySpecs(t, c, trio(w, 1, 2))
		settle()
		if got, want := sources(&h), "10.0.0.2:80 nacos 1, 10.0.0.3:80 eureka 1, disabled 10.0.0.1:80 nacos"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		w.named("eureka").push(orders, at("10.0.0.4", 80), at("10.0.0.5", 80))
		settle()
		if got, want := sources(&h), "10.0.0.2:80 nacos 1, 10.0.0.4:80 eureka 1, 10.0.0.5:80 eureka 1, disabled 10.0.0.1:80 nacos"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		all := c.Registries()[0]
		if all.Name != "all" || all.State != registry.Live || !all.Answered || all.LastPush.IsZero() || all.Counts.Usable != 3 || all.Counts.Excluded != 1 {
			t.Errorf("status %+v", all)
		}
	})
}

// A collapse of a member is held below, and seen above.
func TestMergedRegistryShowsWhoIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		applySpecs(t, c, trio(w, 1, 1))
		var h heard
		defer c.Subscribe(key("all", "orders"), h.notify).Close()
		synctest.Wait()
		nacos, eureka, orders := w.named("nacos"), w.named("eureka"), registry.App("orders")
		nacos.push(orders, hosts(1, 5)...)
		eureka.push(orders, hosts(4, 6)...)
		nacos.push(orders)
		settle()
		if got := h.ids(); got != "[10.0.0.1:80? 10.0.0.2:80? 10.0.0.3:80? 10.0.0.4:80 10.0.0.5:80 10.0.0.6:80]" {
			t.Errorf("%s", got)
		}
		if n := c.Registries()[0].Counts; n.Held != 3 || n.Usable != 6 {
			t.Errorf("counts %+v", n)
		}
		time.Sleep(2 * time.Minute)
		if got := h.ids(); got != "[10.0.0.4:80 10.0.0.5:80 10.0.0.6:80]" {
			t.Errorf("%s", got)
		}
	})
}

func TestMergedRegistryWithAMemberDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		applySpecs(t, c, trio(w, 1, 1))
		var h heard
		defer c.Subscribe(key("all", "orders"), h.notify).Close()
		synctest.Wait()
		nacos, eureka, orders := w.named("nacos"), w.named("eureka"), registry.App("orders")
		eureka.push(orders, at("10.0.0.3", 80))
		h.want(t, "silence", 0)
		nacos.opts.Report(registry.Connecting, errors.New("connection refused"))
		h.want(t, "[10.0.0.3:80]", 1)
		if got := c.Waiting(); got != nil {
			t.Errorf("waiting for %q: others stand in for it", got)
		}
		var direct heard
		sub := c.Subscribe(key("nacos", "users"), direct.notify)
		if got := c.Waiting(); len(got) != 1 || got[0] != "registry nacos has not answered (connecting): connection refused" {
			t.Errorf("waiting for %q", got)
		}
		sub.Close()
		nacos.opts.Report(registry.Live, nil)
		nacos.push(orders, at("10.0.0.1", 80))
		h.want(t, "[10.0.0.1:80 10.0.0.3:80]", 2)
		// Lost later, it keeps its part.
		nacos.opts.Report(registry.Stale, errors.New("connection reset"))
		eureka.push(orders)
		h.want(t, "[10.0.0.1:80]", 3)
	})
}

// One that neither answers nor says why is not waited for longer than patience allows.
func TestMergedRegistryWithASilentMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		applySpecs(t, c, trio(w, 1, 1))
		var h heard
		defer c.Subscribe(key("all", "orders"), h.notify).Close()
		synctest.Wait()
		w.named("eureka").push(registry.App("orders"), at("10.0.0.3", 80))
		time.Sleep(patience - time.Second)
		h.want(t, "silence", 0)
		time.Sleep(time.Second)
		h.want(t, "[10.0.0.3:80]", 1)
	})
}

func TestMergedWatchThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		s := trio(w, 1, 1)
		cannot := w.config(9)
		cannot.WatchErr = errors.New("not a name of this registry")
		s["nacos"] = Spec{Config: cannot}
		applySpecs(t, c, s)
		var h heard
		defer c.Subscribe(key("all", "orders"), h.notify).Close()
		synctest.Wait()
		w.named("eureka").push(registry.App("orders"), at("10.0.0.3", 80))
		h.want(t, "[10.0.0.3:80]", 1)
		if s := c.Services(); len(s) != 1 || s[0].Err == nil || s[0].Err.Error() != "nacos: not a name of this registry" {
			t.Errorf("services %+v", s)
		}
		// Both: the merged one cannot be watched, either.
		s["eureka"] = Spec{Config: cannot}
		applySpecs(t, c, s)
		var other heard
		defer c.Subscribe(key("all", "users"), other.notify).Close()
		settle()
		all := c.Services()[1]
		if all.Err == nil || all.Err.Error() != "nacos: not a name of this registry\neureka: not a name of this registry" {
			t.Errorf("service %+v", all)
		}
		if got := c.Registries()[0].Counts; got.Failed != 1 || got.Services != 2 {
			t.Errorf("counts %+v", got)
		}
	})
}

func TestMergedLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		applySpecs(t, c, trio(w, 1, 1))
		var mu sync.Mutex
		var got []string
		defer c.SubscribeServices("all", func(s *registry.ServiceSet) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprint(s.Services))
		}).Close()
		synctest.Wait()
		w.named("nacos").lists("x", "y")
		settle()
		w.named("eureka").lists("y", "z")
		settle()
		w.named("nacos").lists("y", "x") // the registry's order is its own affair, but a stable one
		settle()
		if want := "[[x y z] [y x z]]"; fmt.Sprint(got) != want {
			t.Errorf("%v, want %s", got, want)
		}
	})
}

func TestMergedDefinitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		s := trio(w, 1, 1)
		with := w.config(3)
		with.Defines = true
		s["eureka"] = Spec{Config: with}
		applySpecs(t, c, s)
		var mu sync.Mutex
		var got []string
		k := Key{"all", registry.DubboService("com.acme.Users", "", "")}
		defer c.SubscribeDefinition(k, func(d *Definition) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, string(d.JSON))
		}).Close()
		synctest.Wait()
		reg := w.named("eureka")
		reg.define([]byte("{}"))
		settle()
		reg.define(nil)
		settle()
		if diff := cmp.Diff([]string{"{}", ""}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhatCannotBeMerged(t *testing.T) {
	w := &world{}
	own := Spec{Config: w.config(1)}
	for want, s := range map[string]map[string]Spec{
		`registry "m": there is no registry "z" to merge`:                                                          {"a": own, "m": {Members: []string{"a", "z"}}},
		`registry "m": its member "n" is a merged registry itself; name that one's members instead`:                {"a": own, "n": {Members: []string{"a"}}, "m": {Members: []string{"n", "a"}}},
		`registry "m": it is a member of itself`:                                                                   {"m": {Members: []string{"m"}}},
		`registry "m": member "a" is named twice`:                                                                  {"a": own, "m": {Members: []string{"a", "a"}}},
		`registry "m": both a registry of its own and members`:                                                     {"a": own, "m": {Config: w.config(1), Members: []string{"a"}}},
		`registry "m": neither a registry of its own nor members`:                                                  {"m": {}},
		"registry \"m\": there is no registry \"y\" to merge\nregistry \"n\": there is no registry \"z\" to merge": {"m": {Members: []string{"y"}}, "n": {Members: []string{"z"}}},
	} {
		c := newCatalogue(t)
		if err := c.Apply(s); err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
		if len(c.Registries()) != 0 || w.count() != 0 {
			t.Error("something was built")
		}
	}
}

func TestUnion(t *testing.T) {
	part := func(source string, stale bool, list ...registry.Instance) *Endpoints {
		s := registry.Snapshot{Instances: list}
		e := fromSnapshot(key(source, "s"), s, testTime, nil)
		e.Stale = stale
		return e
	}
	with := func(i registry.Instance, change func(*registry.Instance)) registry.Instance {
		change(&i)
		return i
	}
	h, g := at("h", 80), at("g", 80)
	dubbo := with(h, func(i *registry.Instance) { i.Protocol, i.Version = "dubbo", "1" })
	sick := with(h, func(i *registry.Instance) { i.Unhealthy = true })
	held := part("a", false, h, g)
	held.Usable[0].Held, held.Usable[1].Held, held.Held = &Hold{}, &Hold{}, 2
	for _, test := range []struct {
		name  string
		parts []*Endpoints
		want  []string
	}{
		{"nobody has answered but one", []*Endpoints{nil, part("b", false, h)}, []string{"use h:80 b"}},
		{"the first describes", []*Endpoints{part("a", false, h), part("b", false, h, g)}, []string{"use g:80 b", "use h:80 a"}},
		{"other protocols and versions are other instances", []*Endpoints{part("a", false, h), part("b", false, dubbo)}, []string{"use h:80 a", "use h:80 dubbo 1 b"}},
		{"sick by the first", []*Endpoints{part("a", false, sick), part("b", false, h)}, []string{"unhealthy h:80 a"}},
		{"sick by the second", []*Endpoints{part("a", false, h), part("b", false, sick)}, []string{"use h:80 a"}},
		{"listed twice by one", []*Endpoints{part("a", false, h, h), part("b", false, g)}, []string{"use g:80 b", "use h:80 a"}},
		{"what is old comes last", []*Endpoints{part("a", true, sick, g), part("b", false, h)}, []string{"use g:80 a", "use h:80 b"}},
		{"what is held comes last", []*Endpoints{held, part("b", false, sick)}, []string{"use g:80? a", "unhealthy h:80 b"}},
		{"nobody has any", []*Endpoints{part("a", false), part("b", false)}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := union(key("all", "s"), test.parts)
			var got []string
			for _, e := range u.Usable {
				mark := ""
				if e.Held != nil {
					mark = "?"
				}
				got = append(got, "use "+strings.Replace(describe(&e), ":80", ":80"+mark, 1)+" "+e.Source)
			}
			for _, x := range u.Excluded {
				got = append(got, x.Reason+" "+describe(&x.Endpoint)+" "+x.Source)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if u.Key != key("all", "s") || !u.At.Equal(testTime) || u.Stale {
				t.Errorf("%+v", u)
			}
		})
	}
	many := part("a", false)
	for n := range 30 {
		s := registry.Snapshot{}
		s.Skip(fmt.Sprint(n), "bad")
		many.Skipped, many.SkippedCount = append(many.Skipped, s.Skipped...), many.SkippedCount+1
	}
	if u := union(Key{}, []*Endpoints{many, many}); u.SkippedCount != 60 || len(u.Skipped) != registry.MaxSkipped {
		t.Errorf("%d skipped, %d kept", u.SkippedCount, len(u.Skipped))
	}
}
