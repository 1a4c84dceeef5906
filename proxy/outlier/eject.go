package outlier

import "time"

// judge ejects an instance unless as many are out as may be.
func (d *Detector) judge(i *Instance, now int64, reason Reason, detail string) {
	g := d.group
	g.mu.Lock()
	if i.phase.Load() != serving {
		g.mu.Unlock()
		return
	}
	if n := g.out(); n >= d.most() {
		g.mu.Unlock()
		d.logger.Debug("instance is not ejected: as many are as may be", "instance", i.id, "reason", reason, "detail", detail, "ejected", n)
		return
	}
	g.ejected = append(g.ejected, i)
	period := d.eject(i, now, reason, detail)
	g.mu.Unlock()
	d.logger.Info("instance is ejected", "instance", i.id, "reason", reason, "detail", detail, "for", period)
	d.list()
	d.changed()
}

// most is how many instances may be out: a share, one in any case, but never all.
func (d *Detector) most() int {
	size := int(d.size.Load())
	return min(max(1, int(d.rule.MaxShare*float64(size)+1e-9)), size-1)
}

// eject takes an instance out, longer each time; each baseEjection in which it was not ejected makes up for one time. The
// group's mu is held.
func (d *Detector) eject(i *Instance, now int64, reason Reason, detail string) time.Duration {
	base := int64(d.rule.BaseEjection)
	if i.past == nil {
		i.past = &record{}
	}
	past := i.past
	if reason != Trial && past.times > 0 {
		past.times -= int(min(int64(past.times), (now-past.returned)/base))
	}
	period := int64(d.rule.MaxEjection)
	if int64(past.times)*base < period {
		past.times++ // no further than it matters: what is as bad as can be must not take for ever to be forgiven
	}
	period = min(period, base*int64(past.times))
	if reason != Trial {
		past.since, past.reason, past.detail = now, reason, detail
	}
	past.until = now + period
	if d.group.ejections == nil {
		d.group.ejections = map[Reason]uint64{}
	}
	d.group.ejections[reason]++
	i.streak.Store(0)
	i.setPhase(out)
	return time.Duration(period)
}
