package discovery

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

func ourselves() registry.Registration {
	return registry.Registration{Service: registry.App("gateway"), Instance: at("10.0.0.99", 8080), ID: "gateway-1"}
}

func registers(w *world, rev int) *scriptedConfig {
	cfg := w.config(rev)
	cfg.Registers = true
	return cfg
}

// events are what a registry has seen of registrations.
func (s *scripted) events() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.registered)
}

func (s *scripted) answer(err error) {
	s.mu.Lock()
	report := s.registrations
	s.mu.Unlock()
	report(err)
}

func TestAnnouncementFollowsItsRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		a := c.Announce("a", ourselves())
		check := func(announced bool, trouble string) AnnouncementStatus {
			t.Helper()
			all := c.Announcements()
			if len(all) != 1 || all[0].Announced != announced || all[0].LastError != trouble {
				t.Errorf("announcements %+v", all)
			}
			return all[0]
		}
		check(false, `there is no registry "a"`)
		apply(t, c, map[string]registry.Config{"a": registers(w, 1)})
		synctest.Wait()
		first := w.named("a")
		if got := first.events(); got != "[gateway-1]" {
			t.Errorf("events %s", got)
		}
		time.Sleep(time.Second)
		first.answer(nil)
		st := check(true, `there is no registry "a"`)
		if st.Registry != "a" || st.Service != registry.App("gateway") || st.Address != "10.0.0.99:8080" || st.ID != "gateway-1" || !st.Since.Equal(time.Now()) {
			t.Errorf("status %+v", st)
		}
		time.Sleep(time.Second)
		first.answer(errors.New("no permission to register: grant it"))
		check(false, "no permission to register: grant it")
		first.answer(nil)
		check(true, "no permission to register: grant it")

		apply(t, c, map[string]registry.Config{"a": registers(w, 1)}) // unchanged: untouched
		synctest.Wait()
		if got := first.events(); got != "[gateway-1]" {
			t.Errorf("events %s", got)
		}
		apply(t, c, map[string]registry.Config{"a": registers(w, 2)})
		synctest.Wait()
		if got := first.events(); got != "[gateway-1 -gateway-1]" {
			t.Errorf("events %s", got)
		}
		if got := w.named("a").events(); got != "[gateway-1]" {
			t.Errorf("events of the new registry %s", got)
		}
		first.answer(errors.New("too late"))
		check(true, "no permission to register: grant it")
		w.named("a").answer(nil)

		a.Close(t.Context())
		if got := w.named("a").events(); got != "[gateway-1 -gateway-1]" {
			t.Errorf("events %s: Close has returned", got)
		}
		if got := c.Announcements(); len(got) != 0 {
			t.Errorf("announcements %+v", got)
		}
		a.Close(t.Context())
	})
}

// While the old registry withdraws, the new one waits: its entry has the same name.
func TestWithdrawnBeforeItIsAnnouncedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		slow := registers(w, 1)
		slow.Leave = make(chan struct{})
		apply(t, c, map[string]registry.Config{"a": slow})
		a := c.Announce("a", ourselves())
		synctest.Wait()
		old := w.named("a")
		applied := make(chan struct{})
		go func() {
			defer close(applied)
			if err := c.Apply(specs(map[string]registry.Config{"a": registers(w, 2)})); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		if running, _, _ := old.watching(); !running {
			t.Error("the connection was closed before the withdrawal")
		}
		if got := w.named("a").events(); got != "[]" {
			t.Errorf("events of the new registry %s", got)
		}
		// Who closes it meanwhile waits no longer than it wants to.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		a.Close(ctx)
		if time.Since(began) != time.Second {
			t.Errorf("Close took %v", time.Since(began))
		}
		close(slow.Leave)
		<-applied
		synctest.Wait()
		if got := old.events() + w.named("a").events(); got != "[gateway-1 -gateway-1][]" {
			t.Errorf("events %s", got)
		}
	})
}

func TestCloseWithdraws(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		apply(t, c, map[string]registry.Config{"a": registers(w, 1)})
		c.Announce("a", ourselves())
		synctest.Wait()
		c.Close()
		if got := w.named("a").events(); got != "[gateway-1 -gateway-1]" {
			t.Errorf("events %s", got)
		}
		c.Announce("a", ourselves()).Close(t.Context())
	})
}

func TestAnnouncementsThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		never := registers(w, 1)
		never.WatchErr = errors.New("the name has a slash")
		applySpecs(t, c, map[string]Spec{"never": {Config: never}, "plain": {Config: w.config(1)}, "all": {Members: []string{"plain"}}})
		for _, name := range []string{"never", "plain", "all"} {
			c.Announce(name, ourselves())
		}
		synctest.Wait()
		for i, want := range []string{
			"the name has a slash", "a registry of this type cannot be registered in",
			"a merged registry cannot be registered in; name one of its members",
		} {
			if st := c.Announcements()[i]; st.LastError != want || st.Announced || st.LastErrorAt.IsZero() {
				t.Errorf("status %+v, want %s", st, want)
			}
		}
		apply(t, c, nil)
		for _, st := range c.Announcements() {
			if st.LastError != fmt.Sprintf("there is no registry %q", st.Registry) {
				t.Errorf("status %+v", st)
			}
		}
	})
}
