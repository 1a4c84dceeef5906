package testbed

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestEureka walks through what its API can do; then a kill takes all of it away.
func TestEureka(t *testing.T) {
	if testing.Short() {
		t.Skip("a Eureka takes 10 s to start")
	}
	e := StartEureka(t)
	ctx := t.Context()
	i := EurekaInstance{App: "ORDERS", ID: "one", Port: 8080, VIP: "orders", Metadata: map[string]string{"zone": "a"}}
	check(t, e.Register(ctx, i))
	awaitApps(t, e, `"instanceId":"one"`, `"status":"UP"`, `"zone":"a"`, `"apps__hashcode":"UP_1_"`)
	check(t, e.Heartbeat(ctx, i))
	check(t, e.Override(ctx, i, "OUT_OF_SERVICE"))
	awaitApps(t, e, `"apps__hashcode":"OUT_OF_SERVICE_1_"`)
	check(t, e.EndOverride(ctx, i, "UP"))
	awaitApps(t, e, `"apps__hashcode":"UP_1_"`)
	check(t, e.Override(ctx, i, "DOWN"))
	check(t, e.EndOverride(ctx, i, ""))
	awaitApps(t, e, `"apps__hashcode":"UNKNOWN_1_"`)
	check(t, e.Cancel(ctx, i))
	awaitApps(t, e, `"apps__hashcode":""`)
	if err := e.Heartbeat(ctx, i); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a heartbeat of what is not there: %v", err)
	}
	short := i
	short.ID, short.Lease = "short", time.Second
	check(t, e.Register(ctx, short))
	awaitApps(t, e, `"apps__hashcode":"UP_1_"`)
	awaitApps(t, e, `"apps__hashcode":""`) // expired
	check(t, e.Register(ctx, i))
	e.Kill()
	check(t, e.Restart())
	awaitApps(t, e, `"apps__hashcode":""`)
}

func TestEurekaAuth(t *testing.T) {
	if testing.Short() {
		t.Skip("a Eureka takes 10 s to start")
	}
	e := StartEureka(t, WithAuth("ada", "geheim-1"))
	check(t, e.Register(t.Context(), EurekaInstance{App: "A", ID: "1", Port: 1}))
	e.opts.password = "wrong"
	if _, err := e.call(t.Context(), http.MethodGet, "/apps", nil); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("with the wrong password: %v", err)
	}
}

func TestEurekaPeers(t *testing.T) {
	if testing.Short() {
		t.Skip("two Eurekas take 20 s to start")
	}
	first, second := StartEurekaPeers(t)
	check(t, first.Register(t.Context(), EurekaInstance{App: "A", ID: "1", Port: 1}))
	awaitApps(t, second, `"instanceId":"1"`)
	first.Kill()
	check(t, first.Restart())
	awaitApps(t, first, `"instanceId":"1"`) // from the peer
}

func awaitApps(t *testing.T, e *Eureka, parts ...string) {
	t.Helper()
	var got []byte
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		answer, err := e.Apps(ctx)
		cancel()
		check(t, err)
		got = answer
		found := 0
		for _, p := range parts {
			if strings.Contains(string(got), p) {
				found++
			}
		}
		if found == len(parts) {
			return
		}
	}
	t.Errorf("the server says %s, without one of %q", got, parts)
}
