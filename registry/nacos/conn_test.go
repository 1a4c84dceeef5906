package nacos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

func short(c *Config, _ *registry.Options) {
	c.Timeouts = Timeouts{Connect: 300 * time.Millisecond, Request: 200 * time.Millisecond, KeepAlive: 50 * time.Millisecond}
}

func TestServerThatIsStarting(t *testing.T) {
	f := startFake(t)
	var refusals atomic.Int32
	f.with(func() {
		f.answer = func(kind string, _ map[string]any) (any, bool) {
			if kind == typeServerCheck && refusals.Add(1) < 3 {
				return refused(300, "Server is starting,please try later."), true
			}
			return nil, false
		}
	})
	r := f.rig()
	p := r.Watch(registry.App("a"))
	p.Until("an answer", registrytest.Has())
	if !r.SawError("Server is starting") {
		t.Error("it was not said why there is no connection")
	}
	states := r.States()
	if i := slices.Index(states, registry.Live); i < 1 || slices.Contains(states[:i], registry.Stale) {
		t.Errorf("states %v: connecting until the first connection", states)
	}
}

func TestServerThatHangs(t *testing.T) {
	for _, kind := range []string{"socket", typeServerCheck, typeHealthCheck} {
		t.Run(kind, func(t *testing.T) {
			f := startFake(t)
			block := make(chan struct{})
			var hangs atomic.Bool
			hangs.Store(true)
			address := f.address
			if kind == "socket" { // takes connections and says nothing
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				address = l.Addr().String()
			}
			f.with(func() {
				f.old = true // which asks for its health while it connects
				f.answer = func(got string, _ map[string]any) (any, bool) {
					if got == kind && hangs.Load() {
						<-block
					}
					return nil, false
				}
			})
			r := f.rig(short, func(c *Config, _ *registry.Options) { c.Addresses = []string{address} })
			p := r.Watch(registry.App("a"))
			registrytest.Within(t, "an error", func() bool { return r.SawError("deadline exceeded") })
			if s := r.State(); s != registry.Connecting {
				t.Errorf("the state is %v", s)
			}
			hangs.Store(false)
			close(block)
			if kind != "socket" {
				p.Until("an answer", registrytest.Has())
			}
			began := time.Now()
			r.Stop()
			if d := time.Since(began); d > 2*time.Second {
				t.Errorf("it took %v to stop", d)
			}
		})
	}
}

func TestServerThatNeverAcknowledges(t *testing.T) {
	f := startFake(t)
	f.with(func() {
		f.old = true
		f.answer = func(kind string, _ map[string]any) (any, bool) {
			if kind == typeServerCheck { // says that it will, like a new server
				return map[string]any{"resultCode": 200, "supportAbilityNegotiation": true}, true
			}
			return nil, false
		}
	})
	r := f.rig(short)
	registrytest.Within(t, "the error", func() bool { return r.SawError("set up connection to " + f.address) })
	f.with(func() { f.answer = nil })
	r.Await(registry.Live)
}

func TestMissedHealthChecks(t *testing.T) {
	f := startFake(t)
	block := make(chan struct{})
	t.Cleanup(sync.OnceFunc(func() { close(block) }))
	var hang atomic.Int32
	f.with(func() {
		f.answer = func(kind string, _ map[string]any) (any, bool) {
			if kind == typeHealthCheck && hang.Add(-1) >= 0 {
				<-block
			}
			return nil, false
		}
	})
	r := f.rig(short)
	r.Watch(registry.App("a")).Until("an answer", registrytest.Has())
	hang.Store(1)
	registrytest.Within(t, "health checks after the missed one", func() bool { return hang.Load() < -3 })
	if s := r.State(); s != registry.Live {
		t.Errorf("after one that was missed the state is %v", s)
	}
	hang.Store(2)
	r.Await(registry.Stale)
	r.Await(registry.Live)
}

func TestForgottenConnectionIsReplaced(t *testing.T) {
	f := startFake(t)
	var forgotten atomic.Bool
	f.with(func() {
		f.answer = func(kind string, _ map[string]any) (any, bool) {
			if kind == typeSubscribe && forgotten.CompareAndSwap(true, false) {
				return refused(codeUnregistered, "Connection is unregistered."), true
			}
			return nil, false
		}
	})
	r := f.rig()
	r.Watch(registry.App("a")).Until("an answer", registrytest.Has())
	forgotten.Store(true)
	r.Watch(registry.App("b")).Until("an answer over a new connection", registrytest.Has())
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.streams) != 2 {
		t.Errorf("%d connections", len(f.streams))
	}
}

func TestSeventyThousandInstances(t *testing.T) {
	const many = 70_000
	f := startFake(t)
	hosts := make([]any, many)
	for n := range hosts {
		h := aHost(fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255))
		h["metadata"] = map[string]string{"version": "1.0.0", "preserved.register.source": "SPRING_CLOUD", "zone": "a"}
		h["instanceId"], h["clusterName"], h["serviceName"] = fmt.Sprintf("%v#80#DEFAULT#DEFAULT_GROUP@@big", h["ip"]), "DEFAULT", "DEFAULT_GROUP@@big"
		hosts[n] = h
	}
	hosts[4711] = "nonsense"
	big, err := json.Marshal(map[string]any{"resultCode": 200, "serviceInfo": info("DEFAULT_GROUP", "big", hosts)})
	if err != nil {
		t.Fatal(err)
	}
	f.with(func() {
		f.answer = func(kind string, _ map[string]any) (any, bool) { return json.RawMessage(big), kind == typeSubscribe }
	})
	r := f.rig(func(c *Config, _ *registry.Options) { c.Timeouts.Request = registrytest.Deadline })
	p := r.Watch(registry.App("big"))
	p.Until("all of them but one", func(s registry.Snapshot) bool { return len(s.Instances) == many-1 && s.SkippedCount == 1 })
}

func TestRunEnds(t *testing.T) {
	f := startFake(t)
	r := f.rig()
	r.Await(registry.Live)
	if err := r.reg.Run(t.Context()); !errors.Is(err, errRunning) {
		t.Errorf("a second Run: %v", err)
	}
	p := r.Watch(registry.App("a"))
	p.Until("an answer", registrytest.Has())
	r.Stop()
	p.Stop() // a watch ends with its own context, whether or not there is a Run

	// With its context already ended, it does nothing.
	c := Default()
	c.Addresses = []string{"127.0.0.1:1"}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	reg, err := c.Build(registry.Options{Logger: quietLogger(), Report: func(registry.State, error) { t.Error("reports") }})
	if err != nil {
		t.Fatal(err)
	}
	if err := reg.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestWatchBeforeRun(t *testing.T) {
	f := startFake(t)
	f.with(func() { f.services["DEFAULT_GROUP@@a"] = []any{aHost("10.0.0.1")} })
	c := Default()
	c.Addresses, c.GRPCPortOffset = []string{f.address}, 0
	r := &rig{Rig: registrytest.New(t), config: c}
	r.reg = newClient(c, registry.Options{Logger: quietLogger(), Report: r.Report})
	r.Use(r.reg)
	p, gone := r.Watch(registry.App("a")), r.Watch(registry.App("b"))
	registrytest.Within(t, "both to wait", func() bool {
		r.reg.mu.Lock()
		defer r.reg.mu.Unlock()
		return len(r.reg.services) == 2
	})
	gone.Stop()
	r.Background(r.reg.Run)
	p.Until("the instance", registrytest.Has("10.0.0.1:80"))
	if n := f.count(typeSubscribe + " b"); n != 0 {
		t.Errorf("%d subscriptions of what nobody watches", n)
	}
}

func TestEntryThatChangesAllTheTime(t *testing.T) {
	f := startFake(t)
	var version atomic.Int32
	f.with(func() {
		f.answer = func(kind string, body map[string]any) (any, bool) {
			switch {
			case kind == typeConfigListen && version.Load() >= 0:
				return map[string]any{"resultCode": 200, "changedConfigs": body["configListenContexts"]}, true
			case kind == typeConfigQuery && version.Load() >= 0:
				return map[string]any{"resultCode": 200, "content": "app", "md5": fmt.Sprint(version.Add(1))}, true
			}
			return nil, false
		}
	})
	r := f.rig()
	p := r.Watch(registry.DubboService("I", "", ""))
	registrytest.Within(t, "the error", func() bool { return r.SawError("configuration mapping/I: it changes faster than it can be read") })
	p.Until("a state all the same", registrytest.Has())
	version.Store(-1)
	registrytest.Within(t, "calm", func() bool {
		r.reg.mu.Lock()
		defer r.reg.mu.Unlock()
		e := r.reg.configs[configKey{mappingGroup, "I"}]
		return e.fails == 0 && !e.busy && e.md5 == ""
	})
}

func TestDeadAddressIsNamed(t *testing.T) {
	c := Default()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, grpc, err := c.endpoints(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = dial(t.Context(), grpc, newAuth(c), c.Timeouts, "", nil)
	if err == nil || !strings.Contains(err.Error(), grpc) {
		t.Errorf("%v, want the address in it", err)
	}
}
