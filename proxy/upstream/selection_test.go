package upstream

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
	"github.com/sluice-gateway/sluice/registry/static"
)

// visit sends a request with fields, and returns the answer's body and its cookie.
func visit(t *testing.T, h protocol.Handler, fields ...string) (body, cookie string) {
	t.Helper()
	req := &protocol.Request{Method: "GET", Scheme: "https", Authority: "h", Path: "/", Version: protocol.HTTP11}
	for n := 0; n < len(fields); n += 2 {
		req.Header.Add(fields[n], fields[n+1])
	}
	resp, err := h.Serve(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := protocol.ReadAll(nil, resp.Body, 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	cookie = strings.Clone(resp.Header.Get("Set-Cookie"))
	if err := resp.Close(); err != nil {
		t.Fatal(err)
	}
	return string(b), cookie
}

func TestHashedByWhatTheRequestSays(t *testing.T) {
	for _, policy := range []string{"ringHash", "maglev"} {
		b := newBed(t)
		settings := defaults()
		settings.Balance.Policy, settings.Balance.Hash = policy, []string{"{header.X-User}", "{cookie.sid}"}
		svc := b.over(settings, named(t, "a"), named(t, "b"), named(t, "c"), named(t, "d"))
		h := NewTarget(svc, tries(0, 0))
		seen := map[string]bool{}
		for user := range 24 {
			name := fmt.Sprint("user-", user)
			first, _ := visit(t, h, "X-User", name)
			seen[first] = true
			for range 3 {
				if again, _ := visit(t, h, "X-User", name, "Cookie", "sid=other"); again != first {
					t.Errorf("%s: %s went to %s, then to %s", policy, name, first, again)
				}
			}
			if byCookie, _ := visit(t, h, "Cookie", "sid="+name); byCookie != first {
				t.Errorf("%s: the same key went to %s and %s", policy, first, byCookie)
			}
		}
		if len(seen) != 4 {
			t.Errorf("%s: 24 users are at %d instances", policy, len(seen))
		}
		if name, _ := visit(t, h); !seen[name] {
			t.Errorf("%s: a request without a key was answered by %q", policy, name)
		}
	}
}

func TestSticky(t *testing.T) {
	b := newBed(t)
	settings := defaults()
	settings.Balance.Policy, settings.Balance.Sticky = "roundRobin", &config.Sticky{Cookie: "SLUICE", TTL: time.Hour}
	svc := b.over(settings, named(t, "a"), named(t, "b"), named(t, "c"))
	h := NewTarget(svc, tries(0, 1))
	first, cookie := visit(t, h)
	pair, attributes, _ := strings.Cut(cookie, ";")
	if !strings.HasPrefix(pair, "SLUICE=") || attributes != " Path=/; HttpOnly; SameSite=Lax; Max-Age=3600; Secure" {
		t.Fatalf("%q", cookie)
	}
	if strings.Contains(pair, "127.0.0.1") {
		t.Error("the cookie tells the address")
	}
	for range 10 {
		again, cookie := visit(t, h, "Cookie", "x=y; "+pair)
		if again != first || cookie != "" {
			t.Errorf("went to %s, then to %s; %q", first, again, cookie)
		}
	}
	// A cookie that means nothing, or an instance that has a reason to be avoided: another one, and a new cookie.
	if _, cookie := visit(t, h, "Cookie", "SLUICE=nonsense"); !strings.HasPrefix(cookie, "SLUICE=") {
		t.Errorf("%q", cookie)
	}
	var stuck *instance
	for _, i := range svc.state.Load().instances {
		if "SLUICE="+svc.state.Load().tokens("SLUICE").of[i] == pair {
			stuck = i
		}
	}
	stuck.load.Set(balance.Unhealthy, true)
	if moved, cookie := visit(t, h, "Cookie", pair); moved == first || !strings.HasPrefix(cookie, "SLUICE=") || strings.HasPrefix(cookie, pair) {
		t.Errorf("went to %s, %q", moved, cookie)
	}
	stuck.load.Set(balance.Unhealthy, false)
	if back, _ := visit(t, h, "Cookie", pair); back != first {
		t.Errorf("sound again, but went to %s", back)
	}
	// Another gateway, or the same after a restart, knows the cookie.
	other := newBed(t)
	list := svc.state.Load().instances
	again := other.over(settings, list[2].endpoint.ID, list[0].endpoint.ID, list[1].endpoint.ID)
	if there, cookie := visit(t, NewTarget(again, tries(0, 1)), "Cookie", pair); there != first || cookie != "" {
		t.Errorf("another gateway: %s, %q", there, cookie)
	}
}

func TestTargetsSayWhatInstancesAre(t *testing.T) {
	b := newBed(t)
	settings := defaults()
	settings.Balance.SlowStart = time.Minute
	began := time.Now().Add(-30 * time.Second).UnixMilli()
	b.set(map[string][]static.Instance{"s": {{Address: "127.0.0.1:1", Weight: 1}}})
	svc := b.acquire(key("s"), settings)
	defer b.Release(svc)
	until(t, svc, 1)
	if got := svc.state.Load().instances[0].target(); got.Since != 0 || got.Warmup != 0 || got.Priority != 0 {
		t.Errorf("who was there before is %+v", got)
	}
	b.set(map[string][]static.Instance{"s": {{Address: "127.0.0.1:1", Weight: 1}, {Address: "127.0.0.1:2", Weight: 3, Zone: "z",
		Metadata: map[string]string{"priority": "2", "warmup": "60000", "timestamp": fmt.Sprint(began)}}, {Address: "127.0.0.1:3", Weight: 1}}})
	until(t, svc, 3)
	list := svc.state.Load().instances
	if got := list[0].target(); got.Since != 0 {
		t.Errorf("who stayed has joined: %+v", got)
	}
	got := list[1].target()
	age := time.Duration(protocol.Now() - got.Since)
	if got.Priority != 2 || got.Warmup != time.Minute || got.Zone != "z" || got.Weight != 3 || got.ID != "127.0.0.1:2" || age < 29*time.Second || age > time.Minute {
		t.Errorf("%+v, aged %v", got, age)
	}
	joined := list[2].target()
	if age := time.Duration(protocol.Now() - joined.Since); joined.Since == 0 || age > 10*time.Second {
		t.Errorf("%+v, aged %v", joined, age)
	}
}

func TestSelectionMistakes(t *testing.T) {
	b := newBed(t)
	for _, change := range []func(*config.Balance){
		func(b *config.Balance) { b.Policy = "fastest" },
		func(b *config.Balance) { b.Policy, b.Hash = "maglev", []string{"{x.y}"} },
		func(b *config.Balance) { b.SlowStart = -1 },
	} {
		settings := defaults()
		change(&settings.Balance)
		if _, err := b.Acquire(key("s"), settings); err == nil {
			t.Errorf("%+v was taken", settings.Balance)
		}
	}
}
