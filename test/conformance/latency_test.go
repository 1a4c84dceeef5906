package conformance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// events is how many changes are measured.
func events() int {
	if full() {
		return 200
	}
	return 20
}

// TestEventLatency measures under load how long after the registry has taken note of an instance its first request
// comes, and how long a service that is new takes to be served through a route for all services.
func TestEventLatency(t *testing.T) {
	each(t, func(t *testing.T, k *kind) {
		st := setStage(t, k.shared(t), "")
		began := time.Now()
		firstRequests(st)
		newNames(st)
		st.load.wantNoFailure(t)
		stale, what := st.fleet.stale(began)
		t.Logf("longest stale %v: %s", stale.Round(time.Millisecond), what)
	})
}

// allowed is the p99 that is promised, from the registry's own delay.
func allowed(k *kind) time.Duration {
	const ours = 100 * time.Millisecond
	switch k.name {
	case "nacos":
		return 50*time.Millisecond + ours // pushTaskDelay of the test bed
	case "eureka":
		return 500*time.Millisecond + 200*time.Millisecond + ours // the interval, and the server's own cache
	}
	return ours
}

// allowedName is the p99 that is promised for a service that is new.
func allowedName(k *kind) time.Duration {
	switch k.name {
	case "nacos":
		return 1500 * time.Millisecond
	case "eureka":
		return 2*500*time.Millisecond + 200*time.Millisecond // one interval for the name, and what may be between
	}
	return 300 * time.Millisecond
}

// apart is the time between two events: changes of one service that come faster are merged, at most ten a second.
const apart = 250 * time.Millisecond

func firstRequests(st *stage) {
	st.Helper()
	ctx := st.Context()
	var samples []time.Duration
	for range events() {
		m, err := st.fleet.join(ctx)
		st.must(err)
		samples = append(samples, max(0, st.fleet.untilAsked(m).Sub(m.came)))
		st.must(st.fleet.leave(ctx, m))
		time.Sleep(apart)
	}
	text, p99 := percentiles(samples)
	results.note(st, "events", "a new instance's first request", st.bed.kind.name, text)
	if limit := allowed(st.bed.kind); full() && !raceEnabled && p99 > limit {
		st.Errorf("p99 is %v, more than %v", p99, limit)
	}
}

func newNames(st *stage) {
	st.Helper()
	ctx := st.Context()
	var samples []time.Duration
	for n := range max(5, events()/10) {
		service := strings.ToLower(st.bed.named(fmt.Sprintf("fresh-%d", n)))
		f := newFleet(st, st.bed.writer, service, 1)
		m := f.registered()[0]
		var answer string
		until(st, "the new service answers", func() string { return answer }, func() bool {
			code, body, err := st.gateway.get(ctx, "/any/"+service)
			answer = fmt.Sprint(code, string(body), err)
			return code == http.StatusOK
		})
		// They stay: many services that lose all they have within seconds are a collapse, and would be held.
		samples = append(samples, max(0, f.untilAsked(m).Sub(m.came)))
	}
	text, p99 := percentiles(samples)
	results.note(st, "events", "a new service's first request", st.bed.kind.name, text)
	if limit := allowedName(st.bed.kind); full() && !raceEnabled && p99 > limit {
		st.Errorf("p99 is %v, more than %v", p99, limit)
	}
}

// percentiles writes the median, the 99th percentile and the longest.
func percentiles(samples []time.Duration) (text string, p99 time.Duration) {
	slices.Sort(samples)
	at := func(share float64) time.Duration {
		return samples[min(len(samples)-1, int(share*float64(len(samples))))]
	}
	p99 = at(0.99)
	return fmt.Sprintf("median %s, p99 %s, most %s (%d)", brisk(at(0.5)), brisk(p99), brisk(at(1)), len(samples)), p99
}
