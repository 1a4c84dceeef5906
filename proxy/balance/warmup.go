package balance

// coldest is the part of its weight that a target begins with.
const coldest = 0.1

// warmup is the slow start of new targets. It thins out: where the policy would choose a new target, it may do so only as
// often as the target is warm, and goes on looking otherwise. What counts is how warm it is relative to the warmest, so
// that nobody is slowed down when all are new.
type warmup struct {
	since, window []int64
	until         int64 // when the last one is warm
	leader        int   // the one that is warm first, or -1 when one was warm from the start
}

// newWarmup is nil when nobody can be new.
func newWarmup(cfg *Config, targets []Target) *warmup {
	if cfg.SlowStart <= 0 {
		found := false
		for i := range targets {
			found = found || targets[i].Warmup > 0
		}
		if !found {
			return nil
		}
	}
	w := &warmup{since: make([]int64, len(targets)), window: make([]int64, len(targets)), leader: -1}
	old, first := false, int64(0)
	for i := range targets {
		t := &targets[i]
		w.since[i] = t.Since
		if w.window[i] = int64(t.Warmup); t.Warmup <= 0 {
			w.window[i] = int64(cfg.SlowStart)
		}
		if t.Since == 0 || w.window[i] <= 0 {
			w.window[i], old = 0, true
			continue
		}
		end := t.Since + w.window[i]
		w.until = max(w.until, end)
		if w.leader < 0 || end < first {
			w.leader, first = i, end
		}
	}
	if w.until == 0 {
		return nil
	}
	if old {
		w.leader = -1
	}
	return w
}

// slows reports whether anybody is new now.
func (w *warmup) slows(now int64) bool { return w != nil && now < w.until }

// factor is the part of its weight, above 0 and at most 1, that target i may have now.
func (w *warmup) factor(i int, now int64) float64 {
	if w == nil {
		return 1
	}
	f := w.warmth(i, now)
	if w.leader >= 0 {
		f = min(1, f/w.warmth(w.leader, now))
	}
	return f
}

func (w *warmup) warmth(i int, now int64) float64 {
	age, window := now-w.since[i], w.window[i]
	if age >= window {
		return 1
	}
	return max(coldest, float64(age)/float64(window))
}

// admits draws whether a target this warm may be chosen.
func (p *Pool) admits(factor float64) bool {
	return factor >= 1 || float64(p.random()>>11)/(1<<53) < factor
}
