package conformance

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// TestContent: what is in the registry is what is pushed, whatever is said of it, and soon after it is said.
func TestContent(t *testing.T) {
	each(t, func(t *testing.T, k *kind) {
		b := k.shared(t)
		t.Run("comes and goes", func(t *testing.T) { comesAndGoes(t, b) })
		t.Run("changes", func(t *testing.T) { changes(t, b) })
		t.Run("renamed", func(t *testing.T) { renamed(t, b) })
		t.Run("spaces", func(t *testing.T) { spaces(t, b) })
		t.Run("list", func(t *testing.T) { listed(t, b) })
	})
}

func comesAndGoes(t *testing.T, b *bed) {
	service, nobody := b.named("goes"), b.named("nobody")
	e := spots(t, service, 3)
	b.put(t, e[0], e[1])
	s := b.watch(t, service, nobody)
	s.untilUsable(service, e[0], e[1])
	s.untilUsable(nobody) // no such service: an answer without instances, not silence
	s.untilLive()
	b.put(t, e[2])
	s.untilUsable(service, e...)
	b.remove(t, e[0])
	s.untilUsable(service, e[1], e[2])
	b.put(t, e[0])
	s.untilUsable(service, e...)
	b.remove(t, e...)
	s.untilUsable(service)
	b.put(t, e[1])
	s.untilUsable(service, e[1])
	if s.state() != registry.Live {
		t.Errorf("the state is %v", s.state())
	}
}

func changes(t *testing.T, b *bed) {
	service := b.named("changes")
	e, other := spot(t, service), spot(t, service)
	e.who = "first"
	b.put(t, e, other)
	s := b.watch(t, service)
	s.untilUsable(service, e, other)

	// settled waits for what one instance says of itself.
	settled := func(what string, ok func(registry.Instance) bool) {
		t.Helper()
		until(t, what, s.describe, func() bool {
			last, _ := s.last(service)
			return slices.ContainsFunc(last.Instances, func(i registry.Instance) bool { return i.Address() == e.address() && ok(i) })
		})
	}
	settled("metadata", func(i registry.Instance) bool { return i.Metadata["who"] == "first" && i.Weight == 1 })
	e.who = "second"
	b.put(t, e)
	settled("other metadata", func(i registry.Instance) bool { return i.Metadata["who"] == "second" })
	if b.kind.has.weight {
		e.weight = 3
		b.put(t, e)
		settled("weight 3", func(i registry.Instance) bool { return i.Weight == 3 })
	}
	if b.kind.has.disabled {
		e.disabled = true
		b.put(t, e)
		s.untilUsable(service, other)
		e.disabled = false
		b.put(t, e)
		s.untilUsable(service, e, other)
	}
	if b.kind.has.unhealthy {
		e.unhealthy = true
		b.put(t, e)
		s.untilUsable(service, other)
		e.unhealthy = false
		b.put(t, e)
		s.untilUsable(service, e, other)
	}
}

// renamed moves an instance from one service to another.
func renamed(t *testing.T, b *bed) {
	before, after := b.named("before"), b.named("after")
	e := spot(t, before)
	b.put(t, e)
	s := b.watch(t, before, after)
	s.untilUsable(before, e)
	s.untilUsable(after)
	moved := e
	moved.service = after
	b.put(t, moved)
	b.remove(t, e)
	s.untilUsable(after, moved)
	s.untilUsable(before)
}

// spaces: what one namespace or group holds is not seen in another.
func spaces(t *testing.T, b *bed) {
	if !b.kind.has.spaces {
		t.Skip("the registry has none")
	}
	service := b.named("spaces")
	blue := b.named("blue")
	here, there := spot(t, service), spot(t, service)
	there.space = blue
	b.put(t, here, there)
	b.watch(t, service).untilUsable(service, here)
	s := b.watchBy(t, b.config(t, b.addresses, blue, ""), service)
	s.untilUsable(service, there)
	b.remove(t, there)
	s.untilUsable(service)
}

// listed: names come with their first instance, and go with the last one where the registry says so.
func listed(t *testing.T, b *bed) {
	if !b.kind.has.list {
		t.Skip("the registry cannot list")
	}
	one, two := spot(t, b.named("listed-one")), spot(t, b.named("listed-two"))
	b.put(t, one)
	s := b.watch(t)
	s.watchSet()
	has := func(service string) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		n := len(s.sets)
		return n > 0 && slices.ContainsFunc(s.sets[n-1].Services, func(name registry.ServiceName) bool { return strings.EqualFold(name.Name, service) })
	}
	until(t, "the first name", s.describe, func() bool { return has(one.service) })
	began := time.Now()
	b.put(t, two)
	until(t, "the second name", s.describe, func() bool { return has(two.service) })
	t.Logf("a new name was listed after %v", time.Since(began).Round(time.Millisecond))
	if !b.kind.has.forgets {
		return
	}
	b.remove(t, two)
	until(t, "the second name is gone", s.describe, func() bool { return !has(two.service) })
	if !has(one.service) {
		t.Error("the first name is gone as well")
	}
}
