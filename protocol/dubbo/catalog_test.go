package dubbo

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo/types"
)

// countingSource counts subscriptions and lets a test publish.
type countingSource struct {
	mu       sync.Mutex
	notify   map[Service]func([]byte)
	started  int
	stopped  int
	document []byte
}

func (s *countingSource) SubscribeDefinition(service Service, notify func([]byte)) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started++
	if s.notify == nil {
		s.notify = map[Service]func([]byte){}
	}
	s.notify[service] = notify
	notify(s.document)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stopped++
		delete(s.notify, service)
	}
}

func (s *countingSource) publish(service Service, document string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notify[service]([]byte(document))
}

func oneMethod(name, param string) string {
	return fmt.Sprintf(`{"canonicalName":"a.B","methods":[{"name":%q,"parameterTypes":[%q],"returnType":"void"}],"types":[]}`, name, param)
}

// TestCatalogSharesEntries: one subscription a service, as long as anybody uses it.
func TestCatalogSharesEntries(t *testing.T) {
	src := &countingSource{}
	c := NewCatalog(src, nil)
	a, b := c.Acquire(Service{Interface: "a.B"}), c.Acquire(Service{Interface: "a.B"})
	other := c.Acquire(Service{Interface: "a.B", Group: "g"})
	if a != b || a == other || src.started != 2 {
		t.Errorf("%d subscriptions", src.started)
	}
	a.Release()
	if src.stopped != 0 {
		t.Error("stopped while it was used")
	}
	b.Release()
	other.Release()
	if src.stopped != 2 {
		t.Errorf("%d stopped, want 2", src.stopped)
	}
	again := c.Acquire(Service{Interface: "a.B"})
	if again == a || src.started != 3 {
		t.Error("a released entry came back")
	}
	again.Release()
}

// TestEntryCompilesOnce: and only when somebody asks.
func TestEntryCompilesOnce(t *testing.T) {
	src := &countingSource{document: []byte(oneMethod("m", "int"))}
	e := NewCatalog(src, nil).Acquire(Service{Interface: "a.B"})
	defer e.Release()
	if e.compiled.Load() != nil {
		t.Error("compiled before it was needed")
	}
	first, err := e.plans(context.Background(), 0)
	if err != nil || first.methods["m"] == nil {
		t.Fatalf("plans %v, %v", first, err)
	}
	if again, _ := e.plans(context.Background(), 0); again != first {
		t.Error("compiled twice")
	}
	src.publish(e.service, "not JSON")
	if kept, err := e.plans(context.Background(), 0); kept != first || err != nil {
		t.Errorf("a broken document changed the plans: %v", err)
	}
	src.publish(e.service, oneMethod("n", "int"))
	if next, err := e.plans(context.Background(), 0); err != nil || next.methods["n"] == nil || next.methods["m"] != nil {
		t.Errorf("plans %v, %v", next, err)
	}
}

func TestBrokenFirstDefinition(t *testing.T) {
	src := &countingSource{document: []byte("{")}
	e := NewCatalog(src, nil).Acquire(Service{Interface: "a.B", Group: "g", Version: "1"})
	defer e.Release()
	_, err := e.plans(context.Background(), 0)
	if x := protocol.AsError(err); x.Code != protocol.CodeNoDefinition || x.Message != "the definition of g/a.B:1 cannot be read" || x.Cause == nil {
		t.Errorf("error %v", err)
	}
}

// TestDefinitionChangesUnderLoad: every call sees one definition or the other, whole.
func TestDefinitionChangesUnderLoad(t *testing.T) {
	src := &countingSource{document: []byte(oneMethod("m", "int"))}
	service := Service{Interface: "a.B"}
	tr, err := NewTranscoder(Route{Interface: "a.B", Method: "m", Args: []any{"{query.q}"}}, NewCatalog(src, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	var ints, texts atomic.Int32
	h := tr.Filter(protocol.HandlerFunc(func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		switch args := string(req.Call.(*Invocation).args); args {
		case "\x01mV\x07[string\x91\x03intV\x07[object\x91\x95":
			ints.Add(1)
		case "\x01mV\x07[string\x91\x10java.lang.StringV\x07[object\x91\x015":
			texts.Add(1)
		default:
			t.Errorf("arguments %q", args)
		}
		return req.NewResponse(), nil
	}))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				req := &protocol.Request{RawQuery: "q=5"}
				resp, err := h.Serve(context.Background(), req)
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Close()
				if req.Call != nil {
					t.Error("the invocation outlives the call")
				}
			}
		})
	}
	for i := range 200 {
		src.publish(service, oneMethod("m", []string{"java.lang.String", "int"}[i%2]))
	}
	wg.Wait()
	if ints.Load()+texts.Load() != 2000 {
		t.Errorf("%d and %d calls", ints.Load(), texts.Load())
	}
}

func TestPlan(t *testing.T) {
	method := func(name string, params ...string) *types.Method {
		m, err := (*types.Definition)(nil).Signature(name, params)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	p := newPlan(method("hello", "java.lang.String", "java.util.List<java.lang.Long>"))
	if want := "\x05helloV\x07[string\x92\x10java.lang.String\x0ejava.util.ListV\x07[object\x92"; string(p.prefix) != want {
		t.Errorf("prefix %q, want %q", p.prefix, want)
	}
	if p.generic != "true" || p.void {
		t.Errorf("generic %q, void %v", p.generic, p.void)
	}
	raw := method("when")
	raw.RawReturn = true
	if g := newPlan(raw).generic; g != "raw.return" {
		t.Errorf("generic %q for a result that needs raw.return", g)
	}
}

// TestClosedTranscoder: a route that is gone takes no new parts.
func TestClosedTranscoder(t *testing.T) {
	src := &countingSource{document: []byte(oneMethod("m", "int"))}
	part := func(req *protocol.Request) (string, string, error) { return req.Header.Get("g"), "", nil }
	tr, err := NewTranscoder(Route{Interface: "a.B", Method: "m"}, NewCatalog(src, nil), part)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Service{{Interface: "a.B", Group: "x"}, {Interface: "a.B", Group: "y"}, {Interface: "a.B", Group: "x"}} {
		if e, err := tr.lookup(s); err != nil || e.service != s {
			t.Errorf("%s: %v %v", s, e, err)
		}
	}
	tr.Close()
	if src.started != 2 || src.stopped != 2 {
		t.Errorf("%d subscriptions, %d ended", src.started, src.stopped)
	}
	if _, err := tr.lookup(Service{Interface: "a.B", Group: "z"}); protocol.AsError(err).Code != protocol.CodeShuttingDown {
		t.Errorf("after close: %v", err)
	}
}
