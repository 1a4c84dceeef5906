package outlier

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a service with n instances that one detector judges.
type house struct {
	*Detector
	sweeper   Sweeper
	group     Group
	loads     []balance.Load
	instances []*Instance
	changes   atomic.Int32
	log       bytes.Buffer
}

func rule(change func(*config.Outlier)) config.Outlier {
	var r config.Outlier
	r.SetDefaults()
	if change != nil {
		change(&r)
	}
	return r
}

func newHouse(n int, r config.Outlier) *house {
	h := &house{loads: make([]balance.Load, n)}
	for i := range h.loads {
		instance := h.group.New(fmt.Sprint("i", i), &h.loads[i])
		h.group.Join(instance)
		h.instances = append(h.instances, instance)
	}
	h.judgeBy(r)
	return h
}

// judgeBy puts another detector over the same instances, as a new plan does.
func (h *house) judgeBy(r config.Outlier) {
	old := h.Detector
	h.Detector = h.sweeper.NewDetector(r, &h.group, slog.New(slog.NewTextHandler(&h.log, nil)), func() { h.changes.Add(1) })
	h.Resize(len(h.instances))
	if old != nil {
		old.Close()
	}
}

// request is one whole exchange.
func (h *house) request(i int, o Outcome) (trial bool) {
	now := protocol.Now()
	trial = h.Begin(h.instances[i], now)
	if o == Good || o == ServerError {
		h.Answered(h.instances[i], now, int64(time.Millisecond), o, trial)
		h.End(h.instances[i], o)
	} else {
		h.Lost(h.instances[i], now, o, trial)
	}
	return trial
}

func (h *house) requests(i, n int, o Outcome) {
	for range n {
		h.request(i, o)
	}
}

// pass lets time go by, with the sweeps in it.
func (h *house) pass(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(time.Second)
		h.sweeper.Sweep(protocol.Now())
	}
}

func (h *house) flagged(i int) bool { return h.loads[i].Flags()&balance.Ejected != 0 }

func (h *house) status(i int) Status { return h.instances[i].Status(protocol.Now()) }

func TestConsecutiveErrorsEject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(4, rule(nil))
		h.requests(0, 4, Failed)
		h.request(0, Good) // begins anew
		h.requests(0, 4, Failed)
		h.requests(0, 3, Unknown) // says nothing
		if h.flagged(0) || h.status(0).Errors != 4 {
			t.Fatalf("%+v", h.status(0))
		}
		h.request(0, Failed)
		st := h.status(0)
		if !h.flagged(0) || !st.Ejected || st.Reason != ConsecutiveErrors || st.Detail != "5 errors in a row" || st.Times != 1 {
			t.Fatalf("%+v", st)
		}
		if !st.Since.Equal(time.Now()) || st.Until.Sub(st.Since) != 30*time.Second {
			t.Errorf("since %v until %v", st.Since, st.Until)
		}
		if h.changes.Load() != 1 || h.group.Ejections()[ConsecutiveErrors] != 1 {
			t.Errorf("%d changes, %v", h.changes.Load(), h.group.Ejections())
		}
		if log := h.log.String(); !strings.Contains(log, `level=INFO msg="instance is ejected" instance=i0 reason=consecutiveErrors detail="5 errors in a row" for=30s`) {
			t.Error(log)
		}
		// What was under way when it was ejected says nothing any more.
		h.requests(0, 20, Failed)
		h.request(0, Good)
		if st := h.status(0); st.Times != 1 || !h.flagged(0) {
			t.Errorf("%+v", st)
		}
	})
}

func TestServerErrorsCountIfAsked(t *testing.T) {
	h := newHouse(4, rule(nil))
	h.requests(0, 100, ServerError)
	h.requests(0, 4, Failed)
	h.request(0, ServerError) // an answer, after all
	h.requests(0, 4, Failed)
	if h.flagged(0) {
		t.Error("ejected by what the application answers")
	}
	h = newHouse(4, rule(func(r *config.Outlier) { r.ServerErrors = true }))
	h.requests(0, 3, ServerError)
	h.requests(0, 2, Failed)
	if !h.flagged(0) {
		t.Error("not ejected")
	}
}

// TestTrial follows an instance that stays bad, each time for longer, and is forgiven in the end.
func TestTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(4, rule(func(r *config.Outlier) { r.MaxEjection = 100 * time.Second }))
		h.requests(0, 5, Failed)
		for n, period := range []time.Duration{30, 60, 90, 100, 100, 100} {
			period *= time.Second
			h.pass(period - time.Second)
			if !h.flagged(0) || h.request(0, Good) {
				t.Fatalf("ejection %d: tried before %v", n, period)
			}
			h.pass(time.Second)
			if h.flagged(0) || !h.status(0).Ejected {
				t.Fatalf("ejection %d: not tried after %v", n, period)
			}
			if !h.request(0, Failed) || !h.flagged(0) {
				t.Fatalf("ejection %d: a failed trial is none", n)
			}
		}
		if n := h.group.Ejections()[Trial]; n != 6 {
			t.Errorf("%d failed trials", n)
		}
		if st := h.status(0); st.Reason != ConsecutiveErrors || st.Detail != "5 errors in a row" || time.Since(st.Since) < 8*time.Minute {
			t.Errorf("what was wrong at first is forgotten: %+v", st)
		}
		h.pass(100 * time.Second)
		changes := h.changes.Load()
		if !h.request(0, Good) || h.flagged(0) || h.status(0).Ejected || h.changes.Load() != changes+1 {
			t.Fatalf("not back: %+v", h.status(0))
		}
		if h.request(0, Good) {
			t.Error("one trial is enough")
		}
		// A minute of good behaviour makes up for two of its four times; then comes the next one.
		h.pass(time.Minute)
		h.requests(0, 5, Failed)
		if st := h.status(0); st.Until.Sub(st.Since) != 90*time.Second {
			t.Errorf("ejected for %v", st.Until.Sub(st.Since))
		}
		h.pass(90 * time.Second)
		h.request(0, Good)
		h.pass(time.Hour)
		h.requests(0, 5, Failed)
		if st := h.status(0); st.Until.Sub(st.Since) != 30*time.Second || st.Times != 1 {
			t.Errorf("after an hour it is not forgiven: %+v", st)
		}
	})
}

func TestOneTrialAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(4, rule(nil))
		i := h.instances[0]
		h.requests(0, 5, Failed)
		h.pass(30 * time.Second)
		var trials atomic.Int32
		var tasks sync.WaitGroup
		for range 50 {
			tasks.Go(func() {
				if h.Begin(i, protocol.Now()) {
					trials.Add(1)
				}
			})
		}
		tasks.Wait()
		if trials.Load() != 1 || !h.flagged(0) {
			t.Fatalf("%d trials at once", trials.Load())
		}
		// One that says nothing is repeated by the next request.
		h.Lost(i, protocol.Now(), Unknown, true)
		if h.flagged(0) || !h.Begin(i, protocol.Now()) {
			t.Fatal("a client that left has used up the trial")
		}
		// One that never ends is not awaited for ever.
		h.pass(59 * time.Second)
		if !h.flagged(0) {
			t.Fatal("given up too early")
		}
		h.pass(time.Second)
		if h.flagged(0) || !h.Begin(i, protocol.Now()) {
			t.Fatal("a trial without an end keeps it out")
		}
		h.Answered(i, protocol.Now(), 1, Good, true) // the first one, late; it is as good
		h.Lost(i, protocol.Now(), Failed, true)
		if h.flagged(0) || h.status(0).Ejected {
			t.Errorf("%+v", h.status(0))
		}
	})
}

func TestNotTooManyAreOut(t *testing.T) {
	for _, test := range []struct {
		size  int
		share float64
		want  int
	}{{1, 0.3, 0}, {2, 0.3, 1}, {3, 0.3, 1}, {9, 0.3, 2}, {10, 0.3, 3}, {20, 0.3, 6}, {4, 1, 3}, {10, 0.01, 1}} {
		h := newHouse(test.size, rule(func(r *config.Outlier) { r.MaxShare = test.share }))
		for i := range h.instances {
			h.requests(i, 25, Failed)
		}
		out := 0
		for i := range h.instances {
			if h.flagged(i) {
				out++
			}
		}
		if out != test.want {
			t.Errorf("%d of %d instances are out at a share of %v, want %d", out, test.size, test.share, test.want)
		}
	}
}

// TestThoseThatLeftDoNotCount: an ejected instance that its registry has dropped is no reason to keep a bad one in.
func TestThoseThatLeftDoNotCount(t *testing.T) {
	h := newHouse(3, rule(nil))
	h.requests(0, 5, Failed)
	h.requests(1, 5, Failed)
	if !h.flagged(0) || h.flagged(1) {
		t.Fatal("one may be out")
	}
	h.group.Leave(h.instances[0])
	h.Resize(2)
	h.requests(1, 5, Failed)
	if !h.flagged(0) || !h.flagged(1) {
		t.Error("one that left is forgotten, or in the way")
	}
}

func TestAnotherPlanRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(4, rule(nil))
		h.requests(0, 5, Failed)
		h.pass(10 * time.Second)
		h.judgeBy(rule(func(r *config.Outlier) { r.BaseEjection = 40 * time.Second }))
		h.pass(19 * time.Second)
		if !h.flagged(0) {
			t.Fatal("a reload lets it serve")
		}
		h.pass(time.Second)
		if h.flagged(0) || !h.request(0, Failed) {
			t.Fatal("the new detector does not look after what the old one has ejected")
		}
		if st := h.status(0); st.Times != 2 || time.Until(st.Until) != 80*time.Second {
			t.Errorf("%+v", st)
		}
	})
}

func TestFree(t *testing.T) {
	h := newHouse(4, rule(func(r *config.Outlier) { r.ErrorRate.Threshold = 0.5 }))
	if h.group.Free() {
		t.Error("nobody was out")
	}
	h.requests(0, 5, Failed)
	if !h.group.Free() || h.flagged(0) || h.status(0) != (Status{}) || len(h.group.ejected)+len(h.group.active) > 0 {
		t.Errorf("%+v", h.status(0))
	}
	h.requests(0, 5, Failed)
	if !h.flagged(0) {
		t.Error("free for ever")
	}
}

func TestNothingToSweep(t *testing.T) {
	h := newHouse(4, rule(nil))
	for i := range h.instances {
		h.requests(i, 1000, Good)
		h.requests(i, 3, Failed)
	}
	if len(h.sweeper.listed) != 0 {
		t.Error("ordinary traffic makes work")
	}
	h.requests(0, 2, Failed)
	h.requests(1, 2, Failed)
	if len(h.sweeper.listed) != 1 {
		t.Errorf("listed %d times", len(h.sweeper.listed))
	}
	h.sweeper.Sweep(protocol.Now())
	if len(h.sweeper.listed) != 1 {
		t.Error("an ejected instance is not looked after")
	}
}

// TestClosedDetectorsFinish: what the last requests of a service eject is not out for ever, whoever has it then.
func TestClosedDetectorsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(4, rule(nil))
		old := h.Detector
		h.judgeBy(rule(nil))
		for range 5 {
			old.Lost(h.instances[0], protocol.Now(), Failed, false)
		}
		if !h.flagged(0) {
			t.Fatal("not ejected")
		}
		h.pass(30 * time.Second)
		if h.flagged(0) || len(h.sweeper.listed) != 0 {
			t.Error("nobody looks after it, or somebody does for ever")
		}
		if !h.request(0, Failed) || !h.flagged(0) {
			t.Error("no trial")
		}
		h.pass(time.Minute)
		if h.flagged(0) {
			t.Error("nobody looks after it")
		}
	})
}

// TestManyAtOnce is for the race detector: whatever happens at once, books balance in the end.
func TestManyAtOnce(t *testing.T) {
	h := newHouse(10, rule(func(r *config.Outlier) {
		r.ErrorRate.Threshold, r.Latency.Factor, r.ConsecutiveErrors = 0.2, 2, 2
		r.ErrorRate.MinRequests, r.Latency.MinRequests = 5, 5
		r.BaseEjection, r.MaxEjection, r.Interval = 1, 1, 1
	}))
	var tasks sync.WaitGroup
	stop := make(chan struct{})
	tasks.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				h.sweeper.Sweep(protocol.Now())
				_ = h.status(3)
				_ = h.group.Ejections()
			}
		}
	})
	var work sync.WaitGroup
	for w := range 4 {
		work.Go(func() {
			for n := range 20_000 {
				h.request((n+w)%10, Outcome(n*7%4))
			}
		})
	}
	work.Wait()
	close(stop)
	tasks.Wait()
	for n := range h.instances {
		for range 10 {
			h.sweeper.Sweep(protocol.Now())
			h.request(n, Good)
		}
	}
	for i := range h.instances {
		if h.flagged(i) || h.status(i).Ejected {
			t.Errorf("%d: %+v", i, h.status(i))
		}
	}
	if len(h.group.ejected) != 0 {
		t.Errorf("%d are still listed", len(h.group.ejected))
	}
}
