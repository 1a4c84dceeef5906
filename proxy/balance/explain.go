package balance

// View is what a picker makes of one target at one moment.
type View struct {
	// Share is the part of the requests, 0 to 1, that the target would get if all were idle: its weight, warm-up and tier,
	// among the targets that are not avoided.
	Share float64
	// Price is what the policy compares targets by: the one that costs less is picked. For peakEWMA nanoseconds that a
	// request would take in the target's queue, for leastRequest, ringHash and maglev requests in flight for its weight;
	// 0 for the others.
	Price float64
	// Bound is the price from which ringHash and maglev pass a request on to the next target; 0 for others.
	Bound float64
	// Warm is the part of its weight that a new target may have now; 1 when it is warm.
	Warm float64
	// Reported is the weight relative to the average that orca makes of its reports, times its own; 0 without.
	Reported float64
	// Flags speak against the target, and Ignored are those of them that do not count now, in panic.
	Flags, Ignored Flags
	// Tried is true when the request has been there.
	Tried bool
	// Key is true for the target that the request's key belongs to.
	Key bool
	// Tier is the group that the target is in, and TierShare the part of the requests that go there.
	Tier      Tier
	TierShare float64
}

// Tier is a group of targets that requests come to by the same rule. The zero value is for services that have only one.
type Tier struct {
	// Level is the place of its priority, from 0.
	Level int
	// Zone is what its targets have in common, or "" when zones do not count.
	Zone string
	// Local is true for the gateway's own zone.
	Local bool
}

// Avoided reports whether the target is picked only when nothing else is left.
func (v *View) Avoided() bool { return v.Tried || v.Flags&^v.Ignored != 0 }

// views are those of a set, with what all policies have in common. Shares are not yet divided.
func (s *set) views(c *Choice) []View {
	all := make([]View, len(s.loads))
	for i, l := range s.loads {
		flags := l.Flags()
		all[i] = View{
			Share: s.shares[i], Warm: s.warm.factor(i, c.Now), Flags: flags, Ignored: flags & s.pool.Ignored(),
			Tried: c.tried(l), TierShare: 1,
		}
	}
	return all
}

// divideShares makes parts of shares, for those that are not avoided, or for all if all are.
func divideShares(all []View) []View {
	sum := 0.0
	for i := range all {
		if !all[i].Avoided() {
			all[i].Share *= all[i].Warm
			sum += all[i].Share
		}
	}
	for i := range all {
		switch {
		case sum > 0 && !all[i].Avoided():
			all[i].Share /= sum
		case sum > 0:
			all[i].Share = 0
		default:
			all[i].Share /= float64(len(all))
		}
	}
	return all
}

// Explain implements Picker.
func (p *cheapest) Explain(c Choice) []View {
	all := p.views(&c)
	for i := range all {
		all[i].Price = p.price(p.loads[i], c.Now, p.shares[i]*all[i].Warm).value()
	}
	return divideShares(all)
}

// Explain implements Picker.
func (b *blind) Explain(c Choice) []View {
	all := b.views(&c)
	for i := range all {
		all[i].Share = b.sequence.share(i, c.Now)
		if _, reports := b.sequence.(*turns); reports {
			all[i].Reported = all[i].Share
		}
	}
	return divideShares(all)
}

// Explain implements Picker.
func (k *keyed) Explain(c Choice) []View {
	if len(k.loads) == 0 || !c.Keyed {
		return k.rest.Explain(c)
	}
	all := k.views(&c)
	bound := k.bound(c.Now)
	for i := range all {
		all[i].Warm, all[i].Bound = 1, max(bound, idle/k.shares[i])
		all[i].Price = float64(k.loads[i].InFlight()) / k.shares[i]
	}
	all[k.table.at(mix(c.Key), 0)].Key = true
	return divideShares(all)
}

// Explain implements Picker.
func (t *tiers) Explain(c Choice) []View {
	parts := make([]float64, len(t.groups))
	t.parts(parts)
	all := make([]View, len(t.loads))
	keyed := t.pick(&c)
	for g, of := range t.groups {
		for k, v := range t.pickers[g].Explain(c) {
			v.Tier, v.TierShare = Tier{of.level, of.zone, of.local}, parts[g]
			v.Share *= parts[g]
			v.Key = v.Key && g == keyed
			all[of.members[k]] = v
		}
	}
	return all
}
