package dubbo_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo"
	"github.com/sluice-gateway/sluice/protocol/dubbo/provider"
)

// echoed is what every method of the test's service answers: its name and its arguments.
type echoed struct {
	Method string            `json:"method"`
	Args   []json.RawMessage `json:"args"`
}

func echoMethod(name string, params ...string) provider.Method {
	return provider.Method{Name: name, Params: params, Returns: "java.lang.Object", Call: func(_ context.Context, args []json.RawMessage) (any, error) {
		return echoed{name + "(" + strings.Join(params, ",") + ")", args}, nil
	}}
}

// lab is a service with a method for every shape of arguments.
func lab() *provider.Service {
	return &provider.Service{
		Interface: "lab.Service",
		Methods: []provider.Method{
			echoMethod("none"),
			echoMethod("number", "int"),
			echoMethod("big", "long"),
			echoMethod("text", "java.lang.String"),
			echoMethod("bean", "lab.User"),
			echoMethod("two", "java.lang.String", "int"),
			echoMethod("list", "java.util.List<java.lang.Integer>"),
			echoMethod("map", "java.util.Map<java.lang.String,java.lang.Integer>"),
			echoMethod("object", "java.lang.Object"),
			echoMethod("over", "java.lang.String"),
			echoMethod("over", "int"),
			echoMethod("over", "java.lang.String", "int"),
			echoMethod("over"),
			echoMethod("over", "java.util.List<java.lang.String>"),
			echoMethod("twin", "int"),
			echoMethod("twin", "java.lang.Long"),
			{Name: "nothing", Returns: "void", Call: func(context.Context, []json.RawMessage) (any, error) { return nil, nil }},
			{Name: "null", Returns: "java.lang.String", Call: func(context.Context, []json.RawMessage) (any, error) { return nil, nil }},
			{Name: "fail", Returns: "void", Call: func(context.Context, []json.RawMessage) (any, error) {
				return nil, &provider.Exception{Class: "lab.UserNotFound", Message: "no user 7"}
			}},
		},
		Beans: []provider.Bean{
			{Name: "lab.User", Properties: map[string]string{
				"id": "java.lang.Long", "name": "java.lang.String", "age": "int", "gender": "lab.Gender", "tags": "java.util.List<java.lang.String>",
			}},
			{Name: "lab.Gender", Enums: []string{"MALE", "FEMALE"}},
		},
	}
}

// bed is a provider with everything in front of it.
type bed struct {
	t       testing.TB
	client  *dubbo.Client
	source  *source
	catalog *dubbo.Catalog
}

// source is a registry's store of definitions.
type source struct {
	mu          sync.Mutex
	definitions map[dubbo.Service][]byte
	notify      map[dubbo.Service][]func([]byte)
	silent      bool
}

func (s *source) SubscribeDefinition(service dubbo.Service, notify func([]byte)) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notify[service] = append(s.notify[service], notify)
	if !s.silent {
		notify(s.definitions[service])
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.notify, service)
	}
}

func (s *source) set(service dubbo.Service, definition []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.definitions[service] = definition
	for _, n := range s.notify[service] {
		n(definition)
	}
}

func newBed(t testing.TB, services ...*provider.Service) *bed {
	t.Helper()
	server, err := provider.New(provider.Config{Services: services})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	b := &bed{t: t, client: dubbo.NewClient(dubbo.ClientConfig{Address: ln.Addr().String()})}
	b.source = &source{definitions: map[dubbo.Service][]byte{}, notify: map[dubbo.Service][]func([]byte){}}
	for _, s := range services {
		b.source.definitions[dubbo.Service{Interface: s.Interface, Group: s.Group, Version: s.Version}] = s.Definition()
	}
	b.catalog = dubbo.NewCatalog(b.source, nil)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := errors.Join(b.client.Close(ctx), server.Shutdown(ctx, nil)); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, provider.ErrStopped) {
			t.Errorf("serve: %v", err)
		}
	})
	return b
}

func (b *bed) route(r dubbo.Route) protocol.Handler { return b.partRoute(r, nil) }

func (b *bed) partRoute(r dubbo.Route, part dubbo.Part) protocol.Handler {
	b.t.Helper()
	if r.Interface == "" {
		r.Interface = "lab.Service"
	}
	tr, err := dubbo.NewTranscoder(r, b.catalog, part)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(tr.Close)
	return tr.Filter(b.client)
}

// request is an HTTP request as far as transcoding looks at it.
type request struct {
	query  string
	params []protocol.Param
	header [][2]string
	body   string
}

func (r request) serve(h protocol.Handler) (status int, body string, err error) {
	req := &protocol.Request{Method: "POST", RawQuery: r.query, HasQuery: r.query != "", Params: r.params}
	req.NarrowDeadline(int64(10 * time.Second))
	for _, f := range r.header {
		req.Header.Add(f[0], f[1])
	}
	if r.body != "" {
		req.Body, req.ContentLength = protocol.NewBytes([]byte(r.body)), int64(len(r.body))
	}
	resp, err := h.Serve(context.Background(), req)
	if err != nil {
		return protocol.AsError(err).Status, "", err
	}
	b, err := io.ReadAll(&protocol.Reader{Body: resp.Body})
	status = resp.Status
	if ct := resp.Header.Get("content-type"); resp.Body != nil && ct != "application/json" {
		return status, "", errors.New("content type " + ct)
	}
	return status, string(b), errors.Join(err, resp.Close())
}

// TestArgumentsWithoutNames is the rules of Transcoder's comment.
func TestArgumentsWithoutNames(t *testing.T) {
	b := newBed(t, lab())
	tests := []struct {
		method, query, body string
		want                string // the method that ran and its arguments, or the path of a bad argument
	}{
		{"none", "", "", "none() []"},
		{"none", "", "[]", "none() []"},
		{"none", "", " {} ", "none() []"},
		{"none", "", "null", "none() []"},
		{"none", "utm=x", "", "none() []"},
		{"none", "", "1", "!body: expected the 0 arguments of none(), got a body"},
		{"number", "", "5", "number(int) [5]"},
		{"number", "", " [5]\n", "number(int) [5]"},
		{"number", "n=5", "", "number(int) [5]"},
		{"number", "n=", "", "!query.n"},
		{"number", "a=1&b=2", "", "!body: expected the 1 arguments of number(int), got 2 in the query"},
		{"number", "", "5000000000", "!body: expected int"},
		{"number", "", "1.5", "!body: expected int"},
		{"number", "", "[1.5]", "!body[0]: expected int"},
		{"number", "", "null", "!body: expected int"},
		{"number", "", "", "!body: expected the 1 arguments of number(int), got nothing"},
		{"number", "", "5 6", "!body: expected one JSON value"},
		{"number", "", "[5", "!body"},
		{"number", "", "five", "!body"},
		{"big", "", "9007199254740993", "big(long) [9007199254740993]"},
		{"big", "", `"9007199254740993"`, "big(long) [9007199254740993]"},
		{"text", "", `"bob"`, `text(java.lang.String) ["bob"]`},
		{"text", "", `["bob"]`, `text(java.lang.String) ["bob"]`},
		{"text", "name=b%20o+b", "", `text(java.lang.String) ["b o b"]`},
		{"text", "", `null`, `text(java.lang.String) [null]`},
		{"bean", "", `{"id":7,"name":"x"}`, `bean(lab.User) [{"id":7,"name":"x"}]`},
		{"bean", "", `[{"id":7}]`, `bean(lab.User) [{"id":7}]`},
		{"bean", "id=7&name=123&age=5&gender=MALE", "", `bean(lab.User) [{"id":7,"name":"123","age":5,"gender":"MALE"}]`},
		{"bean", "", `{"age":"x"}`, "!body.age: expected int"},
		{"bean", "", `{"agee":1}`, "!body.agee"},
		{"bean", "", `{"class":"javax.naming.InitialContext"}`, "!body.class"},
		{"bean", "", `{"gender":"OTHER"}`, "!body.gender: expected one of"},
		{"bean", "", `{"tags":["a",{}]}`, "!body.tags[1]"},
		{"bean", "age=x", "", "!query.age"},
		{"two", "", `["bob",5]`, `two(java.lang.String,int) ["bob",5]`},
		{"two", "a=bob&b=5", "", `two(java.lang.String,int) ["bob",5]`},
		{"two", "", `["bob"]`, "!body: expected the 2 arguments of two(java.lang.String,int), got 1 in the array"},
		{"two", "", `["bob","x"]`, "!body[1]: expected int"},
		{"two", "", `{"a":1}`, "!body: expected the 2 arguments"},
		{"two", "a=bob&b=x", "", "!query.b: expected int"},
		{"list", "", `[1,2,3]`, "list(java.util.List<java.lang.Integer>) [[1,2,3]]"},
		{"list", "", `[]`, "list(java.util.List<java.lang.Integer>) [[]]"},
		{"list", "i=1&i=2", "", "list(java.util.List<java.lang.Integer>) [[1,2]]"},
		{"list", "", `[1,"x"]`, "!body[1]"},
		{"map", "", `{"a":1}`, `map(java.util.Map<java.lang.String,java.lang.Integer>) [{"a":1}]`},
		{"object", "", `[1,{"a":null}]`, `object(java.lang.Object) [[1,{"a":null}]]`},
		{"over", "", `"x"`, `over(java.lang.String) ["x"]`},
		{"over", "", `5`, `over(int) [5]`},
		{"over", "", `["x",5]`, `over(java.lang.String,int) ["x",5]`},
		{"over", "", `["x"]`, `over(java.lang.String) ["x"]`},
		{"over", "", `[5]`, `over(int) [5]`},
		{"over", "", `[["a","b","c"]]`, `over(java.util.List<java.lang.String>) [["a","b","c"]]`},
		{"over", "", `["a","b","c"]`, `over(java.util.List<java.lang.String>) [["a","b","c"]]`},
		{"over", "", ``, `over() []`},
		{"over", "", `[]`, `over() []`},
		{"over", "a=x&b=5", ``, `over(java.lang.String,int) ["x",5]`},
		{"over", "", `{"a":1}`, "!the arguments fit no overload of over"},
		{"twin", "", `5`, "!the arguments fit several overloads of twin"},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.query+tt.body, func(t *testing.T) {
			status, body, err := request{query: tt.query, body: tt.body}.serve(b.route(dubbo.Route{Method: tt.method}))
			if want, bad := strings.CutPrefix(tt.want, "!"); bad {
				e := protocol.AsError(err)
				if e.Code != protocol.CodeBadArgument || status != 400 || !strings.HasPrefix(e.Message, want) {
					t.Errorf("answer %d %q, error %v, want %s", status, body, err, want)
				}
				return
			}
			if status != 200 || err != nil {
				t.Fatalf("answer %d, %v", status, err)
			}
			var got echoed
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
			args, _ := json.Marshal(got.Args)
			if got.Args == nil {
				args = []byte("[]")
			}
			if s := got.Method + " " + string(args); s != tt.want {
				t.Errorf("ran %s, want %s", s, tt.want)
			}
		})
	}
}

func TestArgumentsFromTemplates(t *testing.T) {
	b := newBed(t, lab())
	tests := []struct {
		name, method string
		args         []any
		req          request
		want         string
	}{
		{"path", "big", []any{"{path.id}"}, request{params: []protocol.Param{{Name: "id", Value: "42"}}}, `[42]`},
		{"encoded path", "text", []any{"{path.id}"}, request{params: []protocol.Param{{Name: "id", Value: "a%2Fb+c%20d"}}}, `["a/b+c d"]`},
		{"query", "two", []any{"{query.q}", "{query.n}"}, request{query: "n=5&q=a%26b&q=other"}, `["a&b",5]`},
		{"query of a list", "list", []any{"{query.i}"}, request{query: "i=1&x=9&i=2"}, `[[1,2]]`},
		{"JSON query of a list", "list", []any{"{query.i}"}, request{query: "i=[1,2]"}, `[[1,2]]`},
		{"header", "text", []any{"{header.X-Tenant}"}, request{header: [][2]string{{"x-tenant", "t1"}}}, `["t1"]`},
		{"cookie", "text", []any{"{cookie.sid}"}, request{header: [][2]string{{"Cookie", `a=b; sid="xyz"; c=d`}}}, `["xyz"]`},
		{"missing text is null", "text", []any{"{query.q}"}, request{}, `[null]`},
		{"missing primitive", "number", []any{"{query.q}"}, request{}, `!query.q: expected int, got null`},
		{"empty query", "text", []any{"{query.q}"}, request{query: "q="}, `[""]`},
		{"body", "bean", []any{"{body}"}, request{body: `{"id":1}`}, `[{"id":1}]`},
		{"no body", "bean", []any{"{body}"}, request{}, `[null]`},
		{"pointer", "two", []any{"{body/user/name}", "{body/list/1}"}, request{body: `{"user":{"name":"x"},"list":[1,2]}`}, `["x",2]`},
		{"escaped pointer", "text", []any{"{body/a~1b/~0}"}, request{body: `{"a/b":{"~":"x"}}`}, `["x"]`},
		{"pointer to nothing", "text", []any{"{body/a/b}"}, request{body: `{"a":{}}`}, `[null]`},
		{"pointer past the end", "text", []any{"{body/9}"}, request{body: `["a"]`}, `[null]`},
		{"pointer into a scalar", "text", []any{"{body/a/b}"}, request{body: `{"a":5}`}, `!body/a: expected an object or an array`},
		{"pointer into rubbish", "text", []any{"{body/a/b}"}, request{body: `{"a":{`}, `!body`},
		{"wrong value at a pointer", "number", []any{"{body/a}"}, request{body: `{"a":{"b":1}}`}, `!body/a: expected int`},
		{"constants", "two", []any{"fixed", 7}, request{}, `["fixed",7]`},
		{"constant bean", "bean", []any{map[string]any{"id": 1, "tags": []any{"a"}}}, request{}, `[{"id":1,"tags":["a"]}]`},
		{"bean of parts", "bean", []any{map[string]any{"id": "{path.id}", "name": "{query.n}", "age": "{body/age}", "gender": "MALE"}},
			request{params: []protocol.Param{{Name: "id", Value: "7"}}, query: "n=12", body: `{"age":5}`}, `[{"age":5,"gender":"MALE","id":7,"name":"12"}]`},
		{"bean with a class in a part", "bean", []any{map[string]any{"tags": "{body}"}}, request{body: `[{"class":"x"}]`}, `!args[0].tags[0]`},
		{"broken JSON in a part", "bean", []any{map[string]any{"tags": "{body}"}}, request{body: `["a"],"id":[1]`}, `!body`},
		{"text of parts", "text", []any{"{path.a}-{query.b}!"}, request{params: []protocol.Param{{Name: "a", Value: "x"}}, query: "b=y"}, `["x-y!"]`},
		{"braces", "text", []any{"{{x}}"}, request{}, `["{x}"]`},
		{"null", "text", []any{nil}, request{}, `[null]`},
		{"overload by arity", "over", []any{"{query.a}", "{query.b}"}, request{query: "a=x&b=5"}, `["x",5]`},
		{"none", "none", []any{}, request{body: "not read"}, `[]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body, err := tt.req.serve(b.route(dubbo.Route{Method: tt.method, Args: tt.args}))
			if want, bad := strings.CutPrefix(tt.want, "!"); bad {
				if e := protocol.AsError(err); e.Code != protocol.CodeBadArgument || !strings.HasPrefix(e.Message, want) {
					t.Errorf("answer %d %q, error %v, want %s", status, body, err, want)
				}
				return
			}
			if status != 200 || err != nil {
				t.Fatalf("answer %d, %v", status, err)
			}
			var got echoed
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
			if !sameJSON(t, got.Args, tt.want) {
				t.Errorf("arguments %s, want %s", got.Args, tt.want)
			}
		})
	}
}

func sameJSON(t *testing.T, got []json.RawMessage, want string) bool {
	t.Helper()
	var a, b any
	raw, _ := json.Marshal(got)
	if len(got) == 0 {
		raw = []byte("[]")
	}
	if err := errors.Join(json.Unmarshal(raw, &a), json.Unmarshal([]byte(want), &b)); err != nil {
		t.Fatal(err)
	}
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func TestResults(t *testing.T) {
	b := newBed(t, lab())
	if status, body, err := (request{}).serve(b.route(dubbo.Route{Method: "nothing"})); status != 204 || body != "" || err != nil {
		t.Errorf("void: %d %q %v", status, body, err)
	}
	if status, body, err := (request{}).serve(b.route(dubbo.Route{Method: "null"})); status != 200 || body != "null" || err != nil {
		t.Errorf("null: %d %q %v", status, body, err)
	}
	_, _, err := request{}.serve(b.route(dubbo.Route{Method: "fail"}))
	e := protocol.AsError(err)
	if e.Status != 500 || e.Code != protocol.CodeUpstreamException || len(e.Details) != 2 ||
		e.Details[0].Value != "lab.UserNotFound" || e.Details[1].Value != "no user 7" {
		t.Errorf("exception: %v %v", e, e.Details)
	}
}

func TestSignatureHeader(t *testing.T) {
	b := newBed(t, lab())
	h := b.route(dubbo.Route{Method: "twin"})
	status, body, err := request{body: "5", header: [][2]string{{dubbo.HeaderSignature, " java.lang.Long"}}}.serve(h)
	if status != 200 || err != nil || !strings.Contains(body, "twin(java.lang.Long)") {
		t.Errorf("answer %d %s %v", status, body, err)
	}
	_, _, err = request{body: "5", header: [][2]string{{dubbo.HeaderSignature, "java.lang.Runtime"}}}.serve(h)
	if e := protocol.AsError(err); e.Code != protocol.CodeBadArgument || !strings.Contains(e.Message, "twin(int), twin(java.lang.Long)") {
		t.Errorf("unknown signature: %v", err)
	}
}

func TestRouteTypes(t *testing.T) {
	b := newBed(t, lab())
	h := b.route(dubbo.Route{Method: "twin", Types: []string{"java.lang.Long"}})
	if status, body, err := (request{body: "5"}).serve(h); status != 200 || err != nil || !strings.Contains(body, "twin(java.lang.Long)") {
		t.Errorf("answer %d %s %v", status, body, err)
	}
	// Without any definition the route's types are believed.
	service := dubbo.Service{Interface: "lab.Service"}
	b.source.set(service, nil)
	if status, body, err := (request{body: "6"}).serve(h); status != 200 || err != nil || !strings.Contains(body, "[6]") {
		t.Errorf("without a definition: %d %s %v", status, body, err)
	}
	_, _, err := request{body: "5"}.serve(b.route(dubbo.Route{Method: "twin", Types: []string{"java.lang.Short"}}))
	if e := protocol.AsError(err); e.Code != protocol.CodeServiceMismatch {
		t.Errorf("types that no method has: %v", err)
	}
}

func TestDefinitions(t *testing.T) {
	b := newBed(t, lab())
	service := dubbo.Service{Interface: "lab.Service"}
	h := b.route(dubbo.Route{Method: "number"})
	check := func(name string, status int, code protocol.Code) {
		t.Helper()
		got, _, err := request{body: "5"}.serve(h)
		if got != status || err != nil && protocol.AsError(err).Code != code {
			t.Errorf("%s: %d %v", name, got, err)
		}
	}
	check("at first", 200, "")
	b.source.set(service, []byte(`{"canonicalName":`))
	check("a broken one changes nothing", 200, "")
	b.source.set(service, (&provider.Service{Interface: "lab.Service", Methods: []provider.Method{echoMethod("number", "java.lang.String")}}).Definition())
	check("a new signature", 400, protocol.CodeBadArgument)
	b.source.set(service, (&provider.Service{Interface: "lab.Service", Methods: []provider.Method{echoMethod("other")}}).Definition())
	check("method gone", 502, protocol.CodeNoDefinition)
	b.source.set(service, nil)
	check("all gone", 502, protocol.CodeNoDefinition)
	b.source.set(service, lab().Definition())
	check("back", 200, "")
}

// TestFirstDefinition: the first request waits for a registry that is about to answer, but not for ever.
func TestFirstDefinition(t *testing.T) {
	b := newBed(t, lab())
	b.source.silent = true
	h := b.route(dubbo.Route{Method: "number"})
	done := make(chan int, 1)
	go func() {
		status, _, _ := request{body: "5"}.serve(h)
		done <- status
	}()
	b.source.set(dubbo.Service{Interface: "lab.Service"}, lab().Definition())
	if status := <-done; status != 200 {
		t.Errorf("status %d", status)
	}
	h = b.route(dubbo.Route{Interface: "lab.Other", Method: "number"})
	req := &protocol.Request{}
	req.NarrowDeadline(int64(30 * time.Millisecond))
	_, err := h.Serve(context.Background(), req)
	if e := protocol.AsError(err); e.Code != protocol.CodeNoDefinition || e.RetryAfter == 0 {
		t.Errorf("silent registry: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err = h.Serve(ctx, &protocol.Request{}); protocol.AsError(err).Code != protocol.CodeClientGone {
		t.Errorf("client gone: %v", err)
	}
}

func TestGroupsAndVersions(t *testing.T) {
	var services []*provider.Service
	for _, group := range []string{"", "g1"} {
		for _, version := range []string{"", "1.0.0"} {
			services = append(services, &provider.Service{Interface: "lab.Which", Group: group, Version: version, Methods: []provider.Method{{
				Name: "which", Returns: "java.lang.String",
				Call: func(context.Context, []json.RawMessage) (any, error) { return group + ":" + version, nil },
			}}})
		}
	}
	b := newBed(t, services...)
	which := func(r dubbo.Route, header ...[2]string) string {
		t.Helper()
		r.Interface, r.Method = "lab.Which", "which"
		part := func(req *protocol.Request) (string, string, error) {
			group, _, version, _ := r.Select(req)
			return group, version, nil
		}
		_, body, err := request{header: header}.serve(b.partRoute(r, part))
		if err != nil {
			t.Error(err)
		}
		return body
	}
	if got := which(dubbo.Route{}); got != `":"` {
		t.Errorf("neither: %s", got)
	}
	if got := which(dubbo.Route{Group: "g1", Version: "1.0.0"}); got != `"g1:1.0.0"` {
		t.Errorf("route's: %s", got)
	}
	if got := which(dubbo.Route{}, [2]string{"X-Dubbo-Group", "g1"}); got != `"g1:"` {
		t.Errorf("group by header: %s", got)
	}
	if got := which(dubbo.Route{Group: "g1"}, [2]string{"x-dubbo-group", ""}, [2]string{"x-dubbo-version", "1.0.0"}); got != `"g1:1.0.0"` {
		t.Errorf("version by header: %s", got)
	}
	_, err := b.partRoute(dubbo.Route{Interface: "lab.Which", Method: "which"}, func(*protocol.Request) (string, string, error) {
		return "", "", protocol.NewError(503, protocol.CodeNoInstance, "none")
	}).Serve(context.Background(), &protocol.Request{})
	if protocol.AsError(err).Code != protocol.CodeNoInstance {
		t.Errorf("no such part: %v", err)
	}
}

func TestDynamicMethod(t *testing.T) {
	b := newBed(t, lab())
	h := b.route(dubbo.Route{Method: "{method}"})
	call := func(method string) (int, error) {
		status, _, err := request{params: []protocol.Param{{Name: "method", Value: method}}, body: "5"}.serve(h)
		return status, err
	}
	if status, err := call("number"); status != 200 || err != nil {
		t.Errorf("known: %d %v", status, err)
	}
	if status, err := call("nope"); status != 404 {
		t.Errorf("unknown: %d %v", status, err)
	}
	prefixed := request{params: []protocol.Param{{Name: "kind", Value: "umb"}}, body: "5"}
	if status, body, err := prefixed.serve(b.route(dubbo.Route{Method: "n{kind}er"})); status != 200 || err != nil {
		t.Errorf("with text around the capture: %d %s %v", status, body, err)
	}
	if status, err := call("$invoke"); status != 404 {
		t.Errorf("$invoke: %d %v", status, err)
	}
}

func TestBodyLimit(t *testing.T) {
	b := newBed(t, lab())
	h := b.route(dubbo.Route{Method: "text", BodyLimit: 10})
	if status, _, err := (request{body: `"1234567890"`}).serve(h); status != 413 {
		t.Errorf("stated length: %d %v", status, err)
	}
	req := &protocol.Request{Body: protocol.NewBytes([]byte(`"1234567890"`)), ContentLength: protocol.UnknownLength}
	if _, err := h.Serve(context.Background(), req); protocol.AsError(err).Status != 413 {
		t.Errorf("unknown length: %v", err)
	}
}

func TestBadRoutes(t *testing.T) {
	tests := []struct {
		name  string
		route dubbo.Route
		want  string
	}{
		{"nothing", dubbo.Route{}, "interface: is missing"},
		{"no method", dubbo.Route{Interface: "a.B"}, "method: is missing"},
		{"dynamic interface", dubbo.Route{Interface: "{path.i}", Method: "m"}, "is not the name of a Java interface"},
		{"reserved method", dubbo.Route{Interface: "a.B", Method: "$invoke"}, "is not a method of a service"},
		{"method from a query", dubbo.Route{Interface: "a.B", Method: "{query.m}"}, "captures of the path only"},
		{"method from a nameless capture", dubbo.Route{Interface: "a.B", Method: "get{}"}, "captures of the path only"},
		{"method with an open brace", dubbo.Route{Interface: "a.B", Method: "get{x"}, "without its partner"},
		{"method with a stray brace", dubbo.Route{Interface: "a.B", Method: "{x}get}"}, "without its partner"},
		{"unknown placeholder", dubbo.Route{Interface: "a.B", Method: "m", Args: []any{"x", "{pth.id}"}}, "args[1]: {pth.id} is none of"},
		{"open brace", dubbo.Route{Interface: "a.B", Method: "m", Args: []any{"{path.id"}}, "args[0]"},
		{"stray brace", dubbo.Route{Interface: "a.B", Method: "m", Args: []any{"a}"}}, "args[0]"},
		{"body in a text", dubbo.Route{Interface: "a.B", Method: "m", Args: []any{"x{body}"}}, "cannot be a part of a text"},
		{"mixed in a bean", dubbo.Route{Interface: "a.B", Method: "m", Args: []any{map[string]any{"k": "a{path.x}"}}}, "args[0]: k:"},
		{"types and args", dubbo.Route{Interface: "a.B", Method: "m", Args: []any{"x"}, Types: []string{"int", "int"}}, "2 types for 1 args"},
		{"bad type", dubbo.Route{Interface: "a.B", Method: "m", Types: []string{"java.util.List<"}}, "types:"},
		{"unknown", dubbo.Route{Interface: "a.B", Method: "m", Unknown: "maybe"}, `neither "reject" nor "ignore"`},
		{"attachment", dubbo.Route{Interface: "a.B", Method: "m", Attachments: []string{"Group"}}, "belongs to the protocol"},
	}
	catalog := dubbo.NewCatalog(&source{}, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := dubbo.NewTranscoder(tt.route, catalog, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
