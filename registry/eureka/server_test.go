package eureka

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// TestLife follows one service from before it exists to after its end.
func TestLife(t *testing.T) {
	e := shared(t)
	r := newRig(t, e.URL())
	name := unique(t, "orders")
	orders, list := r.watch(name), r.watchServices()
	orders.until("nothing, by the server's own word", has())

	one := testbed.EurekaInstance{
		App: strings.ToUpper(name), ID: "one", IP: "10.0.0.1", Port: 8080, VIP: name,
		Metadata: map[string]string{"zone": "a", "weight": "2.5", "rack": "7"},
	}
	check(t, e.Register(t.Context(), one))
	got := orders.until("the first instance", has("10.0.0.1:8080"))
	i := got.Instances[0]
	if i.Zone != "a" || i.Weight != 2.5 || i.Metadata["rack"] != "7" || len(i.Metadata) != 3 {
		t.Errorf("%+v", i)
	}
	list.until("the name in lower case", func(s registry.ServiceSet) bool {
		return slices.Contains(s.Services, registry.App(strings.ToLower(name)))
	})

	two := testbed.EurekaInstance{App: one.App, ID: "two", IP: "10.0.0.2", Port: 8080, VIP: name}
	check(t, e.Register(t.Context(), two))
	orders.until("two", has("10.0.0.1:8080", "10.0.0.2:8080"))

	one.Metadata = map[string]string{"zone": "b"}
	one.Port = 8081
	check(t, e.Register(t.Context(), one))
	got = orders.until("the change", has("10.0.0.1:8081", "10.0.0.2:8080"))
	if z := got.Instances[0].Zone; z != "b" {
		t.Errorf("zone %q", z)
	}

	check(t, e.Cancel(t.Context(), one))
	orders.until("one left", has("10.0.0.2:8080"))
	check(t, e.Cancel(t.Context(), two))
	orders.until("none left", has())
	list.until("no name", func(s registry.ServiceSet) bool {
		return !slices.Contains(s.Services, registry.App(strings.ToLower(name)))
	})
	r.noErrors()
	if n := len(orders.seen()); n != 6 {
		t.Errorf("%d pushes for 6 states", n)
	}
}

// TestStatus shows each status as what it means, and the trap of an override that ends without a status to go back to.
func TestStatus(t *testing.T) {
	e := shared(t)
	r := newRig(t, e.URL())
	i := testbed.EurekaInstance{App: strings.ToUpper(unique(t, "a")), ID: "one", IP: "10.0.0.1", Port: 80, Status: "STARTING"}
	w := r.watch(i.App)
	ctx := t.Context()
	check(t, e.Register(ctx, i))
	w.until("STARTING", has("10.0.0.1:80 unhealthy"))
	i.Status = "UP"
	check(t, e.Register(ctx, i))
	w.until("UP", has("10.0.0.1:80"))
	check(t, e.Override(ctx, i, "OUT_OF_SERVICE"))
	w.until("out of service", has("10.0.0.1:80 disabled"))
	check(t, e.Heartbeat(ctx, i))
	check(t, e.EndOverride(ctx, i, "UP"))
	w.until("UP again", has("10.0.0.1:80"))
	check(t, e.Override(ctx, i, "DOWN"))
	w.until("DOWN", has("10.0.0.1:80 unhealthy"))
	check(t, e.EndOverride(ctx, i, ""))
	within(t, "UNKNOWN in the registry", func() bool {
		b, err := e.Apps(ctx)
		check(t, err)
		return strings.Contains(string(b), "UNKNOWN_1_")
	})
	time.Sleep(3 * r.config.Interval)
	w.until("UNKNOWN is not UP", has("10.0.0.1:80 unhealthy"))
	if err := e.Heartbeat(ctx, i); err == nil {
		t.Error("the server took the heartbeat of an instance whose status it does not know")
	}
	check(t, e.Register(ctx, i)) // what a client does about that
	w.until("UP in the end", has("10.0.0.1:80"))
	check(t, e.Cancel(ctx, i))
	w.until("gone", has())
	r.noErrors()
}
