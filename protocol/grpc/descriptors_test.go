package grpc

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/sluice-gateway/sluice/protocol"
)

var shopServices = []string{"test.shop.v1.Old", "test.shop.v1.Shop"}

func services(s *Schema) []string {
	names := s.Services()
	slices.Sort(names)
	return names
}

// TestSources reads the same services in every way there is.
func TestSources(t *testing.T) {
	schema := testSchema(t)
	s := startShop(t)
	alpha := startShopWith(t, schema, false, true)
	dir := t.TempDir()
	raw, err := protos.load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set := filepath.Join(dir, "set.binpb")
	if err := os.WriteFile(set, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	// As protoc writes it without --include_imports, but for the services' own files.
	all := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(raw, all); err != nil {
		t.Fatal(err)
	}
	all.File = slices.DeleteFunc(all.File, func(f *descriptorpb.FileDescriptorProto) bool { return !strings.HasPrefix(f.GetName(), "test/") })
	slices.Reverse(all.File) // the order does not matter
	bare := filepath.Join(dir, "bare.binpb")
	if raw, err = proto.Marshal(all); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bare, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	c := s.client(t)
	for name, src := range map[string]Source{
		"reflection v1": &Reflection{Target: c}, "reflection v1alpha": &Reflection{Target: alpha.client(t)},
		"descriptor set": SetFile(set), "without imports": SetFile(bare), ".proto files": protos,
	} {
		t.Run(name, func(t *testing.T) {
			tr, h := transcoder(t, Route{}, src, c)
			url := listen(t, h)
			if r := ask(t, "GET", url+"/v1/shelves/1/items/2", ""); r.status != 200 || r.body != `{"name":"{\"name\":\"shelves/1/items/2\"}"}` {
				t.Errorf("%d %s", r.status, r.body)
			}
			st := tr.descriptors.State()
			slices.Sort(st.Services)
			if st.Err != nil || !slices.Equal(st.Services, shopServices) || st.Read.IsZero() || st.Changed.IsZero() || st.Source == "" {
				t.Errorf("%+v", st)
			}
			if p := tr.Problems(); len(p) > 0 {
				t.Errorf("%v", p)
			}
		})
	}
}

// TestSourceFailures says what is wrong, in words that help.
func TestSourceFailures(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("bad/a.proto", "syntax = \"proto3\";\nmessage M { strin name = 1; }\n")
	write("loop/a.proto", "syntax = \"proto3\";\nimport \"b.proto\";\n")
	write("loop/b.proto", "syntax = \"proto3\";\nimport \"a.proto\";\n")
	write("empty/readme", "")
	none := startShopWith(t, testSchema(t), false, false)
	for want, src := range map[string]Source{
		"no such file":                      SetFile(filepath.Join(dir, "none")),
		"read descriptors":                  SetFile(write("junk", "junk")),
		"a.proto:2:13":                      ProtoFolder(filepath.Join(dir, "bad")),
		"cycle":                             ProtoFolder(filepath.Join(dir, "loop")),
		"no .proto file in":                 ProtoFolder(filepath.Join(dir, "empty")),
		"read .proto files":                 ProtoFolder(filepath.Join(dir, "none")),
		"does not offer reflection":         &Reflection{Target: none.client(t)},
		"the service could not be reached":  &Reflection{Target: newClient(t, "127.0.0.1:1")},
		"the answer is HTTP status 500":     &Reflection{Target: newClient(t, listen2(t, answering(500, "text/html", "no")))},
		`the answer is "text/html"`:         &Reflection{Target: newClient(t, listen2(t, answering(200, "text/html", "no")))},
		"the stream ends within a message":  &Reflection{Target: newClient(t, listen2(t, answering(200, contentType, "\x00\x00")))},
		"the server ended the stream early": &Reflection{Target: newClient(t, listen2(t, answering(200, contentType, "")))},
		"a message is larger":               &Reflection{Target: newClient(t, listen2(t, answering(200, contentType, "\x00\xff\xff\xff\xff")))},
		"read answer":                       &Reflection{Target: newClient(t, listen2(t, answering(200, contentType, "\x00\x00\x00\x00\x01\xff")))},
	} {
		d := NewDescriptors(src, 0, nil)
		err := d.Load(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s, got %v", want, err)
		}
		_, err = d.schema(t.Context(), 0)
		var e *protocol.Error
		if !errors.As(err, &e) || e.Code != protocol.CodeNoDefinition || e.Cause == nil || !e.NotSent {
			t.Errorf("%v", err)
		}
		d.Close()
		if err := d.Load(t.Context()); err == nil {
			t.Error("read after Close")
		}
	}
}

// answering is a server that always answers the same.
func answering(status int, mediaType, body string) protocol.Handler {
	return protocol.HandlerFunc(func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp := req.NewResponse()
		resp.Status = status
		resp.Header.Add("content-type", mediaType)
		resp.Body, resp.ContentLength = protocol.NewBytes([]byte(body)), int64(len(body))
		return resp, nil
	})
}

// TestRefresh follows a folder through a change, a mistake and its repair.
func TestRefresh(t *testing.T) {
	dir := t.TempDir()
	write := func(method string) {
		text := "syntax = \"proto3\";\npackage p;\nmessage M {}\nservice S { rpc " + method + "(M) returns (M); }\n"
		if err := os.WriteFile(filepath.Join(dir, "a.proto"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := NewDescriptors(ProtoFolder(dir), 0, nil)
	defer d.Close()
	has := func(method string) bool {
		s, err := d.schema(t.Context(), 0)
		return err == nil && s.services[0].Methods().ByName(protoreflectName(method)) != nil
	}
	write("One")
	if err := d.Load(t.Context()); err != nil || !has("One") {
		t.Fatalf("%v", err)
	}
	first := d.current.Load()
	changed := d.State().Changed
	if err := d.Load(t.Context()); err != nil || d.current.Load() != first || !d.State().Changed.Equal(changed) {
		t.Errorf("the same files are another schema: %v", err)
	}
	write("Two")
	d.Refresh()
	eventually(t, "the change is seen", func() bool { return has("Two") })
	write("Two(")
	if err := d.Load(t.Context()); err == nil || !has("Two") {
		t.Errorf("a mistake: %v", err)
	}
	write("Three")
	for range 20 {
		d.Refresh()
	}
	eventually(t, "the repair is seen", func() bool { return has("Three") && d.State().Err == nil })
}

// TestScheduledRefresh begins a reading when a request finds the last one too old.
func TestScheduledRefresh(t *testing.T) {
	src := &counted{Source: protos}
	d := NewDescriptors(src, 10*time.Millisecond, nil)
	defer d.Close()
	if err := d.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is read again", func() bool {
		if _, err := d.schema(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		return src.n.Load() >= 3
	})
}

// TestHints: what is not known, or not served any more, makes the descriptors be read again, but not at every request.
func TestHints(t *testing.T) {
	s := startShop(t)
	c := s.client(t)
	src := &counted{Source: &Reflection{Target: c}}
	_, h := transcoder(t, Route{}, src, c)
	url := listen(t, h)
	for range 20 {
		ask(t, "POST", url+"/test.shop.v1.Shop/Nothing", "{}")
		ask(t, "POST", url+"/test.shop.v1.Shop/Unfinished", "{}")
	}
	if n := src.n.Load(); n != 1 {
		t.Errorf("read %d times", n)
	}
}

// TestFirstReadingIsBounded: requests wait for it together, and not for ever.
func TestFirstReadingIsBounded(t *testing.T) {
	release := make(chan struct{})
	src := &counted{Source: protos, hold: release}
	d := NewDescriptors(src, 0, nil)
	defer d.Close()
	begun := time.Now()
	_, err := d.schema(t.Context(), protocol.Now()+int64(20*time.Millisecond))
	var e *protocol.Error
	if !errors.As(err, &e) || e.Status != 502 || e.RetryAfter == 0 || time.Since(begun) > time.Second {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.schema(ctx, 0); !errors.As(err, &e) || e.Code != protocol.CodeClientGone {
		t.Errorf("%v", err)
	}
	done := make(chan error)
	for range 5 {
		go func() { _, err := d.schema(t.Context(), 0); done <- err }()
	}
	close(release)
	for range 5 {
		if err := waitFor(t, "the first reading", done); err != nil {
			t.Error(err)
		}
	}
	if n := src.n.Load(); n != 1 {
		t.Errorf("read %d times", n)
	}
}

// TestCloseEndsAReading that does not end by itself.
func TestCloseEndsAReading(t *testing.T) {
	d := NewDescriptors(&counted{Source: protos, hold: make(chan struct{})}, 0, nil)
	d.Refresh()
	d.Close()
	if err := d.State().Err; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestBadAnnotations are refused one by one.
func TestBadAnnotations(t *testing.T) {
	dir := t.TempDir()
	text := `syntax = "proto3";
package p;
import "google/api/annotations.proto";
message M { string a = 1; repeated string r = 2; M m = 3; map<string, string> x = 4; }
service S {
  rpc Body(M) returns (M) { option (google.api.http) = { post: "/1" body: "none" }; }
  rpc Answer(M) returns (M) { option (google.api.http) = { get: "/2" response_body: "none" }; }
  rpc Field(M) returns (M) { option (google.api.http) = { get: "/3/{none}" }; }
  rpc Repeated(M) returns (M) { option (google.api.http) = { get: "/4/{r}" }; }
  rpc Message(M) returns (M) { option (google.api.http) = { get: "/5/{m}" }; }
  rpc Template(M) returns (M) { option (google.api.http) = { get: "6" }; }
  rpc Nothing(M) returns (M) { option (google.api.http) = { body: "*" }; }
  rpc Twice(M) returns (M) { option (google.api.http) = { get: "/7/{a}" additional_bindings { get: "/7/{m.a}" } }; }
  rpc Nested(M) returns (M) { option (google.api.http) = { get: "/8" additional_bindings { get: "/9" additional_bindings { get: "/10" } } }; }
  rpc Through(M) returns (M) { option (google.api.http) = { get: "/11/{r.a}" }; }
  rpc Scalar(M) returns (M) { option (google.api.http) = { get: "/12/{a.b}" }; }
  rpc Good(M) returns (M) { option (google.api.http) = { get: "/good" }; }
}`
	if err := os.WriteFile(filepath.Join(dir, "a.proto"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err := ProtoFolder(dir).load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := schemaOf(raw)
	if err != nil {
		t.Fatal(err)
	}
	r := newRoutes(s, []string{"p.S", "p.Missing"})
	var all []string
	for _, p := range r.problems {
		all = append(all, p.Error())
	}
	got := strings.Join(all, "\n")
	for _, want := range []string{
		`p.S.Body: body: the message has no field "none"`, `p.S.Answer: response_body: the message has no field "none"`,
		`p.S.Field: {none}: p.M has no field "none"`, "p.S.Repeated: {r}: a path cannot be a repeated field",
		"p.S.Message: {m}: a path cannot be a message", `p.S.Template: "6" does not begin with a slash`,
		"p.S.Nothing: google.api.http without a pattern", "p.S.Twice: GET /7/{m.a} means the same as /7/{a}",
		"p.S.Nested: additional_bindings within additional_bindings", "p.S.Through: {r.a}: r has no fields", "p.S.Scalar: {a.b}: a has no fields",
		"service p.Missing is not described",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
	if len(all) != 12 {
		t.Errorf("%d problems:\n%s", len(all), got)
	}
	var arena protocol.Arena
	for _, path := range []string{"/good", "/7/x", "/8", "/9"} {
		if _, _, _, ok := r.router.Match(&arena, "GET", path, nil); !ok {
			t.Errorf("%s is gone", path)
		}
	}
}

// TestPartialSchema: a file that lacks an import spoils what uses it, not the others.
func TestPartialSchema(t *testing.T) {
	files := map[string]*descriptorpb.FileDescriptorProto{}
	for _, s := range testSchema(t).services {
		f := protodesc.ToFileDescriptorProto(s.ParentFile())
		files[f.GetName()] = f
	}
	set := new(descriptorpb.FileDescriptorSet)
	for _, f := range files { // without money.proto
		set.File = append(set.File, f)
	}
	s, err := NewSchema(set)
	if err != nil {
		t.Fatal(err)
	}
	if got := services(s); !slices.Equal(got, shopServices) {
		t.Errorf("%v", got)
	}
	if r := newRoutes(s, nil); len(r.bindings) < 2 {
		t.Errorf("%d bindings, %v", len(r.bindings), r.problems)
	}
	if _, err := NewSchema(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{Name: proto.String("a.proto"), Dependency: []string{"a.proto"}}}}); err == nil {
		t.Error("a file that imports itself")
	}
}
