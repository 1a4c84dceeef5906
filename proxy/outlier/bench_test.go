package outlier

import (
	"testing"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
)

// One request's part: Begin, Answered and End.
func benchmarkRequest(b *testing.B, r config.Outlier) {
	h := newHouse(20, r)
	i, now := h.instances[0], protocol.Now()
	b.ReportAllocs()
	for b.Loop() {
		if h.Begin(i, now) {
			b.Fatal("a trial")
		}
		h.Answered(i, now, 1_000_000, Good, false)
		h.End(i, Good)
	}
}

func BenchmarkRequest(b *testing.B) { benchmarkRequest(b, rule(nil)) }

func BenchmarkRequestCompared(b *testing.B) {
	benchmarkRequest(b, rule(func(r *config.Outlier) { r.ErrorRate.Threshold, r.Latency.Factor = 0.5, 3 }))
}

func TestRequestsAllocateNothing(t *testing.T) {
	h := newHouse(20, rule(func(r *config.Outlier) { r.ErrorRate.Threshold, r.Latency.Factor = 0.5, 3 }))
	h.request(0, Good)
	if n := testing.AllocsPerRun(1000, func() { h.request(0, Good) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
