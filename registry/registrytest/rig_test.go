package registrytest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// steady is a registry of one instance, which reports as told.
type steady struct{ report func(registry.State, error) }

func (s *steady) Run(ctx context.Context) error {
	s.report(registry.Live, nil)
	s.report(registry.Live, errors.New("a part is refused: grant it"))
	<-ctx.Done()
	return nil
}

func (s *steady) Watch(ctx context.Context, name registry.ServiceName, push func(registry.Snapshot)) error {
	one := registry.Snapshot{Service: name, Instances: []registry.Instance{{Host: "::1", Port: 80, Protocol: "http"}, {Host: "h", Port: 1}}}
	push(registry.Snapshot{Service: name})
	push(one)
	<-ctx.Done()
	return nil
}

func (s *steady) WatchServices(ctx context.Context, push func(registry.ServiceSet)) error {
	push(registry.ServiceSet{Services: []registry.ServiceName{registry.App("web")}})
	<-ctx.Done()
	return nil
}

func (s *steady) WatchDefinition(ctx context.Context, _ registry.ServiceName, push func([]byte)) error {
	push([]byte("{}"))
	<-ctx.Done()
	return nil
}

func TestRig(t *testing.T) {
	r := New(t)
	if r.State() != registry.Connecting {
		t.Error("nothing was reported yet")
	}
	r.NoErrors()
	r.Start(&steady{r.Report})
	r.Await(registry.Live)
	r.AwaitError("refused", "grant")
	if !r.SawError("grant it") || r.SawError("nothing") {
		t.Errorf("%q", r.Errors())
	}
	if n := len(r.Errors("refused", "other")); n != 0 {
		t.Errorf("%d errors hold both", n)
	}
	if got := r.States(); !slices.Equal(got, []registry.State{registry.Live, registry.Live}) {
		t.Errorf("%v", got)
	}
	p := r.Watch(registry.App("web"))
	s := p.Until("both", Has("http://[::1]:80", "h:1"))
	if s.Service.Name != "web" || p.Count() != 2 || len(p.All()) != 2 || len(p.All()[0].Instances) != 0 || len(p.Last().Instances) != 2 {
		t.Errorf("%+v", p.All())
	}
	p.More(1)
	if got := r.WatchServices().Last(); len(got.Services) != 1 {
		t.Errorf("%v", got)
	}
	if got := r.WatchDefinition(registry.App("web")).Last(); got != "{}" {
		t.Errorf("%q", got)
	}
	p.Stop()
	r.Stop()
	r.Stop()
}

func TestConditions(t *testing.T) {
	s := registry.Snapshot{Instances: []registry.Instance{{Host: "b", Port: 1, Protocol: "tri"}, {Host: "a", Port: 1}}}
	if got := Addresses(s); !slices.Equal(got, []string{"a:1", "tri://b:1"}) {
		t.Errorf("%v", got)
	}
	if Has("a:1")(s) || !Has("tri://b:1", "a:1")(s) || Has()(s) || !Has()(registry.Snapshot{}) {
		t.Error("exactly these")
	}
	p := &Pushes[int]{T: t}
	p.Push(1)
	p.Push(2)
	if p.Last() != 2 || p.Until("even", func(n int) bool { return n%2 == 0 }) != 2 {
		t.Errorf("%v", p.All())
	}
}
