package eureka

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

const (
	manyApps  = 5000
	instances = 10
)

// large is the list of everything of a large registry: 5,000 applications of 10 instances each.
var large = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"applications":{"versions__delta":"1","apps__hashcode":"UP_%d_","application":[`, manyApps*instances)
	for a := range manyApps {
		if a > 0 {
			b.WriteByte(',')
		}
		list := make([]string, instances)
		for i := range list {
			list[i] = largeInstance(a, i, 8080, "ADDED")
		}
		b.WriteString(appOf(largeName(a), list...))
	}
	b.WriteString("]}}")
	return b.Bytes()
})

func largeName(a int) string { return fmt.Sprintf("SERVICE-%d", a) }

func largeInstance(a, i, port int, action string) string {
	ip := fmt.Sprintf("10.%d.%d.%d", i, a/250, a%250)
	return instanceOf(largeName(a), fmt.Sprintf("%s:%s:%d", ip, strings.ToLower(largeName(a)), port), ip, port, "UP", action)
}

// TestScale watches 5,000 services of 50,000 instances: the answer is read as it comes and held in little memory, and a change
// reaches the one whom it concerns.
func TestScale(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	body := large()
	s := newScript(t)
	s.say(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}, asJSON(appsOf(fmt.Sprintf("UP_%d_", manyApps*instances))))
	before := heap()
	r := newRig(t, s.URL, func(c *Config) { c.Interval = 500 * time.Millisecond })
	var first, later atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	var watches sync.WaitGroup
	defer watches.Wait()
	defer cancel()
	start := time.Now()
	kept := make([]registry.Snapshot, manyApps) // as who watches keeps it
	for a := range manyApps {
		watches.Go(func() {
			_ = r.reg.Watch(ctx, registry.App(strings.ToLower(largeName(a))), func(s registry.Snapshot) {
				if kept[a].Instances == nil {
					first.Add(1)
				} else {
					later.Add(1)
				}
				kept[a] = s
			})
		})
	}
	within(t, "all services", func() bool { return first.Load() == manyApps })
	t.Logf("%d MB in %v, heap %.1f MB with every service watched", len(body)>>20, time.Since(start), float64(heap()-before)/(1<<20))

	hash := fmt.Sprintf("UP_%d_", manyApps*instances)
	asked := s.count("delta")
	s.say(nil, asJSON(appsOf(hash, appOf(largeName(7), strings.Replace(largeInstance(7, 0, 8080, "MODIFIED"), `"$":8080`, `"$":9090`, 1)))))
	within(t, "the change", func() bool { return later.Load() == 1 })
	within(t, "more polls", func() bool { return s.count("delta") > asked+3 })
	if n := later.Load(); n != 1 {
		t.Errorf("%d pushes for a change of one service", n)
	}
	if n := s.count("full"); n != 1 {
		t.Errorf("everything was read %d times", n)
	}
	cancel()
	watches.Wait()
	runtime.KeepAlive(kept)
	runtime.KeepAlive(body)
	r.noErrors()
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// decode reads a document as a poll does.
func decode(c *Config, in *interner, r io.Reader) (map[string]change, error) {
	changes := map[string]change{}
	d := &decoder{scanner: newScanner(r), in: in}
	_, err := d.answer(func(w *wire) {
		app := w.key(in)
		if changes[app] == nil {
			changes[app] = change{}
		}
		e := c.entry(w, in)
		changes[app][e.id] = e
	})
	return changes, err
}

// BenchmarkFull reads everything, first and again.
func BenchmarkFull(b *testing.B) {
	body := large()
	c := Default()
	s := newStore()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		changes, err := decode(c, newInterner(), bytes.NewReader(body))
		check(b, err)
		u := s.replace(changes)
		if len(u.apps) > 0 && len(s.apps) > 0 {
			b.Fatalf("%d applications have changed", len(u.apps))
		}
		s.apply(u)
	}
}

// BenchmarkDelta applies a list of ten changes to 50,000 instances.
func BenchmarkDelta(b *testing.B) {
	c := Default()
	s, in := newStore(), newInterner()
	changes, err := decode(c, in, bytes.NewReader(large()))
	check(b, err)
	s.apply(s.replace(changes))
	var documents [2]string
	for n := range documents {
		var list []string
		for a := range 10 {
			list = append(list, appOf(largeName(a), strings.Replace(largeInstance(a, 0, 8080, "MODIFIED"), `"$":8080`, fmt.Sprintf(`"$":%d`, 9000+n), 1)))
		}
		documents[n] = appsOf("-", list...)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		changes, err := decode(c, in, strings.NewReader(documents[n%2]))
		check(b, err)
		u := s.plan(changes)
		if len(u.apps) != 10 {
			b.Fatalf("%d applications have changed", len(u.apps))
		}
		s.names(u)
		s.apply(u)
	}
}
