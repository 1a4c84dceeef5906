package upstream

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/static"
)

// named asks for a service by the capture of a path.
func (b *bed) dynamic(discover config.Discover) (*Dynamic, func(service string) (string, error)) {
	b.t.Helper()
	tpl, _ := ParseTemplate("{service}")
	d := b.AcquireDynamic("r", "", tpl, discover, func(registry.ServiceName) config.Service { return defaults() })
	h := NewDynamicTarget(d, tries(time.Second, 0))
	return d, func(service string) (string, error) {
		return askWith(h, &protocol.Request{Method: "GET", Path: "/", Version: protocol.HTTP11, Params: []protocol.Param{{Name: "service", Value: service}}})
	}
}

// settled waits until the registry's list is followed.
func settled(t *testing.T, d *Dynamic) {
	t.Helper()
	select {
	case <-d.Answered():
	case <-time.After(10 * time.Second):
		t.Fatal("no list")
	}
}

func notFound(err error) bool {
	e := protocol.AsError(err)
	return err != nil && e.Status == 404 && e.Code == protocol.CodeNoRoute
}

func TestDynamicFollowsTheListOfServices(t *testing.T) {
	b := newBed(t)
	b.set(map[string][]static.Instance{"a": at(named(t, "A")), "unasked": at("127.0.0.1:1")})
	d, call := b.dynamic(config.Discover{})
	settled(t, d)
	if n := len(b.list()); n != 0 {
		t.Errorf("%d services are followed before anybody asked", n)
	}
	// The very first request waits for the instances instead of failing.
	if got, err := call("a"); got != "200 A" {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := call("b"); !notFound(err) {
		t.Errorf("a service that the registry does not know: %v", err)
	}
	if n := len(b.list()); n != 1 {
		t.Errorf("%d services are followed: clients must not make subscriptions", n)
	}
	b.set(map[string][]static.Instance{"b": at(named(t, "B"))})
	eventually(t, func() bool { got, _ := call("b"); return got == "200 B" })
	eventually(t, func() bool { _, err := call("a"); return notFound(err) })
	d.Close()
	if n := len(b.list()); n != 0 {
		t.Errorf("%d services are followed after Close", n)
	}
}

func TestDiscoverSaysWhichServicesCount(t *testing.T) {
	b := newBed(t)
	b.set(map[string][]static.Instance{
		"ORDERS": at(named(t, "orders")), "Users": at(named(t, "Users")), "users": at(named(t, "users")), "admin-x": at(named(t, "no")), "admin": at(named(t, "no")),
	})
	d, call := b.dynamic(config.Discover{Include: []string{"*"}, Exclude: []string{"admin*"}, LowerCase: true})
	defer d.Close()
	settled(t, d)
	for service, want := range map[string]string{"orders": "200 orders", "users": "200 users"} {
		if got, err := call(service); got != want {
			t.Errorf("%s: %q, %v", service, got, err)
		}
	}
	for _, service := range []string{"admin", "admin-x", "ORDERS", "Users", ""} {
		if _, err := call(service); !notFound(err) {
			t.Errorf("%s: %v", service, err)
		}
	}
	only, call := b.dynamic(config.Discover{Include: []string{"U*"}})
	defer only.Close()
	settled(t, only)
	if got, err := call("Users"); got != "200 Users" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := call("users"); !notFound(err) {
		t.Errorf("a name that no pattern includes: %v", err)
	}
}

// TestListMayErr: a name that is missing from the list is served on while its instances are there.
func TestListMayErr(t *testing.T) {
	b := newBed(t)
	b.set(map[string][]static.Instance{"a": at(named(t, "A"))})
	d, call := b.dynamic(config.Discover{})
	defer d.Close()
	settled(t, d)
	if got, err := call("a"); got != "200 A" {
		t.Fatalf("%q, %v", got, err)
	}
	d.follow(&registry.ServiceSet{})
	if got, err := call("a"); got != "200 A" {
		t.Errorf("%q, %v", got, err)
	}
	if retired := d.retire(protocol.Now()); len(retired) != 0 {
		t.Errorf("%d services are retired while one of their instances lives", len(retired))
	}
	d.follow(&registry.ServiceSet{Services: []registry.ServiceName{registry.App("a")}})
	if got, err := call("a"); got != "200 A" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestUnusedServicesAreRetired(t *testing.T) {
	b := newBed(t)
	b.set(map[string][]static.Instance{"a": at(named(t, "A")), "b": at(named(t, "B"))})
	d, call := b.dynamic(config.Discover{})
	defer d.Close()
	settled(t, d)
	for _, service := range []string{"a", "b"} {
		if _, err := call(service); err != nil {
			t.Fatal(err)
		}
	}
	later := protocol.Now() + int64(unused) + int64(time.Minute)
	(*d.services.Load())["b"].used.Store(later)
	retired := d.retire(later)
	if len(retired) != 1 || retired[0].key.Service.Name != "a" {
		t.Fatalf("retired: %v", retired)
	}
	d.release(retired)
	if n := len(b.list()); n != 1 {
		t.Errorf("%d services are followed, want the one that is used", n)
	}
	if got, err := call("a"); got != "200 A" {
		t.Errorf("asked for again: %q, %v", got, err)
	}
}

// TestNextPlanKeepsWhatIsInUse: a reload must not close the connections of services that requests use.
func TestNextPlanKeepsWhatIsInUse(t *testing.T) {
	b := newBed(t)
	b.set(map[string][]static.Instance{"a": at(named(t, "A"))})
	old, call := b.dynamic(config.Discover{})
	settled(t, old)
	if _, err := call("a"); err != nil {
		t.Fatal(err)
	}
	before := b.list()[0]
	next, call := b.dynamic(config.Discover{})
	defer next.Close()
	settled(t, next)
	old.Close()
	if _, err := call("a"); err != nil {
		t.Fatal(err)
	}
	if now := b.list(); len(now) != 1 || now[0] != before {
		t.Errorf("followed: %v", now)
	}
}

// TestFirstRequestsAtOnce: requests that meet at a service nobody watched share one watch, and all are answered.
func TestFirstRequestsAtOnce(t *testing.T) {
	b := newBed(t)
	services := map[string][]static.Instance{}
	address := named(t, "A")
	for n := range 8 {
		services[fmt.Sprint(n)] = at(address)
	}
	b.set(services)
	d, call := b.dynamic(config.Discover{})
	defer d.Close()
	settled(t, d)
	var tasks sync.WaitGroup
	for n := range 64 {
		tasks.Go(func() {
			if got, err := call(fmt.Sprint(n % 8)); got != "200 A" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	tasks.Wait()
	if n := len(b.list()); n != 8 {
		t.Errorf("%d services are followed", n)
	}
}

// TestSilentRegistry: a request for a service whose instances nobody tells waits no longer than its own timeout, or its
// client.
func TestSilentRegistry(t *testing.T) {
	b := newBed(t)
	svc, err := b.Acquire(discovery.Key{Registry: "missing", Service: registry.App("a")}, defaults())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Release(svc)
	now := protocol.Now()
	req := &protocol.Request{Deadline: now + int64(20*time.Millisecond)}
	if st := svc.introduced(context.Background(), req, now); st.endpoints != nil || protocol.Now()-now < int64(20*time.Millisecond) {
		t.Error("did not wait for its deadline")
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if st := svc.introduced(gone, &protocol.Request{}, now); st.endpoints != nil {
		t.Error("told by nobody")
	}
}
