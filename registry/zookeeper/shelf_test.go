package zookeeper

import (
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unsafe"
)

func sameMap(a, b map[string]string) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

func TestMetadataIsKeptOnce(t *testing.T) {
	s := newShelf()
	say := func(zone, timestamp string) map[string]string {
		return map[string]string{"zone": strings.Clone(zone), "timestamp": strings.Clone(timestamp), "revision": strings.Clone("ff31")}
	}
	first := s.of(say("a", "1"))
	for range 3 { // whatever stands between
		if !sameMap(s.of(say("a", "1")), first) {
			t.Error("what says the same is there twice")
		}
		s.of(say("b", "2"))
	}
	other := s.of(say("a", "3"))
	if want := say("a", "3"); sameMap(other, first) || !maps.Equal(other, want) || !maps.Equal(first, say("a", "1")) {
		t.Errorf("%v and %v", first, other)
	}
	if next := s.of(say("a", "4")); unsafe.StringData(next["revision"]) != unsafe.StringData(other["revision"]) {
		t.Error("a string that both say is there twice")
	}
	if s.of(nil) != nil || s.of(map[string]string{}) != nil {
		t.Error("nothing is nothing")
	}
}

// Two that say other things are told apart, also where their hashes are the same.
func TestCollidingMetadata(t *testing.T) {
	s := newShelf()
	a := s.of(map[string]string{"a": "1"})
	for hash := range s.maps {
		s.maps[hash] = map[string]string{"b": "2"}
	}
	if got := s.of(map[string]string{"a": "1"}); !maps.Equal(got, a) {
		t.Errorf("%v", got)
	}
}

func TestShelfIsBounded(t *testing.T) {
	s := newShelf()
	big := map[string]string{"x": strings.Repeat("x", 1<<20)}
	if got := s.of(big); !sameMap(got, big) || len(s.maps) != 0 {
		t.Errorf("%d remembered", len(s.maps))
	}
	for n := range 10 * shelfMaps {
		m := map[string]string{"n": fmt.Sprint(n)}
		if got := s.of(m); !maps.Equal(got, m) || len(s.maps) > shelfMaps {
			t.Fatalf("%v, %d remembered", got, len(s.maps))
		}
	}
}

// Instances that say the same take little more than their addresses.
func TestFootprintOfInstances(t *testing.T) {
	const many = 5000
	s := newShelf()
	nodes := make([]*instanceNode, many)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range nodes {
		var err error
		nodes[n], err = parseInstance([]byte(spring(fmt.Sprintf("192.0.%d.%d", n/250, n%250), `"port":8080`, `"zone":"a","version":"1.0","instance_status":"UP"`)), s)
		must(t, err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / many; each > 150 {
		t.Errorf("%d bytes an instance", each)
	}
	runtime.KeepAlive(nodes)
}

func BenchmarkShelf(b *testing.B) {
	s := newShelf()
	m := map[string]string{"zone": "a", "version": "1.0", "instance_status": "UP", "management.port": "8081"}
	b.ReportAllocs()
	for b.Loop() {
		s.of(m)
	}
}
