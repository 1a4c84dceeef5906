package grpc

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	reflectpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/http1"
	"github.com/sluice-gateway/sluice/protocol/http2"
)

// patience is how long tests wait for what must happen.
const patience = 10 * time.Second

const protos = ProtoFolder("testdata/protos")

// testSchema compiles the test's own services.
func testSchema(t testing.TB) *Schema {
	t.Helper()
	raw, err := protos.load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := schemaOf(raw)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shop is a real gRPC server of every service in the schema, made without generated code.
type shop struct {
	schema    *Schema
	addr      string
	server    *grpc.Server
	hanging   chan struct{} // told when Hang, or a stream that hangs, has begun
	cancelled chan error    // told the context's error when it is over
	calls     atomic.Int64  // of any method but reflection's
	deadline  atomic.Int64  // what was left of the last call's time, 0 for none
	metadata  atomic.Pointer[metadata.MD]
	sent      atomic.Int64 // messages that Watch has sent
}

func startShop(t testing.TB, opts ...grpc.ServerOption) *shop {
	return startShopWith(t, testSchema(t), true, true, opts...)
}

func startShopWith(t testing.TB, schema *Schema, v1, alpha bool, opts ...grpc.ServerOption) *shop {
	t.Helper()
	s := &shop{schema: schema, hanging: make(chan struct{}, 1000), cancelled: make(chan error, 1000)}
	s.server = grpc.NewServer(append([]grpc.ServerOption{grpc.MaxRecvMsgSize(64 << 20), grpc.ForceServerCodec(ordered{})}, opts...)...)
	for _, d := range s.schema.services {
		s.register(d)
	}
	options := reflection.ServerOptions{Services: s.server, DescriptorResolver: s.schema.files}
	if v1 {
		reflectpb.RegisterServerReflectionServer(s.server, reflection.NewServerV1(options))
	}
	if alpha {
		reflectalpha.RegisterServerReflectionServer(s.server, reflection.NewServer(options))
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	done := make(chan struct{})
	go func() { defer close(done); _ = s.server.Serve(ln) }()
	t.Cleanup(func() { s.server.Stop(); <-done })
	return s
}

func (s *shop) register(d protoreflect.ServiceDescriptor) {
	desc := &grpc.ServiceDesc{ServiceName: string(d.FullName()), HandlerType: (*any)(nil), Metadata: d.ParentFile().Path()}
	for i := range d.Methods().Len() {
		m := d.Methods().Get(i)
		if m.Name() == "Unfinished" {
			continue
		}
		if m.IsStreamingClient() || m.IsStreamingServer() {
			desc.Streams = append(desc.Streams, grpc.StreamDesc{
				StreamName: string(m.Name()), ClientStreams: m.IsStreamingClient(), ServerStreams: m.IsStreamingServer(),
				Handler: func(_ any, stream grpc.ServerStream) error { s.note(stream.Context()); return s.stream(m, stream) },
			})
			continue
		}
		desc.Methods = append(desc.Methods, grpc.MethodDesc{
			MethodName: string(m.Name()),
			Handler: func(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				s.note(ctx)
				in := dynamicpb.NewMessage(m.Input())
				if err := dec(in); err != nil {
					return nil, err
				}
				return s.unary(ctx, m, in)
			},
		})
	}
	s.server.RegisterService(desc, nil)
}

func (s *shop) note(ctx context.Context) {
	s.calls.Add(1)
	s.deadline.Store(0)
	if d, ok := ctx.Deadline(); ok {
		s.deadline.Store(int64(time.Until(d)))
	}
	md, _ := metadata.FromIncomingContext(ctx)
	s.metadata.Store(&md)
}

func field(m protoreflect.Message, name string) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
}

func set(m protoreflect.Message, name string, v any) {
	m.Set(m.Descriptor().Fields().ByName(protoreflect.Name(name)), protoreflect.ValueOf(v))
}

// unary answers with an item whose name is the request as canonical JSON, or with the request itself.
func (s *shop) unary(ctx context.Context, m protoreflect.MethodDescriptor, in *dynamicpb.Message) (proto.Message, error) {
	_ = grpc.SetHeader(ctx, metadata.Pairs("x-shop", "open"))
	_ = grpc.SetTrailer(ctx, metadata.Pairs("x-after", "sale"))
	out := dynamicpb.NewMessage(m.Output())
	switch m.Name() {
	case "Hang":
		return nil, s.hang(ctx)
	case "Fail":
		return nil, failure(in)
	case "Upload":
		content := field(in, "content").Message()
		set(out, "content_type", "text/x-"+field(content, "content_type").String())
		set(out, "data", field(content, "data").Bytes())
		return out, nil
	case "ListItems":
		set(out, "total", int64(2))
		for _, name := range []string{"a", asJSON(in)} {
			e := out.Mutable(m.Output().Fields().ByName("items")).List().AppendMutable().Message()
			set(e, "name", name)
		}
		return out, nil
	}
	if m.Input() == m.Output() {
		return in, nil
	}
	if m.Output().Fields().ByName("name") != nil {
		set(out, "name", asJSON(in))
	}
	return out, nil
}

// asJSON is what a server saw, in the canonical form without blanks.
func asJSON(m proto.Message) string {
	w := writer{}
	b, err := w.message(nil, m.ProtoReflect(), 0)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (s *shop) hang(ctx context.Context) error {
	s.hanging <- struct{}{}
	<-ctx.Done()
	s.cancelled <- ctx.Err()
	return status.FromContextError(ctx.Err()).Err()
}

func failure(in *dynamicpb.Message) error {
	st := status.New(codes.Code(field(in, "code").Int()), field(in, "message").String())
	if field(in, "details").Bool() {
		with, err := st.WithDetails(
			&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "name", Description: "is \"bad\""}}},
			protoadapt.MessageV1Of(&errdetails.RequestInfo{}),
		)
		if err != nil {
			return err
		}
		st = with
	}
	return st.Err()
}

func (s *shop) stream(m protoreflect.MethodDescriptor, stream grpc.ServerStream) error {
	switch m.Name() {
	case "Chat":
		for {
			in := dynamicpb.NewMessage(m.Input())
			if err := stream.RecvMsg(in); err != nil {
				if errors.Is(err, io.EOF) {
					return nil
				}
				return err
			}
			if field(in, "name").String() == "fail" {
				return status.Error(codes.Aborted, "as you wish")
			}
			if err := stream.SendMsg(in); err != nil {
				return err
			}
		}
	case "Collect":
		out := dynamicpb.NewMessage(m.Output())
		n := int64(0)
		for {
			in := dynamicpb.NewMessage(m.Input())
			if err := stream.RecvMsg(in); err != nil {
				if !errors.Is(err, io.EOF) {
					return err
				}
				set(out, "total", n)
				return stream.SendMsg(out)
			}
			if n++; n <= 3 {
				out.Mutable(m.Output().Fields().ByName("items")).List().Append(protoreflect.ValueOfMessage(in))
			}
		}
	}
	in := dynamicpb.NewMessage(m.Input())
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	for i := range field(in, "count").Int() {
		out := dynamicpb.NewMessage(m.Output())
		if m.Name() == "Download" {
			set(out, "content_type", "text/plain")
			set(out, "data", []byte(strings.Repeat("d", int(field(in, "size").Int()))))
		} else {
			set(out, "name", strings.Repeat("w", int(field(in, "size").Int())))
			set(out, "count", int32(i))
		}
		if err := stream.SendMsg(out); err != nil {
			return err
		}
		s.sent.Add(1)
	}
	if field(in, "hang").Bool() {
		return s.hang(stream.Context())
	}
	if code := field(in, "fail_with").Int(); code != 0 {
		return status.Error(codes.Code(code), "the stream failed")
	}
	return nil
}

// client is the client that gateways use, as a target.
func (s *shop) client(t testing.TB) *http2.Client { return newClient(t, s.addr) }

func newClient(t testing.TB, addr string) *http2.Client {
	c := http2.NewClient(http2.ClientConfig{Address: addr})
	t.Cleanup(func() { c.Close() })
	return c
}

// transcoder is one in front of target, with the descriptors of src.
func transcoder(t testing.TB, route Route, src Source, target protocol.Handler) (*Transcoder, protocol.Handler) {
	t.Helper()
	d := NewDescriptors(src, 0, nil)
	t.Cleanup(d.Close)
	tr, err := NewTranscoder(route, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tr, tr.Filter(target)
}

// gateway is a transcoder in front of the shop behind an HTTP/1.1 listener; it returns the listener's URL.
func (s *shop) gateway(t testing.TB, route Route) string {
	t.Helper()
	c := s.client(t)
	_, h := transcoder(t, route, &Reflection{Target: c}, c)
	return listen(t, h)
}

// listen serves h over HTTP/1.1.
func listen(t testing.TB, h protocol.Handler) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := http1.NewServer(rendered(h), http1.ServerConfig{})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		<-served
	})
	return "http://" + ln.Addr().String()
}

// listen2 serves h over HTTP/2 by prior knowledge.
func listen2(t testing.TB, h protocol.Handler) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := http2.NewServer(h, http2.ServerConfig{})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		<-served
	})
	return ln.Addr().String()
}

// rendered is the edge: errors become answers.
func rendered(h protocol.Handler) protocol.Handler {
	return protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp, err := h.Serve(ctx, req)
		if err == nil {
			return resp, nil
		}
		e := protocol.AsError(err)
		resp = req.NewResponse()
		resp.Status = e.Status
		resp.Header.Add("Content-Type", protocol.ProblemType)
		body := protocol.AppendProblem(nil, e, req.ID)
		resp.Body, resp.ContentLength = protocol.NewBytes(body), int64(len(body))
		return resp, nil
	})
}

type reply struct {
	status int
	header http.Header
	body   string
}

// ask sends a request and reads the answer whole.
func ask(t testing.TB, method, url, body string, header ...string) reply {
	t.Helper()
	r, err := try(t.Context(), method, url, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return r
}

func try(ctx context.Context, method, url, body string, header ...string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	tr := &http.Transport{DisableCompression: true}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(b)}, err
}

func waitFor[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("never happened: %s", what)
		panic("unreachable")
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// dial makes a client of grpc-go.
func dial(t testing.TB, addr string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	cc, err := grpc.NewClient("passthrough:///"+addr, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

// shopMethod finds a method of the shop.
func (s *shop) method(name string) protoreflect.MethodDescriptor {
	for _, d := range s.schema.services {
		if d.Name() == "Shop" {
			return d.Methods().ByName(protoreflect.Name(name))
		}
	}
	return nil
}

// invoke makes a unary call with messages as JSON.
func (s *shop) invoke(ctx context.Context, cc *grpc.ClientConn, name, in string, opts ...grpc.CallOption) (string, error) {
	m := s.method(name)
	req, resp := dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output())
	if err := protojson.Unmarshal([]byte(in), req); err != nil {
		return "", err
	}
	if err := cc.Invoke(ctx, "/test.shop.v1.Shop/"+name, req, resp, opts...); err != nil {
		return "", err
	}
	return asJSON(resp), nil
}

func protoreflectName(s string) protoreflect.Name { return protoreflect.Name(s) }

// counted counts how often a source is read, and may hold a reading back.
type counted struct {
	Source
	n    atomic.Int64
	hold chan struct{}
}

func (c *counted) load(ctx context.Context) ([]byte, error) {
	c.n.Add(1)
	if c.hold != nil {
		select {
		case <-c.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return c.Source.load(ctx)
}

// ordered writes fields in the order of their numbers, as generated code does; dynamic messages write them as they like.
type ordered struct{}

func (ordered) Marshal(v any) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(v.(proto.Message))
}
func (ordered) Unmarshal(b []byte, v any) error { return proto.Unmarshal(b, v.(proto.Message)) }
func (ordered) Name() string                    { return "proto" }
