package zookeeper

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// The registry that Sluice is measured against.
const (
	manyServices  = 5_000
	providersEach = 10
)

func manyName(service int) string {
	return fmt.Sprintf("com.example.shop.service%d.OrderQueryService", service)
}

// seed registers providers, many in a transaction.
func (r *rig) seed(services int) {
	r.T.Helper()
	r.writer.put(r.config.DubboRoot, "")
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := w; n < services; n += 8 {
				dir := r.rdubbo(manyName(n))
				ops := []any{create(dir), create(dir + "/providers")}
				for p := range providersEach {
					ops = append(ops, create(dir+"/providers/"+encode(manyProvider(n, p, ""))))
				}
				if _, err := r.writer.conn.Multi(ops...); err != nil {
					r.T.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func create(path string) *zk.CreateRequest {
	return &zk.CreateRequest{Path: path, Acl: zk.WorldACL(zk.PermAll)}
}

// manyProvider is a URL of usual length: 50 services an application, each provider with a timestamp of its own.
func manyProvider(service, p int, more string) string {
	return fmt.Sprintf("dubbo://10.%d.%d.%d:20880/%[4]s?anyhost=true&application=shop-service-%[2]d&background=false&deprecated=false&dubbo=2.0.2"+
		"&dynamic=true&executor-management-mode=isolation&file-cache=true&generic=false&interface=%[4]s&methods=findById,findByIds,search,count,create,update,remove,exists"+
		"&pid=%[5]d&prefer.serialization=hessian2,fastjson2&release=3.3.6&retries=0&revision=1.0.%[1]d&service-name-mapping=true&side=provider&timeout=3000&timestamp=%[6]d%[7]s",
		service/50%250, service/50, p+1, manyName(service), 10+p, 1795369980045+int64(service*100+p), more)
}

// heap is what lives after two collections, in bytes.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// cpu is what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// 5,000 services of 10 providers each: how long until all are known, what that keeps in memory, what one change costs, and
// what is used when nothing happens.
func TestFiveThousandServices(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	server := testbed.StartZooKeeper(t, testbed.WithJVM("-Xmx512m"))
	r := newRig(t, server)
	r.seed(manyServices)
	for _, watched := range []int{100, manyServices} {
		r.scale(watched, server)
	}
	r.scaleList()
}

// scaleList watches the list of all services: a change of one costs that one.
func (r *rig) scaleList() {
	t := r.T
	before, began := heap(), time.Now()
	p := r.WatchServices()
	p.Until("all", func(s registry.ServiceSet) bool { return len(s.Services) == manyServices })
	took := time.Since(began)
	time.Sleep(2 * longRest)
	size := heap() - before
	var m0, m1 runtime.MemStats
	runtime.ReadMemStats(&m0)
	began = time.Now()
	const more = 50 // providers of a service that is known: nothing to push
	for n := range more {
		r.writer.put(r.rdubbo(manyName(7), "providers", encode(manyProvider(7, 300+n, ""))), "")
	}
	if n := p.Count(); n != 1 {
		t.Errorf("%d pushes", n)
	}
	name := registry.DubboService("com.example.New", "", "")
	r.writer.put(r.rdubbo(name.Name, "providers", encode(java33("dubbo", "192.0.2.1:20880", name.Name, ""))), "")
	p.Until("the new one", func(s registry.ServiceSet) bool { return slices.Contains(s.Services, name) })
	runtime.ReadMemStats(&m1)
	t.Logf("the list: first after %v, %d KB; %d changes and a new name %v, with %d KB allocated", took.Round(time.Millisecond), size>>10, more,
		time.Since(began).Round(time.Millisecond), (m1.TotalAlloc-m0.TotalAlloc)>>10)
	if each := (m1.TotalAlloc - m0.TotalAlloc) / (more + 1); each > 1<<20 {
		t.Errorf("a change allocates %d KB", each>>10)
	}
}

// scale watches so many services, and ends the watches again.
func (r *rig) scale(watched int, server *testbed.ZooKeeper) {
	t := r.T
	packets := received(t, server)
	before, began, used := heap(), time.Now(), cpu()
	var known, pushes atomic.Int64
	var first sync.WaitGroup
	first.Add(watched)
	kept := make([]registry.Snapshot, watched) // as discovery keeps the newest
	ctx, cancel := context.WithCancel(context.Background())
	var watches sync.WaitGroup
	for n := range watched {
		watches.Go(func() {
			_ = r.reg.Watch(ctx, registry.DubboService(manyName(n), "", ""), func(s registry.Snapshot) {
				kept[n] = s
				if pushes.Add(1); len(s.Instances) == providersEach && known.Add(1) <= int64(watched) {
					first.Done()
				}
			})
		})
	}
	first.Wait()
	took, work := time.Since(began), cpu()-used
	if n := pushes.Load(); n != int64(watched) {
		t.Errorf("%d pushes of %d services", n, watched)
	}
	time.Sleep(300 * time.Millisecond) // the rests after the first pushes
	size := heap() - before
	requests := received(t, server) - packets
	used = cpu()
	time.Sleep(3 * time.Second)
	idle := cpu() - used
	// One change.
	var m0, m1 runtime.MemStats
	path := r.rdubbo(manyName(7), "providers", encode(manyProvider(7, 200, "")))
	runtime.ReadMemStats(&m0)
	at := pushes.Load()
	r.writer.put(path, "")
	registrytest.Within(t, "the change", func() bool { return pushes.Load() > at })
	runtime.ReadMemStats(&m1)
	t.Logf("%d services watched: all known after %v with %d requests and %v of CPU; %d KB, %d bytes an instance; idle %v in 3s; one change allocates %d KB",
		watched, took.Round(time.Millisecond), requests, work.Round(time.Millisecond), size>>10, size/int64(watched*providersEach),
		idle.Round(time.Millisecond), (m1.TotalAlloc-m0.TotalAlloc)>>10)
	// The time on the clock is the machine's and its other users'; a tenth of this is what it takes alone.
	if work > 10*time.Second {
		t.Errorf("%v of CPU until all were known", work)
	}
	r.writer.remove(path)
	cancel()
	watches.Wait()
	runtime.KeepAlive(kept)
}

// received is how many packets a server has had from clients.
func received(t testing.TB, server *testbed.ZooKeeper) int {
	t.Helper()
	answer, err := server.Command("srvr")
	must(t, err)
	for line := range strings.Lines(answer) {
		var n int
		if _, err := fmt.Sscanf(line, "Received: %d", &n); err == nil {
			return n
		}
	}
	t.Fatal("no count: " + answer)
	return 0
}
