package balance

import (
	"cmp"
	"slices"
)

// maxZones is how many zones of a level are told apart. More of them are either the gateway's own or all others.
const maxZones = 16

// group is the targets of one level and zone.
type group struct {
	level   int
	zone    string
	local   bool    // the zone is the gateway's own
	members []int32 // places in the whole list
}

// divide puts targets together that requests come to by the same rule: by priority and, when there are any in the gateway's
// zone, by zone. The groups come in the order of preference.
func divide(cfg *Config, targets []Target) []group {
	zoned := false
	if cfg.Zone != "" && cfg.Policy != "ringHash" && cfg.Policy != "maglev" {
		zoned = slices.ContainsFunc(targets, func(t Target) bool { return t.Zone == cfg.Zone })
	}
	levels := levelsOf(targets)
	if !zoned && levels.n <= 1 {
		return nil
	}
	type key struct {
		level int
		zone  string
	}
	zones := map[string]struct{}{}
	for i := range targets {
		zones[targets[i].Zone] = struct{}{}
	}
	found, groups := map[key]int{}, []group{}
	for i := range targets {
		k := key{level: levels.of(targets[i].Priority)}
		switch {
		case !zoned:
		case len(zones) <= maxZones || targets[i].Zone == cfg.Zone:
			k.zone = targets[i].Zone
		}
		at, known := found[k]
		if !known {
			at = len(groups)
			found[k] = at
			groups = append(groups, group{level: k.level, zone: k.zone, local: zoned && k.zone == cfg.Zone})
		}
		groups[at].members = append(groups[at].members, int32(i))
	}
	slices.SortFunc(groups, func(a, b group) int {
		if c := cmp.Compare(a.level, b.level); c != 0 {
			return c
		}
		if a.local != b.local {
			if a.local {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.zone, b.zone)
	})
	return groups
}
