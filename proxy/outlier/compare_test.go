package outlier

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
)

func rates(threshold float64) config.Outlier {
	return rule(func(r *config.Outlier) { r.ConsecutiveErrors, r.ErrorRate.Threshold, r.MaxShare = 0, threshold, 0.5 })
}

// mixed sends n requests, of which a share fails as o says.
func (h *house) mixed(i, n, failures int, o Outcome) {
	for k := range n {
		if k < failures {
			h.request(i, o)
		} else {
			h.request(i, Good)
		}
	}
}

func TestErrorRateEjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(10, rates(0.3))
		for i := range h.instances {
			h.mixed(i, 100, 5, ServerError)
		}
		h.mixed(3, 100, 60, ServerError) // 65 of 200
		h.mixed(4, 49, 49, Failed)       // 54 of 149
		h.pass(9 * time.Second)
		if h.flagged(3) {
			t.Error("before the interval is over")
		}
		h.pass(time.Second)
		if !h.flagged(3) || !h.flagged(4) || h.flagged(0) {
			t.Fatal("the wrong ones")
		}
		if st := h.status(4); st.Reason != ErrorRate || !strings.Contains(st.Detail, "54 of 149 requests failed, 10.5 % of the others'") {
			t.Errorf("%+v", st)
		}
		if n := h.group.Ejections()[ErrorRate]; n != 2 {
			t.Errorf("%d ejections", n)
		}
	})
}

// TestErrorRateOfAll: what all instances answer is nobody's fault, few requests say little, and counts begin anew.
func TestErrorRateNeedsAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(4, rates(0.5))
		for i := range h.instances {
			h.mixed(i, 100, 60+10*i, ServerError)
		}
		h.pass(10 * time.Second)
		h.mixed(0, 49, 49, Failed)
		h.mixed(1, 1000, 0, Failed)
		h.pass(10 * time.Second)
		h.mixed(0, 30, 30, Failed) // with those before enough, and alone
		h.mixed(2, 200, 99, Failed)
		h.mixed(1, 1000, 0, Failed)
		h.pass(10 * time.Second)
		h.mixed(3, 1000, 1000, Failed) // there is nobody to compare with
		h.pass(10 * time.Second)
		for i := range h.instances {
			if h.flagged(i) {
				t.Errorf("%d: %+v", i, h.status(i))
			}
		}
	})
}

// TestTheWorstGoFirst: where not all may go, the worst do.
func TestTheWorstGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rates(0.2)
		r.MaxShare = 0.1
		h := newHouse(10, r)
		for i := range h.instances {
			h.mixed(i, 100, 0, Failed)
		}
		h.mixed(2, 100, 60, Failed)
		h.mixed(7, 100, 90, Failed)
		h.pass(10 * time.Second)
		if h.flagged(2) || !h.flagged(7) {
			t.Error("not the worst")
		}
	})
}

func latencies(factor float64) config.Outlier {
	return rule(func(r *config.Outlier) { r.ConsecutiveErrors, r.Latency.Factor, r.MaxShare = 0, factor, 0.5 })
}

func (h *house) took(i, n int, d time.Duration) {
	for range n {
		h.Answered(h.instances[i], protocol.Now(), int64(float64(d)*(0.8+0.4*rand.Float64())), Good, false)
		h.End(h.instances[i], Good)
	}
}

func TestLatencyEjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(8, latencies(3))
		for i := range 6 {
			h.took(i, 100, 10*time.Millisecond)
			h.took(i, 30, time.Second) // some are slow everywhere
		}
		h.took(6, 100, 25*time.Millisecond)
		h.took(7, 100, 40*time.Millisecond)
		h.pass(10 * time.Second)
		for i := range h.instances {
			if h.flagged(i) != (i == 7) {
				t.Errorf("%d: %+v", i, h.status(i))
			}
		}
		if st := h.status(7); st.Reason != Latency || !strings.HasPrefix(st.Detail, "half of the answers took more than 4") && !strings.HasPrefix(st.Detail, "half of the answers took more than 3") {
			t.Errorf("%+v", st)
		}
	})
}

func TestLatencyNeedsAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(6, latencies(3))
		h.took(0, 100, time.Second)
		h.took(1, 100, time.Millisecond) // two are no measure
		h.pass(10 * time.Second)
		for i := 1; i < 6; i++ {
			h.took(i, 49, time.Millisecond)
		}
		h.took(0, 100, time.Second) // the others have answered too little
		h.pass(10 * time.Second)
		for i := range h.instances {
			h.took(i, 100, time.Second) // a slow day
		}
		h.pass(10 * time.Second)
		for i := range h.instances {
			if h.flagged(i) {
				t.Errorf("%d: %+v", i, h.status(i))
			}
		}
	})
}

// TestMiddleOfTheOthers compares with sorting them.
func TestMiddleOfTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for n := 3; n < 9; n++ {
			h := newHouse(n, latencies(2))
			of := func(i int) time.Duration { return time.Millisecond * time.Duration(math.Pow(3, float64(i))) }
			for i := range n {
				h.took(i, 60, of(i))
			}
			h.pass(10 * time.Second)
			out := 0
			for i := n - 1; i >= 0; i-- {
				var others []time.Duration
				for o := range n {
					if o != i {
						others = append(others, of(o))
					}
				}
				slices.Sort(others)
				want := of(i) >= 2*others[len(others)/2] && out < max(1, n/2)
				if want {
					out++
				}
				if h.flagged(i) != want {
					t.Errorf("%d instances: number %d is out %v, want %v", n, i, h.flagged(i), want)
				}
			}
		}
	})
}

// TestReloadsKeepCounts: plans that come faster than intervals end must not keep anybody in.
func TestReloadsKeepCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(4, rates(0.5))
		for range 15 {
			for i := range h.instances {
				h.mixed(i, 10, 10*(i/3), ServerError)
			}
			h.pass(time.Second)
			h.judgeBy(rates(0.5))
		}
		if !h.flagged(3) || h.flagged(0) {
			t.Errorf("%+v", h.status(3))
		}
	})
}

func TestCountsOfAnotherRuleAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(4, rates(0.5))
		for i := range h.instances {
			h.mixed(i, 100, 50*i, ServerError)
		}
		h.judgeBy(rule(nil))
		h.pass(time.Minute)
		if len(h.sweeper.listed) > 0 {
			t.Error("nobody compares any more, but there is work for ever")
		}
		h.judgeBy(rates(0.5))
		for i := range h.instances {
			h.mixed(i, 100, 0, Good)
		}
		h.pass(20 * time.Second)
		if h.flagged(3) {
			t.Error("ejected by what was counted for another rule")
		}
		for i := range h.instances {
			h.mixed(i, 100, 50*min(i, 1), ServerError)
		}
		h.pass(20 * time.Second)
		if len(h.sweeper.listed) > 0 || len(h.group.active) > 0 {
			t.Error("never compared again")
		}
	})
}

func TestHistogram(t *testing.T) {
	var h histogram
	if m, n := h.take(); m != 0 || n != 0 {
		t.Errorf("empty: %v of %d", m, n)
	}
	for _, d := range []time.Duration{0, -1, 1, 900} {
		h.add(int64(d))
	}
	if m, n := h.take(); n != 4 || m > 1300 {
		t.Errorf("%v of %d", m, n)
	}
	h.add(1 << 62)
	if m, n := h.take(); n != 1 || m < time.Hour {
		t.Errorf("%v of %d", m, n)
	}
	for d := int64(1100); d < int64(time.Hour); d += d / 7 {
		h.add(d)
		m, n := h.take()
		if ratio := float64(m) / float64(d); n != 1 || ratio < 0.88 || ratio > 1.13 {
			t.Errorf("%v is taken for %v", time.Duration(d), m)
		}
	}
	for i := range 101 {
		h.add(int64(i) * int64(time.Millisecond))
	}
	if m, n := h.take(); n != 101 || m < 44*time.Millisecond || m > 57*time.Millisecond {
		t.Errorf("the median of 0 to 100 ms is %v, of %d", m, n)
	}
}
