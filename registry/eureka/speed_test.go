package eureka

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// TestEventToPush measures from the moment when the server has taken a registration to the push: at most the interval and
// 100 ms, on a server that shows changes at once. What the machine adds is measured beside it, by a question like a poll's.
func TestEventToPush(t *testing.T) {
	if testing.Short() {
		t.Skip("measures")
	}
	e := shared(t)
	r := newRig(t, e.URL(), func(c *Config) { c.Interval = 100 * time.Millisecond })
	name := unique(t, "a")
	i := testbed.EurekaInstance{App: strings.ToUpper(name), ID: "1", IP: "10.0.0.1", Port: 1}
	ports := make(chan int, 1)
	r.watch(name).until("nothing", has())
	r.background(func(ctx context.Context) error {
		return r.reg.Watch(ctx, registry.App(name), func(s registry.Snapshot) {
			if len(s.Instances) > 0 {
				ports <- s.Instances[0].Port
			}
		})
	})
	for round := 1; ; round++ {
		var took, control []time.Duration
		for n := range 100 {
			time.Sleep(rand.N(r.config.Interval)) // or each would come right after a poll
			i.Port = 1000*round + n
			check(t, e.Register(t.Context(), i))
			start := time.Now()
			for port := range ports {
				if port == i.Port {
					break
				}
			}
			took = append(took, time.Since(start))
			start = time.Now()
			_, err := e.Apps(t.Context())
			check(t, err)
			control = append(control, time.Since(start))
		}
		slices.Sort(took)
		slices.Sort(control)
		limit := r.config.Interval + 100*time.Millisecond + control[98]
		t.Logf("interval %v: median %v, p99 %v; a question: median %v, p99 %v", r.config.Interval, took[50], took[98], control[50], control[98])
		if took[98] <= limit {
			break
		}
		if round == 5 {
			t.Fatalf("p99 is %v, at most %v wanted", took[98], limit)
		}
	}
	r.noErrors()
}
