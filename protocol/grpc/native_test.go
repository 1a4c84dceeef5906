package grpc

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/sluice-gateway/sluice/protocol"
)

// edge renders errors as gRPC clients want them.
func edge(h protocol.Handler) protocol.Handler {
	return protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp, err := h.Serve(ctx, req)
		if err != nil && Speaks(req) {
			return Respond(req, protocol.AsError(err)), nil
		}
		return resp, err
	})
}

func TestNative(t *testing.T) {
	s := startShop(t)
	cc := dial(t, listen2(t, edge(Native{}.Filter(s.client(t)))))
	for _, size := range []int{0, 100, 3 << 20} {
		in := fmt.Sprintf(`{"name":"%s"}`, strings.Repeat("x", size))
		if size == 0 {
			in = `{}`
		}
		var header, trailer metadata.MD
		out, err := s.invoke(t.Context(), cc, "Echo", in, grpc.Header(&header), grpc.Trailer(&trailer))
		if err != nil || out != in || header.Get("x-shop")[0] != "open" || trailer.Get("x-after")[0] != "sale" {
			t.Errorf("%d octets: %d octets, %v", size, len(out), err)
		}
	}
	_, err := s.invoke(t.Context(), cc, "Fail", `{"code":5,"message":"100 %\n","details":true}`)
	if st := status.Convert(err); st.Code() != codes.NotFound || st.Message() != "100 %\n" || len(st.Details()) != 2 {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := s.invoke(ctx, cc, "Echo", "{}"); err != nil {
		t.Error(err)
	}
	if left := time.Duration(s.deadline.Load()); left <= 0 || left > 5*time.Second {
		t.Errorf("the server has %v", left)
	}
}

// TestNativeDeadline: what is left for the server is what the gateway allows, and the client learns of it by a status.
func TestNativeDeadline(t *testing.T) {
	s := startShop(t)
	c := s.client(t)
	h := Native{}.Filter(c)
	cc := dial(t, listen2(t, edge(protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		req.NarrowDeadline(int64(100 * time.Millisecond))
		return h.Serve(ctx, req)
	}))))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	begun := time.Now()
	_, err := s.invoke(ctx, cc, "Hang", "{}")
	if status.Code(err) != codes.DeadlineExceeded || time.Since(begun) > 5*time.Second {
		t.Errorf("%v", err)
	}
	waitFor(t, "the call is over", s.cancelled)
	stream := s.open(ctx, t, cc, "Watch", `{"count":1,"hang":true}`)
	if _, err := receive(s, stream, "Watch"); err != nil {
		t.Fatal(err)
	}
	if _, err := receive(s, stream, "Watch"); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("%v", err)
	}
	waitFor(t, "the stream is over", s.cancelled)
}

// TestNativeErrors: whatever goes wrong, the client gets a status that fits.
func TestNativeErrors(t *testing.T) {
	s := startShop(t)
	for name, c := range map[string]struct {
		target protocol.Handler
		limit  int
		want   codes.Code
	}{
		"nobody there": {newClient(t, "127.0.0.1:1"), 0, codes.Unavailable},
		"HTML":         {newClient(t, listen2(t, answering(200, "text/html", "<p>"))), 0, codes.Unknown},
		"404":          {newClient(t, listen2(t, answering(404, "text/html", "<p>"))), 0, codes.Unimplemented},
		"503":          {newClient(t, listen2(t, answering(503, "text/html", ""))), 0, codes.Unavailable},
		"no status":    {newClient(t, listen2(t, answering(200, contentType, frame(0, "")))), 0, codes.Internal},
		"no anything":  {newClient(t, listen2(t, answering(200, contentType, ""))), 0, codes.Internal},
		"too large":    {s.client(t), 10, codes.ResourceExhausted},
		"no route": {protocol.HandlerFunc(func(context.Context, *protocol.Request) (*protocol.Response, error) {
			return nil, protocol.NewError(404, protocol.CodeNoRoute, "no route")
		}), 0, codes.Unimplemented},
		"a bug": {protocol.HandlerFunc(func(context.Context, *protocol.Request) (*protocol.Response, error) {
			return nil, errors.New("secret")
		}), 0, codes.Internal},
		"limit": {protocol.HandlerFunc(func(context.Context, *protocol.Request) (*protocol.Response, error) {
			return nil, &protocol.Error{Status: 429, Code: protocol.CodeFlowLimited, Message: "too many", Fields: []protocol.Field{{Name: "x-limit", Value: "5"}}}
		}), 0, codes.ResourceExhausted},
	} {
		cc := dial(t, listen2(t, edge(Native{MessageLimit: c.limit}.Filter(c.target))))
		_, err := s.invoke(t.Context(), cc, "Echo", `{"name":"0123456789"}`)
		if status.Code(err) != c.want || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// An answer that is too large, behind one that is not.
	cc := dial(t, listen2(t, edge(Native{MessageLimit: 100}.Filter(s.client(t)))))
	stream := s.open(t.Context(), t, cc, "Watch", `{"count":3,"size":50}`)
	for range 3 {
		if _, err := receive(s, stream, "Watch"); err != nil {
			t.Fatal(err)
		}
	}
	stream = s.open(t.Context(), t, cc, "Watch", `{"count":3,"size":500}`)
	if _, err := receive(s, stream, "Watch"); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("%v", err)
	}
}

// TestNativeBrokenStream: a server that dies in the middle is a status too.
func TestNativeBrokenStream(t *testing.T) {
	s := startShop(t)
	cc := dial(t, listen2(t, edge(Native{}.Filter(s.client(t)))))
	stream := s.open(t.Context(), t, cc, "Watch", `{"count":1,"hang":true}`)
	if _, err := receive(s, stream, "Watch"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the stream hangs", s.hanging)
	s.server.Stop()
	if _, err := receive(s, stream, "Watch"); status.Code(err) != codes.Unavailable {
		t.Errorf("%v", err)
	}
}

// TestNativeLeavesOthers alone.
func TestNativeLeavesOthers(t *testing.T) {
	url := listen(t, Native{}.Filter(answering(404, "text/html", "no")))
	if r := ask(t, "POST", url, "x", "Content-Type", "application/json"); r.status != 404 || r.body != "no" {
		t.Errorf("%+v", r)
	}
	if r := ask(t, "POST", url, "x", "Content-Type", "application/grpc-web"); r.status != 404 {
		t.Errorf("%+v", r)
	}
}

// webCall makes a gRPC-Web call and takes the answer apart.
func webCall(t *testing.T, url, mediaType string, message []byte, header ...string) (messages []string, trailers string, r reply) {
	t.Helper()
	body := frame(0, string(message))
	text := strings.Contains(mediaType, "text")
	if text {
		body = base64.StdEncoding.EncodeToString([]byte(body))
	}
	r = ask(t, "POST", url, body, append([]string{"Content-Type", mediaType, "X-Grpc-Web", "1"}, header...)...)
	raw := []byte(r.body)
	if text {
		var err error
		if raw, err = protocol.ReadAll(nil, &textBody{body: protocol.NewBytes(raw)}, 64<<20); err != nil {
			t.Fatalf("%v: %s", err, r.body)
		}
	}
	var e envelopes
	e.reset(protocol.NewBytes(raw), 64<<20)
	for {
		flags, m, err := e.next()
		if errors.Is(err, io.EOF) {
			return messages, trailers, r
		}
		if err != nil || trailers != "" {
			t.Fatalf("%v: %q", err, raw)
		}
		if flags == flagTrailers {
			trailers = string(m)
		} else {
			messages = append(messages, string(m))
		}
	}
}

func (s *shop) encoded(t testing.TB, method, in string) []byte {
	t.Helper()
	m := dynamicpb.NewMessage(s.method(method).Input())
	if err := protojson.Unmarshal([]byte(in), m); err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWeb(t *testing.T) {
	s := startShop(t)
	url := listen(t, edge(Web(s.client(t)))) + "/test.shop.v1.Shop/"
	for _, mediaType := range []string{"application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text", "application/grpc-web-text+proto"} {
		for _, size := range []int{0, 1, 2, 3, 100, 200 << 10} {
			in := s.encoded(t, "Echo", fmt.Sprintf(`{"name":"%s"}`, strings.Repeat("x", size)))
			messages, trailers, r := webCall(t, url+"Echo", mediaType, in)
			if r.status != 200 || len(messages) != 1 || messages[0] != string(in) || r.header.Get("Content-Type") != mediaType {
				t.Errorf("%s: %d %v", mediaType, r.status, r.header)
			}
			if trailers != "x-after: sale\r\ngrpc-status: 0\r\n" && trailers != "grpc-status: 0\r\nx-after: sale\r\n" &&
				trailers != "grpc-status: 0\r\ngrpc-message: \r\nx-after: sale\r\n" {
				t.Errorf("%s: %q", mediaType, trailers)
			}
		}
		messages, trailers, _ := webCall(t, url+"Watch", mediaType, s.encoded(t, "Watch", `{"count":5,"size":3,"failWith":10}`))
		if len(messages) != 5 || !strings.Contains(trailers, "grpc-status: 10\r\n") || !strings.Contains(trailers, "grpc-message: the stream failed\r\n") {
			t.Errorf("%s: %d messages, %q", mediaType, len(messages), trailers)
		}
		_, trailers, r := webCall(t, url+"Fail", mediaType, s.encoded(t, "Fail", `{"code":5,"message":"no"}`))
		if got := r.header.Get("Grpc-Status") + trailers; !strings.Contains(got, "5") {
			t.Errorf("%s: %q", mediaType, got)
		}
		_, trailers, r = webCall(t, url+"Hang", mediaType, s.encoded(t, "Hang", `{}`), "grpc-timeout", "50m")
		if got := r.header.Get("Grpc-Status") + trailers; !strings.Contains(got, "4") || r.header.Get("Content-Type") != mediaType {
			t.Errorf("%s: %q %v", mediaType, got, r.header)
		}
		_, trailers, r = webCall(t, url+"Watch", mediaType, s.encoded(t, "Watch", `{"count":2,"hang":true}`), "grpc-timeout", "200m")
		if r.status != 200 || !strings.Contains(trailers, "grpc-status: 4\r\n") {
			t.Errorf("%s: %d %q", mediaType, r.status, trailers)
		}
	}
	r := ask(t, "POST", url+"Echo", "not base64!", "Content-Type", "application/grpc-web-text")
	if r.header.Get("Grpc-Status") != "3" {
		t.Errorf("%+v", r)
	}
	html := listen(t, edge(Web(newClient(t, listen2(t, answering(503, "text/html", "<p>"))))))
	if r := ask(t, "POST", html+"/a/b", frame(0, ""), "Content-Type", webType); r.status != 200 || r.header.Get("Grpc-Status") != "14" || r.body != "" {
		t.Errorf("%+v", r)
	}
	if r := ask(t, "POST", html+"/a/b", "", "Content-Type", "text/plain"); r.status != 503 {
		t.Errorf("%+v", r)
	}
}

func TestConnectProto(t *testing.T) {
	s := startShop(t)
	url := listen(t, edge(Connect(1<<20)(s.client(t)))) + "/test.shop.v1.Shop/"
	header := []string{"Content-Type", "application/proto", "Connect-Protocol-Version", "1"}
	in := s.encoded(t, "Echo", `{"name":"abc"}`)
	r := ask(t, "POST", url+"Echo", string(in), header...)
	if r.status != 200 || r.body != string(in) || r.header.Get("Content-Type") != "application/proto" || r.header.Get("X-Shop") != "open" ||
		r.header.Get("Trailer-X-After") != "sale" || r.header.Get("Grpc-Status") != "" {
		t.Errorf("%d %q %v", r.status, r.body, r.header)
	}
	if r := ask(t, "POST", url+"Echo", zipped(string(in)), append(header, "Content-Encoding", "gzip")...); r.status != 200 || r.body != string(in) {
		t.Errorf("%d %q", r.status, r.body)
	}
	if r := ask(t, "POST", url+"Echo", "", header...); r.status != 200 || r.body != "" {
		t.Errorf("%d %q", r.status, r.body)
	}
	r = ask(t, "POST", url+"Fail", string(s.encoded(t, "Fail", `{"code":5,"message":"no","details":true}`)), header...)
	if r.status != 404 || !strings.HasPrefix(r.body, `{"code":"not_found","message":"no","details":[{"type":"google.rpc.BadRequest","value":"`) ||
		r.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s", r.status, r.body)
	}
	r = ask(t, "POST", url+"Hang", "", append(header, "Connect-Timeout-Ms", "50")...)
	if r.status != 504 || !strings.HasPrefix(r.body, `{"code":"deadline_exceeded","message":"`) { // the server may say it first
		t.Errorf("%d %s", r.status, r.body)
	}
	for _, c := range []struct {
		header [2]string
		body   string
		want   string
	}{
		{[2]string{"Connect-Timeout-Ms", "x"}, "", `"code":"invalid_argument"`},
		{[2]string{"Content-Encoding", "br"}, "", `"code":"unimplemented"`},
		{[2]string{"X-A", "b"}, strings.Repeat("x", 2<<20), `"code":"resource_exhausted"`},
		{[2]string{"X-A", "b"}, "\xff", `"code":"internal"`},
	} {
		if r := ask(t, "POST", url+"Echo", c.body, append(header, c.header[0], c.header[1])...); r.status == 200 || !strings.Contains(r.body, c.want) {
			t.Errorf("%v: %d %s", c.header, r.status, r.body)
		}
	}
	if r := ask(t, "POST", listen(t, edge(Connect(0)(newClient(t, listen2(t, answering(404, "text/html", "")))))), "", header...); !strings.Contains(r.body, `"code":"unimplemented"`) {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestConnectJSON is the transcoder's, with Connect's errors.
func TestConnectJSON(t *testing.T) {
	s := startShop(t)
	c := s.client(t)
	_, h := transcoder(t, Route{}, protos, c)
	url := listen(t, edge(Connect(0)(h))) + "/test.shop.v1.Shop/"
	header := []string{"Content-Type", "application/json", "Connect-Protocol-Version", "1"}
	r := ask(t, "POST", url+"Echo", `{"name":"a"}`, header...)
	if r.status != 200 || r.body != `{"name":"a"}` || r.header.Get("Trailer-X-After") != "sale" {
		t.Errorf("%d %s %v", r.status, r.body, r.header)
	}
	r = ask(t, "POST", url+"Fail", `{"code":8,"message":"no"}`, header...)
	if r.status != 429 || r.body != `{"code":"resource_exhausted","message":"no"}` {
		t.Errorf("%d %s", r.status, r.body)
	}
	r = ask(t, "POST", url+"Echo", `{"name":5}`, header...)
	if r.status != 400 || r.body != `{"code":"invalid_argument","message":"body.name: expected string, got 5"}` {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r = ask(t, "POST", url+"Hang", `{}`, append(header, "Connect-Timeout-Ms", "50")...); r.status != 504 || !strings.Contains(r.body, "deadline_exceeded") {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func (s *shop) open(ctx context.Context, t testing.TB, cc *grpc.ClientConn, name, in string) grpc.ClientStream {
	t.Helper()
	stream, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.shop.v1.Shop/"+name)
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(s.method(name).Input())
	if err := protojson.Unmarshal([]byte(in), m); err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(m); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	return stream
}

func receive(s *shop, stream grpc.ClientStream, name string) (string, error) {
	m := dynamicpb.NewMessage(s.method(name).Output())
	if err := stream.RecvMsg(m); err != nil {
		return "", err
	}
	return asJSON(m), nil
}

// TestMeterAllowsWhatFits at every cut.
func TestMeterAllowsWhatFits(t *testing.T) {
	wire := []byte(frame(0, "12345") + frame(0, "") + frame(1, "123"))
	for n := 1; n <= len(wire); n++ {
		m := meter{limit: 5}
		for rest := wire; len(rest) > 0; {
			k := min(n, len(rest))
			if err := m.pass(rest[:k]); err != nil {
				t.Fatalf("by %d: %v", n, err)
			}
			rest = rest[k:]
		}
	}
	l := &limited{Body: protocol.NewBytes(bytes.Clone(wire)), meter: meter{limit: 4}}
	if _, _, err := l.Next(); protocol.AsError(err).Code != protocol.CodeBodyTooLarge {
		t.Errorf("%v", err)
	}
	if !l.Rewind() || l.meter.have != 0 || l.meter.left != 0 {
		t.Error("it does not begin anew")
	}
}
