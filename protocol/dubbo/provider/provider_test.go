package provider_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
	"github.com/sluice-gateway/sluice/protocol/dubbo/provider"
	"github.com/sluice-gateway/sluice/protocol/dubbo/types"
)

// running is a server on a port, and a raw connection to it.
type running struct {
	t      *testing.T
	server *provider.Server
	nc     net.Conn
	fr     *frame.Reader
	served chan error
}

func start(t *testing.T, cfg provider.Config) *running {
	t.Helper()
	server, err := provider.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, server: server, served: make(chan error, 1)}
	go func() { r.served <- server.Serve(ln) }()
	r.nc, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = r.nc.SetDeadline(time.Now().Add(20 * time.Second))
	r.fr = frame.NewReader(r.nc, 16<<20)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx, nil); err != nil {
			t.Error(err)
		}
		r.nc.Close()
	})
	return r
}

func (r *running) send(b []byte) {
	r.t.Helper()
	if _, err := r.nc.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

// next reads a frame and gives its status and body.
func (r *running) next() (frame.Frame, string) {
	r.t.Helper()
	f, err := r.fr.Next()
	if err != nil {
		r.t.Fatal(err)
	}
	return f, string(f.Body)
}

// request frames a generic call; params nil sends null.
func request(id uint64, service, group, version, method string, params []string, args string) []byte {
	f := frame.AppendHeader(nil, frame.Request|frame.TwoWay|frame.Hessian2, 0, id)
	for _, s := range []string{frame.Version, service, version, frame.GenericMethod, frame.GenericTypes, method} {
		f = hessian.AppendString(f, s)
	}
	if params == nil {
		f = hessian.AppendNull(f)
	} else {
		f = hessian.AppendTypedListLength(f, "[string", len(params))
		for _, p := range params {
			f = hessian.AppendString(f, p)
		}
	}
	object, err := (*types.Definition)(nil).Signature("", []string{"java.lang.Object"})
	if err != nil {
		panic(err)
	}
	var e types.Encoder
	if f, _, err = e.AppendJSON(f, object.Params[0], []byte(args)); err != nil {
		panic(err)
	}
	f = hessian.AppendMapStart(f)
	if group != "" {
		f = hessian.AppendString(hessian.AppendString(f, "group"), group)
	}
	f = hessian.AppendMapEnd(f)
	frame.SetLength(f)
	return f
}

func add(_ context.Context, args []json.RawMessage) (any, error) {
	var a, b int
	if err := errors.Join(json.Unmarshal(args[0], &a), json.Unmarshal(args[1], &b)); err != nil {
		return nil, err
	}
	return a + b, nil
}

func text(answer string) func(context.Context, []json.RawMessage) (any, error) {
	return func(context.Context, []json.RawMessage) (any, error) { return answer, nil }
}

func calculator() *provider.Service {
	return &provider.Service{
		Interface: "lab.Calculator", Version: "1.0.0",
		Methods: []provider.Method{
			{Name: "add", Params: []string{"int", "int"}, Returns: "int", Call: add},
			{Name: "over", Params: []string{"int"}, Returns: "java.lang.String", Call: text("int")},
			{Name: "over", Params: []string{"java.util.List<java.lang.Long>"}, Returns: "java.lang.String", Call: text("list")},
			{Name: "bean", Returns: "lab.User", Call: func(context.Context, []json.RawMessage) (any, error) {
				return map[string]any{"id": 5000000000, "tags": []string{"a"}}, nil
			}},
			{Name: "nothing", Returns: "void", Call: func(context.Context, []json.RawMessage) (any, error) { return nil, nil }},
			{Name: "fail", Returns: "void", Call: func(context.Context, []json.RawMessage) (any, error) { return nil, errors.New("too bad") }},
			{Name: "throw", Returns: "void", Call: func(context.Context, []json.RawMessage) (any, error) {
				return nil, &provider.Exception{Class: "lab.Thrown", Message: "on purpose"}
			}},
			{Name: "panic", Returns: "void", Call: func(context.Context, []json.RawMessage) (any, error) { panic("oh") }},
			{Name: "unwritable", Returns: "int", Call: func(context.Context, []json.RawMessage) (any, error) { return func() {}, nil }},
		},
		Beans: []provider.Bean{{Name: "lab.User", Properties: map[string]string{"id": "long", "tags": "java.util.List<java.lang.String>"}}, {Name: "lab.Kind", Enums: []string{"A", "B"}}},
	}
}

func TestCalls(t *testing.T) {
	r := start(t, provider.Config{Services: []*provider.Service{calculator(), {Interface: "lab.Calculator", Group: "g", Version: "1.0.0"}}})
	tests := []struct {
		name, group, version, method string
		params                       []string
		args                         string
		status                       byte
		want                         string // JSON of the result, "null", class and message of an exception, or a part of the text
	}{
		{"two arguments", "", "1.0.0", "add", []string{"int", "int"}, `[2,3]`, 20, "5"},
		{"overload", "", "1.0.0", "over", []string{"java.util.List"}, `[[1]]`, 20, `"list"`},
		{"without types", "", "1.0.0", "add", nil, `[2,3]`, 20, "5"},
		{"bean", "", "1.0.0", "bean", []string{}, `[]`, 20, `{"id":5000000000,"tags":["a"]}`},
		{"void", "", "1.0.0", "nothing", []string{}, `[]`, 20, "null"},
		{"error", "", "1.0.0", "fail", []string{}, `[]`, 20, "java.lang.RuntimeException: too bad"},
		{"exception", "", "1.0.0", "throw", []string{}, `[]`, 20, "lab.Thrown: on purpose"},
		{"panic", "", "1.0.0", "panic", []string{}, `[]`, 20, "java.lang.RuntimeException: panic: oh"},
		{"unwritable", "", "1.0.0", "unwritable", []string{}, `[]`, 20, "java.lang.RuntimeException: write the result"},
		{"ambiguous without types", "", "1.0.0", "over", nil, `[1]`, 70, "Not unique method"},
		{"no such overload", "", "1.0.0", "add", []string{"long", "int"}, `[2,3]`, 70, "No such method"},
		{"no such method", "", "1.0.0", "nope", []string{}, `[]`, 70, "No such method"},
		{"no such version", "", "2.0.0", "add", []string{"int", "int"}, `[2,3]`, 70, "Not found exported service"},
		{"no such group", "h", "1.0.0", "add", []string{"int", "int"}, `[2,3]`, 70, "Not found exported service"},
		{"other group", "g", "1.0.0", "add", []string{"int", "int"}, `[2,3]`, 70, "No such method"},
		{"too few arguments", "", "1.0.0", "add", []string{"int", "int"}, `[2]`, 70, "1 arguments for the 2 parameters"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r.send(request(uint64(i+1), "lab.Calculator", tt.group, tt.version, tt.method, tt.params, tt.args))
			f, body := r.next()
			if f.Status != tt.status || f.ID != uint64(i+1) || f.Flag != frame.Hessian2 {
				t.Errorf("header %+v", f.Header)
			}
			if got := read(t, tt.status, body); got != tt.want && (tt.status == 20 && !strings.HasPrefix(got, tt.want) || !strings.Contains(got, tt.want)) {
				t.Errorf("answer %s, want %s", got, tt.want)
			}
		})
	}
}

// read gives an answer's body as text.
func read(t *testing.T, status byte, body string) string {
	t.Helper()
	var d hessian.Decoder
	d.Reset([]byte(body), hessian.Options{})
	if status != frame.StatusOK {
		text, ok, err := d.AppendText(nil)
		if !ok || err != nil {
			t.Fatalf("answer %q", body)
		}
		return string(text)
	}
	kind, err := d.Int()
	if err != nil || kind < frame.Attached {
		t.Fatalf("answer %q: kind %d, %v", body, kind, err)
	}
	var out []byte
	switch kind - frame.Attached {
	case frame.Value:
		out, err = d.AppendJSON(nil)
	case frame.Null:
		out = []byte("null")
	default:
		var e hessian.Exception
		e, err = d.Exception()
		out = []byte(e.Class + ": " + e.Message)
	}
	if err == nil {
		var attachments []byte
		if attachments, err = d.AppendJSON(nil); string(attachments) != `{"dubbo":"2.0.2"}` {
			t.Errorf("attachments %s", attachments)
		}
	}
	if err != nil || len(d.Rest()) > 0 {
		t.Fatalf("answer %q: %v, %d bytes left", body, err, len(d.Rest()))
	}
	return string(out)
}

func TestRudeClients(t *testing.T) {
	r := start(t, provider.Config{Services: []*provider.Service{calculator()}, Payload: 1000})
	good := request(9, "lab.Calculator", "", "1.0.0", "add", nil, `[1,1]`)
	bad := func(flag byte, body string) []byte {
		f := append(frame.AppendHeader(nil, flag, 0, 5), body...)
		frame.SetLength(f)
		return f
	}
	const call = frame.Request | frame.TwoWay | frame.Hessian2
	tests := []struct {
		name   string
		frame  []byte
		status byte
		want   string
	}{
		{"heartbeat", frame.AppendHeartbeat(nil, 5), 20, "N"},
		{"empty", bad(call, ""), 40, "Fail to decode request"},
		{"garbage", bad(call, "\xff\xff\xff"), 40, "Fail to decode request"},
		{"direct call", bad(call, "\x052.0.2\x0elab.Calculator\x051.0.0\x03add\x02II"), 40, "only generic calls"},
		{"other serialization", bad(frame.Request|frame.TwoWay|6, "{}"), 40, "serialization 6"},
		{"too long", bad(call, strings.Repeat("x", 1001)), 25, "Data length too large: 1001, max payload: 1000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r.send(tt.frame)
			f, body := r.next()
			if f.Status != tt.status || f.ID != 5 || !strings.Contains(body, tt.want) {
				t.Errorf("answer %d %q", f.Status, body)
			}
		})
	}
	r.send(bad(frame.Hessian2, "an answer to nothing"))
	r.send(bad(frame.Request|frame.Hessian2, "one way"))
	r.send(good)
	if f, _ := r.next(); f.ID != 9 || f.Status != 20 {
		t.Errorf("after all that: %+v", f.Header)
	}
	r.send([]byte("GET / HTTP/1.1\r\n\r\n"))
	if _, err := r.fr.Next(); err == nil {
		t.Error("HTTP keeps its connection")
	}
}

// TestShutdown: clients are told, calls that run are answered, new ones too until the drain is over.
func TestShutdown(t *testing.T) {
	release := make(chan struct{})
	slow := &provider.Service{Interface: "lab.Slow", Methods: []provider.Method{
		{Name: "wait", Returns: "java.lang.String", Call: func(context.Context, []json.RawMessage) (any, error) { <-release; return "done", nil }},
		{Name: "quick", Returns: "java.lang.String", Call: text("quick")},
	}}
	r := start(t, provider.Config{Services: []*provider.Service{slow}})
	r.send(request(1, "lab.Slow", "", "", "wait", nil, `[]`))
	r.send(request(2, "lab.Slow", "", "", "quick", nil, `[]`))
	if f, _ := r.next(); f.ID != 2 {
		t.Fatalf("answer %d", f.ID)
	}
	drain := make(chan struct{})
	stopped := make(chan error, 1)
	go func() { stopped <- r.server.Shutdown(context.Background(), drain) }()
	if f, body := r.next(); !f.IsEvent() || !f.IsRequest() || f.IsTwoWay() || body != frame.ReadOnly {
		t.Errorf("farewell %+v %q", f.Header, body)
	}
	if err := <-r.served; !errors.Is(err, provider.ErrStopped) {
		t.Errorf("serve: %v", err)
	}
	r.send(request(3, "lab.Slow", "", "", "quick", nil, `[]`))
	if f, _ := r.next(); f.ID != 3 {
		t.Errorf("answer %d while draining", f.ID)
	}
	close(drain)
	close(release)
	if f, _ := r.next(); f.ID != 1 || f.Status != 20 {
		t.Errorf("answer %+v", f.Header)
	}
	if err := <-stopped; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if _, err := r.fr.Next(); err == nil {
		t.Error("the connection is still open")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.server.Serve(ln); !errors.Is(err, provider.ErrStopped) {
		t.Errorf("serve again: %v", err)
	}
}

// TestShutdownByForce: calls get a context that ends.
func TestShutdownByForce(t *testing.T) {
	began := make(chan struct{})
	stuck := &provider.Service{Interface: "lab.Stuck", Methods: []provider.Method{{Name: "wait", Returns: "void", Call: func(ctx context.Context, _ []json.RawMessage) (any, error) {
		close(began)
		<-ctx.Done()
		return nil, ctx.Err()
	}}}}
	r := start(t, provider.Config{Services: []*provider.Service{stuck}})
	r.send(request(1, "lab.Stuck", "", "", "wait", nil, `[]`))
	<-began
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := r.server.Shutdown(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
}

func TestManyCalls(t *testing.T) {
	r := start(t, provider.Config{Services: []*provider.Service{calculator()}})
	const calls = 500
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range calls {
			if _, err := r.nc.Write(request(uint64(i), "lab.Calculator", "", "1.0.0", "add", nil, `[1,1]`)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	seen := map[uint64]bool{}
	for range calls {
		f, _ := r.next()
		seen[f.ID] = true
	}
	wg.Wait()
	if len(seen) != calls {
		t.Errorf("%d different answers", len(seen))
	}
}

func TestDefinition(t *testing.T) {
	doc := calculator().Definition()
	d, err := types.ParseDefinition(doc)
	if err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	var signatures []string
	for _, name := range d.Names() {
		for _, m := range d.Methods(name) {
			signatures = append(signatures, m.String()+m.Return.Name())
		}
	}
	want := "add(int,int)int bean()lab.User fail()void nothing()void over(int)java.lang.String over(java.util.List)java.lang.String panic()void throw()void unwritable()int"
	if got := strings.Join(signatures, " "); got != want || d.Service() != "lab.Calculator" {
		t.Errorf("definition of %s: %s\nwant %s", d.Service(), got, want)
	}
	var parameters struct{ Parameters map[string]string }
	if err := json.Unmarshal(doc, &parameters); err != nil || parameters.Parameters["version"] != "1.0.0" {
		t.Errorf("parameters %v, %v", parameters, err)
	}
}

func TestBadServices(t *testing.T) {
	ok := provider.Method{Name: "m", Params: []string{"int"}, Call: text("")}
	tests := map[string][]*provider.Service{
		"without an interface": {{}},
		"has no name":          {{Interface: "a.B", Methods: []provider.Method{{Call: text("")}}}},
		"nothing to call":      {{Interface: "a.B", Methods: []provider.Method{{Name: "m"}}}},
		"m(int) is there":      {{Interface: "a.B", Methods: []provider.Method{ok, ok}}},
		"method m":             {{Interface: "a.B", Methods: []provider.Method{{Name: "m", Params: []string{"List<"}, Call: text("")}}}},
		"a.B is there twice":   {{Interface: "a.B"}, {Interface: "a.B"}},
	}
	for want, services := range tests {
		if _, err := provider.New(provider.Config{Services: services}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
