package etcd

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// TestTorture: whatever is written while the connection breaks in every way, in the end each service is what etcd holds.
func TestTorture(t *testing.T) {
	const services, writers, writes = 8, 4, 150
	proxy := testbed.StartToxiproxy(t).Proxy("etcd", shared.Addr())
	c := section(t, proxy.Addr())
	r := run(t, c)
	watches := make([]*registrytest.Pushes[registry.Snapshot], services)
	for i := range watches {
		watches[i] = r.Watch(registry.App(fmt.Sprintf("s%d", i)))
	}
	list := r.WatchServices()

	var tasks sync.WaitGroup
	for w := range writers {
		p := produce(t, shared.Addr())
		tasks.Go(func() {
			for i := range writes {
				key := fmt.Sprintf("%s/s%d/%d", c.Prefix, rand.IntN(services), rand.IntN(5))
				var err error
				switch rand.IntN(4) {
				case 0:
					_, err = p.Delete(t.Context(), key)
				case 1: // several at once
					_, err = p.Txn(t.Context()).Then(clientv3.OpDelete(key), clientv3.OpPut(key+"x", "10.1.0.1:80")).Commit()
				default:
					_, err = p.Put(t.Context(), key, fmt.Sprintf("10.0.%d.%d:80", w, i))
				}
				if err != nil {
					t.Error(err)
					return
				}
				if rand.IntN(40) == 0 {
					_ = shared.Compact(t.Context())
				}
				time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond)
			}
		})
	}
	for i, hurt := range []func(){
		proxy.Down, func() { proxy.Latency(100 * time.Millisecond) }, proxy.Reset, func() { proxy.Bandwidth(1) }, proxy.Vanish, proxy.Down,
	} {
		hurt()
		time.Sleep(time.Duration(20+20*i) * time.Millisecond)
		proxy.Up()
		proxy.Heal()
		time.Sleep(30 * time.Millisecond)
	}
	tasks.Wait()

	held := map[string][]string{}
	answer, err := produce(t, shared.Addr()).Get(t.Context(), c.Prefix+"/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	var names []registry.ServiceName
	for _, kv := range answer.Kvs {
		service, _, _ := strings.Cut(strings.TrimPrefix(string(kv.Key), c.Prefix+"/"), "/")
		held[service] = append(held[service], string(kv.Value))
		if n := registry.App(service); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	for i, w := range watches {
		shows(t, w, held[fmt.Sprintf("s%d", i)]...)
	}
	list.Until(fmt.Sprint(names), func(s registry.ServiceSet) bool { return slices.Equal(s.Services, names) })
}
