package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// TestProvidersStopAndDie has two providers under constant load: one that stops politely costs no request, and one that is
// killed costs only those that it was working on.
func TestProvidersStopAndDie(t *testing.T) {
	t.Parallel()
	z := testbed.StartZooKeeper(t)
	options := testbed.ProviderOptions{Registry: "zookeeper://" + z.Addr(), RegisterMode: "interface", Name: "one"}
	one := testbed.StartDubboProvider(t, options)
	options.Name = "two"
	two := testbed.StartDubboProvider(t, options)
	s := start(t, fmt.Sprintf(`
registries:
  - {name: zk, type: zookeeper, addresses: [%q]}
routes:
  - {name: who, match: {path: "/who"}, to: {dubbo: {interface: com.example.UserService, method: whoami, group: g1, version: 1.0.0}}}
services:
  - {match: {service: "*"}, balance: {policy: roundRobin}}
`, z.Addr()))
	s.untilAnswer("/who", 200, "")
	l := s.load("/who", 8)
	l.untilBy("one", "two")

	if err := one.Stop(); err != nil {
		t.Error(err)
	}
	l.untilBy("two")
	if failures := l.failed(); len(failures) > 0 {
		t.Errorf("%d requests failed while a provider stopped: %v", len(failures), failures[:min(3, len(failures))])
	}
	if err := one.Restart(); err != nil {
		t.Fatal(err)
	}
	within(t, "the provider is back", l.untilBy("one", "two"))
	l.untilMore(200)
	if failures := l.failed(); len(failures) > 0 {
		t.Fatalf("%d requests failed while a provider stopped and came back: %v", len(failures), failures[:min(3, len(failures))])
	}

	// Its nodes stay in the registry until its session has timed out; the gateway must find out by itself.
	killed := time.Now()
	two.Kill()
	dead := time.Now()
	l.untilMore(400)
	l.end()
	for _, f := range l.failed() {
		// A call that had reached the provider cannot be repeated: who knows whether it ran.
		if f.sent.After(dead.Add(10*time.Millisecond)) || f.failed.Before(killed) || !strings.Contains(f.what, "upstream_reset") {
			t.Errorf("sent %v after the kill, failed %v after it: %s", f.sent.Sub(dead), f.failed.Sub(dead), f.what)
		}
	}
	if n := len(l.failed()); n > 16 { // the dying process takes connections that it will never read from
		t.Errorf("%d requests failed, more than were in flight", n)
	}
	t.Logf("%d requests, %d lost with the provider that was killed", l.count(), len(l.failed()))
	s.untilAnswer("/who", 200, `"one"`)
}
