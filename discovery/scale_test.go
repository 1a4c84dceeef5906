package discovery

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

const (
	manyServices  = 5000
	manyInstances = 10 // of each
)

// populated is a catalogue that follows 5,000 services of 10 instances, and the bytes that these cost: in total, and
// without what the registry had to allocate anyhow (hosts, metadata).
func populated(t *testing.T, told *atomic.Int64) (c *Catalogue, reg *scripted, ours, theirs uint64) {
	t.Helper()
	w := &world{}
	c = New(discard(), nil)
	n := newNetwork()
	c.prober.dial = n.dial
	t.Cleanup(c.Close)
	if err := c.Apply(specs(map[string]registry.Config{"a": w.config(1)})); err != nil {
		t.Fatal(err)
	}
	reg = w.named("a")
	before := allocated()
	r := rand.New(rand.NewPCG(1, 2))
	snapshots := make([]registry.Snapshot, manyServices)
	for i := range snapshots {
		snapshots[i] = crowdSnapshot(r, i)
	}
	filled := allocated()
	for i := range manyServices {
		c.Subscribe(key("a", service(i)), func(*Endpoints) { told.Add(1) })
	}
	until(t, func() bool { _, begun, _ := reg.watching(); return begun == manyServices })
	for i := range snapshots {
		reg.pushed(registry.App(service(i)))(snapshots[i])
		snapshots[i] = registry.Snapshot{} // as a registry drops it
	}
	until(t, func() bool { return told.Load() == manyServices })
	after := allocated()
	list := uint64(manyServices*manyInstances) * 136 // the snapshots' own slices, which are garbage now
	theirs = filled - before - list
	return c, reg, after - before - theirs, theirs
}

func service(i int) string { return fmt.Sprint("service-", i) }

func allocated() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// What an instance costs here, beside its host and metadata: the endpoint itself, its id, and its share of the feed with
// its watch's goroutine (stacks not counted). Nothing is there twice, also after everything was pushed again.
func TestMemoryOfAnInstance(t *testing.T) {
	if testing.Short() {
		t.Skip("5,000 services")
	}
	var told atomic.Int64
	c, reg, ours, theirs := populated(t, &told)
	each := ours / (manyServices * manyInstances)
	t.Logf("%d bytes an instance in discovery, %d in the registry's strings and maps", each, theirs/(manyServices*manyInstances))
	if each > 450 {
		t.Errorf("an instance costs %d bytes", each)
	}
	before := allocated()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range manyServices {
		reg.pushed(registry.App(service(i)))(crowdSnapshot(r, i)) // the same again, in new memory
	}
	if grown := int64(allocated()) - int64(before); grown > 4<<20 {
		t.Errorf("a push that changed nothing left %d bytes behind", grown)
	}
	if n := told.Load(); n != manyServices {
		t.Errorf("%d notices of nothing new", n-manyServices)
	}
	if n := c.Registries()[0].Counts; n.Usable != manyServices*manyInstances {
		t.Errorf("counts %+v", n)
	}
	runtime.KeepAlive(c)
}

// A whole registry gone at once: no storm of probes, goroutines or lines of the log, and all of it is there when it
// comes back.
func TestCollapseAtScale(t *testing.T) {
	if testing.Short() {
		t.Skip("5,000 services")
	}
	var told atomic.Int64
	c, reg, _, _ := populated(t, &told)
	goroutines := runtime.NumGoroutine()
	began := time.Now()
	for i := range manyServices {
		reg.push(registry.App(service(i)))
	}
	took := time.Since(began)
	t.Logf("5,000 empty pushes were judged in %v", took)
	if n := c.Registries()[0].Counts; n.Held < manyServices*manyInstances*99/100 {
		t.Errorf("counts %+v", n)
	}
	if more := runtime.NumGoroutine() - goroutines; more > probesAtOnce+tellers+4 {
		t.Errorf("%d goroutines more", more)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range manyServices {
		reg.pushed(registry.App(service(i)))(crowdSnapshot(r, i))
	}
	if n := c.Registries()[0].Counts; n.Held != 0 || n.Usable != manyServices*manyInstances {
		t.Errorf("counts %+v", n)
	}
	until(t, func() bool {
		c.prober.mu.Lock()
		defer c.prober.mu.Unlock()
		return c.prober.busy == 0 || len(c.prober.targets) < manyServices*manyInstances
	})
}
