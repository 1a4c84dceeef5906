package zookeeper

import (
	"hash/maphash"
	"maps"
	"sync"
	"unique"
)

const (
	// shelfMaps is how many different metadata are remembered: instances of one service are usually read one after another.
	shelfMaps = 1024
	// shelfBytes bounds what each of them says; what is longer is hardly ever said twice.
	shelfBytes = 4 << 10
)

// shelf keeps metadata that many instances say once: most instances of a service say the same.
type shelf struct {
	seed maphash.Seed

	mu   sync.Mutex
	maps map[uint64]map[string]string // by a hash of what they say
	last map[string]string            // the newest of them
}

func newShelf() *shelf {
	return &shelf{seed: maphash.MakeSeed(), maps: make(map[uint64]map[string]string)}
}

// of returns metadata that says the same as m and that others have too, if there are any. Nobody may change it, nor m.
func (s *shelf) of(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	size, hash := 0, uint64(0)
	for k, v := range m {
		size += len(k) + len(v)
		hash += maphash.Comparable(s.seed, [2]string{k, v})
	}
	if size > shelfBytes {
		return m
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.maps[hash]
	if ok && maps.Equal(known, m) {
		return known
	}
	if len(s.maps) >= shelfMaps {
		clear(s.maps)
	}
	own := make(map[string]string, len(m))
	for k, v := range m { // often all but a timestamp is the same
		if same, ok := s.last[k]; ok && same == v {
			v = same
		}
		own[unique.Make(k).Value()] = v
	}
	s.maps[hash], s.last = own, own
	return own
}
