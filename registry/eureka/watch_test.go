package eureka

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// TestNeverWatched refuses names that no Eureka holds.
func TestNeverWatched(t *testing.T) {
	r := newRig(t, "http://127.0.0.1:1/eureka")
	for part, name := range map[string]registry.ServiceName{
		"no Dubbo services": registry.DubboService("a.B", "", ""),
		"no groups":         {Name: "a", Group: "g"},
		"no name":           {},
	} {
		err := r.reg.Watch(t.Context(), name, func(registry.Snapshot) { t.Error("pushed") })
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v: %v", name, err)
		}
	}
}

// TestSlowConsumer has one watcher that stands still: the others go on, and it sees the newest state when it looks again.
func TestSlowConsumer(t *testing.T) {
	s := newScript(t)
	s.say(asJSON(ordersAndUsers(80)), asJSON(appsOf("UP_2_")))
	r := newRig(t, s.URL)
	hold := make(chan struct{})
	slow := &pushes[registry.Snapshot]{t: t}
	r.background(func(ctx context.Context) error {
		return r.reg.Watch(ctx, registry.App("orders"), func(s registry.Snapshot) {
			slow.push(s)
			<-hold
		})
	})
	fast := r.watch("orders")
	slow.until("the first", has("10.0.0.1:80"))
	for port := 81; port < 90; port++ {
		s.say(nil, asJSON(appsOf("UP_2_", appOf("ORDERS", instanceOf("ORDERS", "o", "10.0.0.1", port, "UP", "MODIFIED")))))
		fast.until("on time", has(fmt.Sprintf("10.0.0.1:%d", port)))
	}
	close(hold)
	slow.until("the newest", has("10.0.0.1:89"))
	if n := len(slow.seen()); n != 2 {
		t.Errorf("the slow one saw %d states", n)
	}
}

// TestCancelledAtAnyMoment ends the registry, its watches and a registration at random moments; goleak looks for what is left.
func TestCancelledAtAnyMoment(t *testing.T) {
	e := shared(t)
	name := unique(t, "a")
	check(t, e.Register(t.Context(), testbed.EurekaInstance{App: strings.ToUpper(name), ID: "1", IP: "10.0.0.1", Port: 80}))
	for range 40 {
		c := Default()
		c.URLs = []string{e.URL()}
		c.Interval = 100 * time.Millisecond
		built, err := c.Build(registry.Options{Logger: quietLogger(), Report: func(registry.State, error) {}})
		check(t, err)
		reg := built.(*client)
		ctx, cancel := context.WithTimeout(t.Context(), rand.N(60*time.Millisecond))
		var tasks sync.WaitGroup
		tasks.Go(func() { _ = reg.Run(ctx) })
		tasks.Go(func() { _ = reg.Watch(ctx, registry.App(name), func(registry.Snapshot) {}) })
		tasks.Go(func() { _ = reg.WatchServices(ctx, func(registry.ServiceSet) {}) })
		tasks.Go(func() { _ = reg.Register(ctx, gateway(name+"-gw"), func(error) {}) })
		done := make(chan struct{})
		go func() {
			tasks.Wait()
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(deadline):
			t.Fatal("does not end")
		}
		cancel()
		if len(reg.watches)+len(reg.lists) != 0 {
			t.Error("watches are left")
		}
	}
	// Nothing of us is left on the server either.
	r := newRig(t, e.URL())
	r.watch(name+"-gw").until("withdrawn", has())
}

// TestHostile has the real server hold what nobody means well with.
func TestHostile(t *testing.T) {
	e := shared(t)
	r := newRig(t, e.URL())
	name := strings.ToUpper(unique(t, "a"))
	w := r.watch(name)
	register := func(i testbed.EurekaInstance) {
		t.Helper()
		i.App = name
		if err := e.Register(t.Context(), i); err != nil {
			t.Fatalf("%.50s: %v", i.ID, err)
		}
	}
	register(testbed.EurekaInstance{ID: "good", IP: "10.0.0.1", Port: 80, Metadata: map[string]string{
		"zone": "z\r\nX-Evil: 1", "weight": "NaN", "<script>": "\x00\u202e%00../../", "protocol": "HTTP",
	}})
	register(testbed.EurekaInstance{ID: "a/b%c\nd", IP: "10.0.0.2", Port: 80})
	register(testbed.EurekaInstance{ID: "name", IP: "host.example", Port: 80})
	register(testbed.EurekaInstance{ID: "link-local", IP: "169.254.169.254", Port: 80})
	register(testbed.EurekaInstance{ID: "no host", IP: "http://evil/?", Port: 80})
	register(testbed.EurekaInstance{ID: "crlf", IP: "10.0.0.3\r\nHost: x", Port: 80})
	register(testbed.EurekaInstance{ID: "port", IP: "10.0.0.4", Port: 70000})
	register(testbed.EurekaInstance{ID: "negative", IP: "10.0.0.5", Port: -1})
	register(testbed.EurekaInstance{ID: "big", IP: "10.0.0.6", Port: 80, Metadata: map[string]string{"k": strings.Repeat("x", 1<<20)}})
	register(testbed.EurekaInstance{ID: strings.Repeat("i", 5000), IP: "10.0.0.7", Port: 80})
	good := has("http://10.0.0.1:80", "10.0.0.2:80", "host.example:80", "169.254.169.254:80")
	got := w.until("the good ones, and six skipped", func(s registry.Snapshot) bool { return good(s) && s.SkippedCount == 6 })
	for _, k := range got.Skipped {
		if len(k.Entry) > 100 || len(k.Reason) > 200 {
			t.Errorf("%+v", k)
		}
	}
	at := slices.IndexFunc(got.Instances, func(i registry.Instance) bool { return i.Host == "10.0.0.1" })
	if i := got.Instances[at]; i.Weight != 1 || i.Metadata["<script>"] != "\x00\u202e%00../../" {
		t.Errorf("%+v", i)
	}
	odd := unique(t, "Ärger & co")
	check(t, e.Register(t.Context(), testbed.EurekaInstance{App: odd, ID: "1", IP: "10.0.0.1", Port: 80, VIP: "a b,%00"}))
	r.watch(odd).until("odd name", has("10.0.0.1:80"))
	r.watch("%00").until("odd virtual name", has("10.0.0.1:80"))
	r.noErrors()
}
