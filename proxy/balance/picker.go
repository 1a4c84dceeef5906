package balance

import (
	"fmt"
	"slices"
)

// Policies lists the names that New accepts.
func Policies() []string { return []string{"peakEWMA", "roundRobin"} }

// Target is one usable instance as a picker sees it.
type Target struct {
	// Load outlives the picker.
	Load *Load
	// Weight is relative to the other targets and positive.
	Weight float64
}

// Picker chooses among the targets it was made over. It never blocks and never allocates.
type Picker interface {
	// Pick returns the index of a target, or -1 if there is none.
	Pick(c Choice) int
}

// New makes a picker over targets, which must not change afterwards. pool belongs to the service, so that a new picker goes
// on where the old one stopped.
func New(policy string, targets []Target, pool *Pool) (Picker, error) {
	switch policy {
	case "peakEWMA", "":
		return newPeakEWMA(targets, pool), nil
	case "roundRobin":
		return newRoundRobin(targets, pool), nil
	}
	return nil, fmt.Errorf("unknown balance policy %q", policy)
}

// fallback is the slow path, when the policy's own choices are all to be avoided or tried: the first target that is
// neither, else the first that was not tried, else any. start spreads the load of that.
func fallback(targets []Target, pool *Pool, tried []*Load, start int) int {
	n := len(targets)
	if n == 0 {
		return -1
	}
	second := -1
	for k := range n {
		i := (start + k) % n
		if slices.Contains(tried, targets[i].Load) {
			continue
		}
		if !pool.avoids(targets[i].Load) {
			return i
		}
		if second < 0 {
			second = i
		}
	}
	if second >= 0 {
		return second
	}
	return start % n
}

// weights returns each target's share of the average weight, and whether they differ at all.
func weights(targets []Target) (shares []float64, uneven bool) {
	var sum float64
	for _, t := range targets {
		sum += t.Weight
	}
	shares = make([]float64, len(targets))
	for i, t := range targets {
		shares[i] = t.Weight * float64(len(targets)) / sum
		uneven = uneven || t.Weight != targets[0].Weight
	}
	return shares, uneven
}
