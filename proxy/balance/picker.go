package balance

import (
	"errors"
	"fmt"
	"time"
)

// Policies lists the names that a Config accepts.
func Policies() []string {
	return []string{"peakEWMA", "leastRequest", "roundRobin", "random", "ringHash", "maglev", "orca"}
}

// Config says how the targets of one service are chosen among. The zero value is peakEWMA, without slow start and zones.
type Config struct {
	// Policy is one of Policies; empty is peakEWMA.
	Policy string
	// SlowStart is how long a new target gets less than its weight asks for: from a tenth of it up, in proportion to its
	// age. 0 turns it off, but for targets with a Warmup. The hashing policies do not slow down.
	SlowStart time.Duration
	// Zone is the gateway's own: its targets come first. When it is empty, or no target is there, all zones are equal. The
	// hashing policies know no zones: gateways in different ones must send a key to the same target.
	Zone string
	// ZoneTraffic is the part of all the service's requests, 0 to 1, that come in through gateways in Zone. It bounds what
	// the zone's targets may get without more work than the others. 0 means an equal part for each zone that has targets.
	ZoneTraffic float64
	// ZoneMinimum is the number of available targets below which zones do not count; 0 means 6, as for Envoy.
	ZoneMinimum int
}

// Validate reports what cannot work.
func (c *Config) Validate() error {
	switch {
	case c.SlowStart < 0:
		return errors.New("slow start must not be negative")
	case !(c.ZoneTraffic >= 0 && c.ZoneTraffic <= 1):
		return errors.New("the zone's part of the traffic must be 0 to 1")
	case c.ZoneMinimum < 0:
		return errors.New("the least number of targets for zones must not be negative")
	}
	for _, known := range Policies() {
		if c.Policy == known || c.Policy == "" {
			return nil
		}
	}
	return fmt.Errorf("unknown balance policy %q", c.Policy)
}

// Target is one usable instance as a picker sees it.
type Target struct {
	// Load outlives the picker.
	Load *Load
	// Weight is relative to the other targets and positive.
	Weight float64
	// ID is what the hashing policies place the target by: the same for all gateways, and after a restart.
	ID string
	// Zone it is in, or "".
	Zone string
	// Priority: a target with a higher number gets requests only as far as those with lower ones cannot do the work.
	Priority int
	// Since is when it joined, in protocol.Now's time and not in the future; 0 is long ago.
	Since int64
	// Warmup is how long it warms up by its own account (Dubbo's warmup); 0 means the Config's SlowStart.
	Warmup time.Duration
}

// Picker chooses among the targets it was made over. It is safe for concurrent use, never blocks, and allocates nothing;
// only orca's does once a second, for its new weights.
type Picker interface {
	// Pick returns the index of a target, or -1 if there is none.
	Pick(c Choice) int
	// Explain tells what Pick would go by, for each target in the order of New. It takes its time.
	Explain(c Choice) []View
}

// New makes a picker over targets, which must not change afterwards. pool belongs to the service, so that a new picker goes
// on where the old one stopped.
func New(cfg Config, targets []Target, pool *Pool) (Picker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if groups := divide(&cfg, targets); len(groups) > 1 {
		return newTiers(&cfg, targets, groups, pool), nil
	}
	return newPolicy(&cfg, targets, pool, &pool.turn), nil
}

// newPolicy makes the picker of cfg's policy, over targets that are all in one tier.
func newPolicy(cfg *Config, targets []Target, pool *Pool, turn *turn) Picker {
	s := newSet(cfg, targets, pool)
	switch cfg.Policy {
	case "leastRequest":
		return newCheapest(s, byQueue)
	case "roundRobin":
		return newRoundRobin(s, turn)
	case "random":
		return newRandom(s)
	case "ringHash":
		return newKeyed(s, newRing(targets, s.shares))
	case "maglev":
		return newKeyed(s, newMaglev(targets, s.shares))
	case "orca":
		return newOrca(s, turn)
	}
	return newCheapest(s, byLatency)
}
