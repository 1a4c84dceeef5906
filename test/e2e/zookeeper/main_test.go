// Package zookeeper tests the ZooKeeper registry with real Java providers, of both versions of Dubbo, in every way in
// which they register.
package zookeeper

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/zookeeper"
	"github.com/sluice-gateway/sluice/test/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const deadline = 30 * time.Second

// watched is a registry over a server, with everything that can be watched of the providers' service.
type watched struct {
	t testing.TB

	mu         sync.Mutex
	snapshots  map[registry.ServiceName]registry.Snapshot
	set        registry.ServiceSet
	definition string
	errs       []string
}

const iface = "com.example.UserService"

var (
	plain   = registry.DubboService(iface, "", "")
	grouped = registry.DubboService(iface, "g1", "1.0.0")
	every   = registry.DubboService(iface, "*", "*")
)

func watch(t testing.TB, server *testbed.ZooKeeper) *watched {
	w := &watched{t: t, snapshots: make(map[registry.ServiceName]registry.Snapshot)}
	c := zookeeper.Default()
	c.Addresses = []string{server.Addr()}
	reg, err := c.Build(registry.Options{Name: "zk", Logger: slog.New(slog.DiscardHandler), Dubbo: metadataClient{}, Report: func(_ registry.State, err error) {
		if err != nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.errs = append(w.errs, err.Error())
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	run := func(task func() error) {
		tasks.Go(func() {
			if err := task(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { cancel(); tasks.Wait() })
	run(func() error { return reg.Run(ctx) })
	for _, name := range []registry.ServiceName{plain, grouped, every} {
		run(func() error {
			return reg.Watch(ctx, name, func(s registry.Snapshot) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.snapshots[name] = s
			})
		})
	}
	run(func() error {
		return reg.WatchServices(ctx, func(s registry.ServiceSet) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.set = s
		})
	})
	run(func() error {
		return reg.(registry.DefinitionWatcher).WatchDefinition(ctx, grouped, func(b []byte) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.definition = string(b)
		})
	})
	return w
}

// instances are those of a service as protocol://host:port, sorted.
func (w *watched) instances(name registry.ServiceName) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := []string{}
	for _, i := range w.snapshots[name].Instances {
		all = append(all, i.Protocol+"://"+i.Address())
	}
	slices.Sort(all)
	return all
}

// until waits for a condition, and tells everything that is known if it does not come.
func (w *watched) until(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.t.Fatalf("not within %v: %s; snapshots %.2000s, services %v, errors\n%s", deadline, what, fmt.Sprintf("%+v", w.snapshots), w.set.Services, strings.Join(w.errs, "\n"))
		}
	}
}

func (w *watched) untilInstances(name registry.ServiceName, want ...string) {
	w.t.Helper()
	slices.Sort(want)
	w.until(name.String()+" is "+strings.Join(want, " "), func() bool { return slices.Equal(w.instances(name), want) })
}
