package discovery

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

func TestApplyKeepsWhatHasNotChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		apply(t, c, map[string]registry.Config{"a": w.config(1)})
		var h heard
		defer c.Subscribe(key("a", "orders"), h.notify).Close()
		synctest.Wait()
		first := w.last()
		first.push(registry.App("orders"), at("10.0.0.1", 80))
		h.want(t, "[10.0.0.1:80]", 1)

		// An equal section, decoded anew, beside a registry that is new.
		apply(t, c, map[string]registry.Config{"a": w.config(1), "b": w.config(1)})
		synctest.Wait()
		if w.count() != 2 || w.last().opts.Name != "b" {
			t.Fatalf("%d registries were built, the last is %q: a was built again", w.count(), w.last().opts.Name)
		}
		running, begun, open := first.watching()
		if !running || begun != 1 || open != 1 {
			t.Errorf("running %v, %d watches begun, %d open: the unchanged registry was touched", running, begun, open)
		}
		first.push(registry.App("orders"), at("10.0.0.2", 80))
		h.want(t, "[10.0.0.2:80]", 2)
	})
}

func TestApplyReplacesWhatHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		apply(t, c, map[string]registry.Config{"a": w.config(1)})
		var h heard
		defer c.Subscribe(key("a", "orders"), h.notify).Close()
		synctest.Wait()
		old := w.last()
		old.opts.Report(registry.Live, nil)
		old.push(registry.App("orders"), at("10.0.0.1", 80))

		apply(t, c, map[string]registry.Config{"a": w.config(2)})
		if running, _, open := old.watching(); running || open != 0 {
			t.Errorf("running %v, %d watches open: the old registry has not ended when Apply returns", running, open)
		}
		synctest.Wait()
		h.want(t, "[10.0.0.1:80]", 1) // the last state stays until the new registry has spoken
		if got := c.Waiting(); len(got) != 1 || got[0] != "registry a has not answered (connecting)" {
			t.Errorf("waiting for %q", got)
		}
		// A push of the one that was replaced comes too late.
		old.push(registry.App("orders"), at("10.6.6.6", 666))
		h.want(t, "[10.0.0.1:80]", 1)

		w.last().push(registry.App("orders"), at("10.0.0.2", 80))
		h.want(t, "[10.0.0.2:80]", 2)
		old.push(registry.App("orders"), at("10.6.6.6", 666))
		h.want(t, "[10.0.0.2:80]", 2)
		if got := c.Waiting(); got != nil {
			t.Errorf("waiting for %q", got)
		}
	})
}

// A registry that says the same as the one it replaces is no news, but proof that it lives.
func TestReplacedWithTheSameState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		apply(t, c, map[string]registry.Config{"a": w.config(1)})
		var h heard
		defer c.Subscribe(key("a", "orders"), h.notify).Close()
		synctest.Wait()
		w.last().push(registry.App("orders"), at("10.0.0.1", 80))
		apply(t, c, map[string]registry.Config{"a": w.config(2)})
		synctest.Wait()
		w.last().push(registry.App("orders"), at("10.0.0.1", 80))
		h.want(t, "[10.0.0.1:80]", 1)
		if r := c.Registries()[0]; !r.Answered || r.LastPush.IsZero() {
			t.Errorf("status %+v: the push was not noted", r)
		}
	})
}

func TestApplyRemoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		apply(t, c, map[string]registry.Config{"a": w.config(1)})
		var h heard
		sub := c.Subscribe(key("a", "orders"), h.notify)
		defer sub.Close()
		synctest.Wait()
		old := w.last()
		old.push(registry.App("orders"), at("10.0.0.1", 80))
		apply(t, c, nil)
		if running, _, open := old.watching(); running || open != 0 {
			t.Errorf("running %v, %d watches open: the registry has not ended", running, open)
		}
		old.push(registry.App("orders"))
		h.want(t, "[10.0.0.1:80]", 1)
		if got := c.Registries(); len(got) != 0 {
			t.Errorf("registries %v", got)
		}
		// It comes back under its name: the subscriber follows it.
		apply(t, c, map[string]registry.Config{"a": w.config(1)})
		synctest.Wait()
		w.last().push(registry.App("orders"), at("10.0.0.9", 80))
		h.want(t, "[10.0.0.9:80]", 2)
	})
}

func TestApplyChangesNothingWhenOneCannotBeBuilt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		apply(t, c, map[string]registry.Config{"b": w.config(1)})
		var h heard
		defer c.Subscribe(key("b", "orders"), h.notify).Close()
		synctest.Wait()
		b := w.last()
		err := c.Apply(specs(map[string]registry.Config{"a": w.config(1), "z": &scriptedConfig{World: w, Fails: true}}))
		if err == nil || err.Error() != `build registry "z": no such certificate` {
			t.Fatalf("Apply: %v", err)
		}
		synctest.Wait()
		if got := c.Registries(); len(got) != 1 || got[0].Name != "b" {
			t.Errorf("registries %v", got)
		}
		if running, _, _ := w.last().watching(); w.last().opts.Name != "a" || running {
			t.Error("a registry of the refused set runs")
		}
		if running, _, open := b.watching(); !running || open != 1 {
			t.Error("the registry in force was stopped")
		}
		b.push(registry.App("orders"), at("10.0.0.1", 80))
		h.want(t, "[10.0.0.1:80]", 1)
	})
}

// While an old registry takes its time to end, everything else goes on: nobody waits for its goodbye but Apply itself.
func TestSlowGoodbyeBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		slow := w.config(1)
		slow.Leave = make(chan struct{})
		apply(t, c, map[string]registry.Config{"a": slow})
		var h heard
		defer c.Subscribe(key("a", "orders"), h.notify).Close()
		synctest.Wait()
		old := w.last()
		var applied atomic.Bool
		go func() {
			if err := c.Apply(specs(map[string]registry.Config{"a": w.config(2)})); err != nil {
				t.Error(err)
			}
			applied.Store(true)
		}()
		synctest.Wait()
		if applied.Load() {
			t.Fatal("Apply returned before the old registry had ended")
		}
		if len(c.Waiting()) == 0 || len(c.Services()) != 1 {
			t.Error("status does not show the new registry")
		}
		var other heard
		c.Subscribe(key("a", "users"), other.notify).Close()
		old.push(registry.App("orders"), at("10.6.6.6", 666))
		h.want(t, "silence", 0)
		w.last().push(registry.App("orders"), at("10.0.0.1", 80))
		h.want(t, "[10.0.0.1:80]", 1)

		// Close waits for it, too.
		var closed atomic.Bool
		go func() { c.Close(); closed.Store(true) }()
		synctest.Wait()
		if closed.Load() {
			t.Error("Close returned while a registry still ran")
		}
		close(slow.Leave)
		synctest.Wait()
		if !closed.Load() || !applied.Load() {
			t.Error("Apply and Close wait for ever")
		}
	})
}

func TestApplyAfterClose(t *testing.T) {
	c, w := newCatalogue(t), &world{}
	c.Close()
	if err := c.Apply(specs(map[string]registry.Config{"a": w.config(1)})); err == nil || w.count() != 0 {
		t.Errorf("Apply: %v, %d registries built", err, w.count())
	}
	var h heard
	c.Subscribe(key("a", "orders"), h.notify).Close()
	c.Close()
}

func TestRegistryThatStopsWorking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		broken := w.config(1)
		broken.Ends = errors.New("no key for this server")
		began := time.Now()
		apply(t, c, map[string]registry.Config{"a": broken})
		synctest.Wait()
		st := c.Registries()[0]
		if st.State != registry.Stale || st.LastError != "no key for this server" || !st.LastErrorAt.Equal(began) || st.Answered {
			t.Errorf("status %+v", st)
		}
	})
}

func TestWatchThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		broken := w.config(1)
		broken.WatchErr = errors.New("not a name of this registry")
		apply(t, c, map[string]registry.Config{"a": broken})
		var h heard
		defer c.Subscribe(key("a", "orders"), h.notify).Close()
		synctest.Wait()
		w.last().opts.Report(registry.Live, nil)
		if s := c.Services(); len(s) != 1 || s[0].Err == nil || s[0].Err.Error() != "not a name of this registry" || s[0].Endpoints != nil {
			t.Errorf("services %+v", s)
		}
		if r := c.Registries()[0]; r.LastError != "not a name of this registry" || r.State != registry.Live {
			t.Errorf("registry %+v", r)
		}
		if got := c.Waiting(); got != nil {
			t.Errorf("waiting for %q, which never comes", got)
		}
		h.want(t, "silence", 0)

		// A changed section may make it possible; until the answer is there it is waited for again.
		apply(t, c, map[string]registry.Config{"a": w.config(2)})
		synctest.Wait()
		w.last().opts.Report(registry.Live, nil)
		if got := c.Waiting(); len(got) != 1 || got[0] != "registry a has not told the instances of orders" {
			t.Errorf("waiting for %q", got)
		}
		w.last().push(registry.App("orders"), at("10.0.0.1", 80))
		if s := c.Services()[0]; s.Err != nil || len(s.Endpoints.Usable) != 1 {
			t.Errorf("service %+v", s)
		}
	})
}

// A watch that gives up says nothing about the connection, whatever it was at that moment.
func TestWatchErrorLeavesTheState(t *testing.T) {
	for _, state := range []registry.State{registry.Live, registry.Stale} {
		src := &source{name: "a", catalogue: newCatalogue(t)}
		src.report(state, nil)
		since := src.status().Since
		src.trouble(errors.New("refused"))
		if st := src.status(); st.State != state || st.LastError != "refused" || !st.Since.Equal(since) || st.LastErrorAt.IsZero() {
			t.Errorf("status %+v", st)
		}
	}
}
