package upstream

import (
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/registry/static"
)

func TestSubsets(t *testing.T) {
	b := newBed(t)
	instance := func(name string, metadata map[string]string, zone string) static.Instance {
		return static.Instance{Address: named(t, name), Weight: 1, Zone: zone, Metadata: metadata}
	}
	b.set(map[string][]static.Instance{"s": {
		instance("v1", map[string]string{"version": "1"}, "a"), instance("v2", map[string]string{"version": "2"}, "b"),
		instance("v2", map[string]string{"version": "2"}, "a"), instance("none", nil, "a"),
	}})
	settings := defaults()
	settings.Balance.Policy = "roundRobin"
	svc := b.acquire(key("s"), settings)
	defer b.Release(svc)
	until(t, svc, 4)
	answers := func(c config.Subset, header string) string {
		t.Helper()
		subset, err := SubsetOf(&c)
		if err != nil {
			t.Fatal(err)
		}
		h := NewTarget(svc, tries(0, 0)).Narrow(subset)
		seen := map[string]bool{}
		for range 40 {
			req := &protocol.Request{Method: "GET", Scheme: "http", Authority: "h", Path: "/", Version: protocol.HTTP11}
			if header != "" {
				req.Header.Add("X-Version", header)
			}
			got, err := askWith(h, req)
			if err != nil {
				return protocol.AsError(err).Message
			}
			seen[strings.TrimPrefix(got, "200 ")] = true
		}
		out := ""
		for _, name := range []string{"v1", "v2", "none"} {
			if seen[name] {
				out += name + " "
			}
		}
		return strings.TrimSpace(out)
	}
	byHeader := map[string]string{"version": "{header.X-Version}"}
	for _, c := range []struct {
		subset config.Subset
		header string
		want   string
	}{
		{config.Subset{Metadata: map[string]string{"version": "2"}}, "", "v2"},
		{config.Subset{Metadata: map[string]string{"version": "2", "zone": "b"}}, "", "v2"},
		{config.Subset{Metadata: map[string]string{"version": "3"}}, "", "v1 v2 none"},
		{config.Subset{Metadata: map[string]string{"version": "3"}, Fallback: "none"}, "", `no instance of s has version="3"`},
		{config.Subset{Metadata: byHeader}, "1", "v1"},
		{config.Subset{Metadata: byHeader}, "", "v1 v2 none"},
		{config.Subset{Metadata: byHeader, Fallback: "none"}, "9\x00", `no instance of s has version="9"`},
		{config.Subset{Metadata: map[string]string{"zone": "a"}}, "", "v1 v2 none"},
	} {
		if got := answers(c.subset, c.header); got != c.want {
			t.Errorf("%+v with %q: %q, want %q", c.subset, c.header, got, c.want)
		}
	}
	if n := len(*svc.state.Load().subsets.Load()); n != 3 {
		t.Errorf("the service is divided in %d ways, want by version, by zone, and by both", n)
	}
	if subset, err := SubsetOf(nil); subset != nil || err != nil {
		t.Error("nothing asked for is something")
	}
	if _, err := SubsetOf(&config.Subset{Metadata: map[string]string{"a": "{x}"}}); err == nil || !strings.HasPrefix(err.Error(), "subset.metadata.a: ") {
		t.Errorf("%v", err)
	}
}

// TestSubsetAllocatesNothing: a gray release by header costs requests no memory.
func TestSubsetAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("measures allocations")
	}
	b := newBed(t)
	b.set(map[string][]static.Instance{"s": {{Address: "127.0.0.1:1", Weight: 1, Metadata: map[string]string{"version": "2"}}}})
	svc := b.acquire(key("s"), defaults())
	defer b.Release(svc)
	until(t, svc, 1)
	subset, _ := SubsetOf(&config.Subset{Metadata: map[string]string{"version": "{header.X-Version}"}})
	n := &narrowed{svc, subset}
	req := &protocol.Request{}
	req.Header.Add("X-Version", "2")
	ctx := t.Context()
	if allocs := testing.AllocsPerRun(200, func() {
		req.Arena.Reset()
		if st, err := n.resolve(ctx, req); err != nil || len(st.instances) != 1 {
			t.Fatal(st, err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
