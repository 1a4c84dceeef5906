package grpc

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
)

// TestStreamForms has the three ways of writing a stream of answers, whole, empty, and broken off.
func TestStreamForms(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	const failed = `{"type":"about:blank","title":"Not Found","status":404,"code":"upstream_exception","detail":"the stream failed","grpcStatus":"NOT_FOUND"}`
	for _, c := range []struct{ accept, mediaType, query, want string }{
		{"", "application/x-ndjson", "count=2&size=1", "{\"name\":\"w\"}\n{\"name\":\"w\",\"count\":1}\n"},
		{"*/*", "application/x-ndjson", "count=0", ""},
		{"text/html, application/x-ndjson;q=0.5", "application/x-ndjson", "count=1&size=1&fail_with=5", "{\"name\":\"w\"}\n{\"error\":" + failed + "}\n"},
		{"text/event-stream", "text/event-stream", "count=2&size=1", "data: {\"name\":\"w\"}\n\ndata: {\"name\":\"w\",\"count\":1}\n\n"},
		{"text/event-stream", "text/event-stream", "count=0", ""},
		{"Text/Event-Stream", "text/event-stream", "count=1&size=1&fail_with=5", "data: {\"name\":\"w\"}\n\nevent: error\ndata: " + failed + "\n\n"},
		{"application/json", "application/json", "count=2&size=1", "[{\"name\":\"w\"},\n{\"name\":\"w\",\"count\":1}]\n"},
		{"application/json", "application/json", "count=0", "[]\n"},
	} {
		r := ask(t, "GET", url+"/v1/watch?"+c.query, "", "Accept", c.accept)
		if r.status != 200 || r.body != c.want || r.header.Get("Content-Type") != c.mediaType {
			t.Errorf("%s, %s: %d %s\n%s\nwant\n%s", c.accept, c.query, r.status, r.header.Get("Content-Type"), r.body, c.want)
		}
	}
	// An array that is not whole must not look whole.
	for range 10 {
		r, err := try(t.Context(), "GET", url+"/v1/watch?count=2000&size=100&fail_with=5", "", "Accept", "application/json")
		if err == nil && r.status == 200 || strings.HasSuffix(r.body, "]\n") {
			t.Errorf("%d octets, %v: %.300s", len(r.body), err, r.body)
		}
	}
	// What fails before the first message is an ordinary error.
	for _, accept := range []string{"", "text/event-stream", "application/json"} {
		r := ask(t, "GET", url+"/v1/watch?fail_with=5", "", "Accept", accept)
		if r.status != 404 || r.body != failed+"\n" {
			t.Errorf("%s: %d %s", accept, r.status, r.body)
		}
	}
}

// TestStreamIsNotHeld shows that messages arrive as they are made, while the stream goes on.
func TestStreamIsNotHeld(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	for _, accept := range []string{"", "text/event-stream", "application/json"} {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", url+"/v1/watch?count=3&size=1&hang=true", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		tr := &http.Transport{}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(resp.Body)
		for n := 0; n < 2; {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("%s: %v", accept, err)
			}
			if strings.Contains(line, `"name"`) {
				n++
			}
		}
		waitFor(t, "the stream hangs", s.hanging)
		cancel() // the client leaves, and the server learns it
		if err := waitFor(t, "the stream is cancelled", s.cancelled); err != context.Canceled {
			t.Errorf("%s: %v", accept, err)
		}
		resp.Body.Close()
		tr.CloseIdleConnections()
	}
}

// TestBackPressure shows that a reader who does not read stops the server.
func TestBackPressure(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	nc, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	const count, size = 800, 64 << 10 // 52 MB
	fmt.Fprintf(nc, "GET /v1/watch?count=%d&size=%d HTTP/1.1\r\nHost: x\r\n\r\n", count, size)
	last, same := int64(-1), 0
	for end := time.Now().Add(patience); same < 20; {
		if n := s.sent.Load(); n > 0 && n == last {
			same++
		} else {
			last, same = n, 0
		}
		if time.Now().After(end) {
			t.Fatal("the server never stopped")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if last > count/2 {
		t.Errorf("%d messages were sent to nobody", last)
	}
	// It goes on when it is read.
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || n < count*size {
		t.Errorf("%d octets, %v", n, err)
	}
}

// TestClientStream sends values in every form.
func TestClientStream(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	for _, c := range []struct{ mediaType, body, want string }{
		{"application/x-ndjson", "{\"name\":\"a\"}\n{\"name\":\"b\"}\n", `{"items":[{"name":"a"},{"name":"b"}],"total":"2"}`},
		{"application/x-ndjson", "\r\n{\"name\":\"a\"}\r\n\r\n{\"name\":\"}{\\\"\"}", `{"items":[{"name":"a"},{"name":"}{\""}],"total":"2"}`},
		{"", `{"name":"a"}{"name":"b"}`, `{"items":[{"name":"a"},{"name":"b"}],"total":"2"}`},
		{"application/json", ` [ {"name":"a"} , {"tags":["x","]"]}] `, `{"items":[{"name":"a"},{"tags":["x","]"]}],"total":"2"}`},
		{"application/json", `{"name":"a"}`, `{"items":[{"name":"a"}],"total":"1"}`},
		{"application/json", `[]`, `{}`},
		{"", ``, `{}`},
		{"application/x-ndjson", strings.Repeat("{}\n", 5000), `{"items":[{},{},{}],"total":"5000"}`},
	} {
		r := ask(t, "POST", url+"/v1/collect", c.body, "Content-Type", c.mediaType)
		if r.status != 200 {
			t.Errorf("%.50s: %d %s", c.body, r.status, r.body)
			continue
		}
		want := c.want
		if want == "{}" {
			want = `{}`
		}
		if r.body != want {
			t.Errorf("%.50s: %s", c.body, r.body)
		}
	}
	for _, c := range []struct{ mediaType, body, path string }{
		{"", "{}\n{\"count\":\"x\"}\n{}", "body[1].count"},
		{"", "{}\n{\"count\":", "body[1]"},
		{"", "{}\n]", "body[1]"},
		{"", "{} 5", "body[1]"},
		{"", "{} [", "body[1]"},
		{"", "{} \"", "body[1]"},
		{"application/json", "[{},]", "body[1]"},
		{"application/json", "[{} {}]", "body[1]"},
		{"application/json", "[,{}]", "body[0]"},
		{"application/json", "[{}", "body[1]"},
		{"application/json", "[{}] {}", "body[1]"},
		{"application/json", "[{},,{}]", "body[1]"},
	} {
		r := ask(t, "POST", url+"/v1/collect", c.body, "Content-Type", c.mediaType)
		var got struct{ Path, Code string }
		if err := json.Unmarshal([]byte(r.body), &got); err != nil || r.status != 400 || got.Path != c.path || got.Code != "bad_argument" {
			t.Errorf("%s: %d %s", c.body, r.status, r.body)
		}
	}
	small := s.gateway(t, Route{MessageLimit: 4000})
	if r := ask(t, "POST", small+"/v1/collect", strings.Repeat(`{"name":"`+strings.Repeat("x", 900)+`"} `, 20)); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := ask(t, "POST", small+"/v1/collect", `{} {"name":"`+strings.Repeat("x", 4000)+`"}`); r.status != 413 {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestBidi talks in both directions at once.
func TestBidi(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	out, in := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/v1/chat", out)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	said := make(chan string)
	go func() {
		for text := range said {
			_, _ = io.WriteString(in, text)
		}
		in.Close()
	}()
	said <- "{\"name\":\"0\"}\n"
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for i := range 100 {
		line, err := lines.ReadString('\n')
		if err != nil || line != fmt.Sprintf("{\"name\":\"%d\"}\n", i) {
			t.Fatalf("%d: %q, %v", i, line, err)
		}
		said <- fmt.Sprintf("{\"name\":\"%d\"}\n", i+1)
	}
	said <- "{\"name\":\"fail\"}\n"
	close(said)
	rest, err := io.ReadAll(lines)
	if err != nil || !strings.Contains(string(rest), `"grpcStatus":"ABORTED"`) {
		t.Errorf("%q, %v", rest, err)
	}
}

// TestBadLineInStream tells of it within the answer, which has begun.
func TestBadLineInStream(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	out, in := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/v1/chat", out)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	go func() { _, _ = io.WriteString(in, "{}\n") }()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if line, err := lines.ReadString('\n'); line != "{}\n" {
		t.Fatalf("%q %v", line, err)
	}
	go func() { _, _ = io.WriteString(in, "{\"count\":\"x\"}\n"); in.Close() }()
	rest, _ := io.ReadAll(lines)
	if !strings.Contains(string(rest), `{"error":{`) || !strings.Contains(string(rest), "body[1].count: expected int32") {
		t.Errorf("%q", rest)
	}
}

// TestDeadlines: the client's timeout reaches the server, and the gateway's own ends the call.
func TestDeadlines(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	if r := ask(t, "POST", url+"/test.shop.v1.Shop/Echo", "{}", "grpc-timeout", "5S"); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if left := time.Duration(s.deadline.Load()); left <= 0 || left > 5*time.Second {
		t.Errorf("the server has %v", left)
	}
	if ask(t, "POST", url+"/test.shop.v1.Shop/Echo", "{}"); s.deadline.Load() != 0 {
		t.Errorf("the server has %v", time.Duration(s.deadline.Load()))
	}
	begun := time.Now()
	r := ask(t, "POST", url+"/test.shop.v1.Shop/Hang", "{}", "grpc-timeout", "50m")
	if r.status != 504 || time.Since(begun) > 5*time.Second {
		t.Errorf("%d %s after %v", r.status, r.body, time.Since(begun))
	}
	waitFor(t, "the call is over", s.cancelled)
	r = ask(t, "GET", url+"/v1/watch?count=1&hang=true", "", "grpc-timeout", "300m")
	if r.status != 200 || !strings.Contains(r.body, `{"error":`) || !strings.Contains(r.body, "504") {
		t.Errorf("%d %s", r.status, r.body)
	}
	waitFor(t, "the stream is over", s.cancelled)
	if r := ask(t, "POST", url+"/test.shop.v1.Shop/Echo", "{}", "grpc-timeout", "5"); r.status != 400 {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestCancelUnary: a client that leaves ends the call.
func TestCancelUnary(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = try(ctx, "POST", url+"/test.shop.v1.Shop/Hang", "{}")
	}()
	waitFor(t, "the call has begun", s.hanging)
	cancel()
	if err := waitFor(t, "the call is over", s.cancelled); err != context.Canceled {
		t.Errorf("%v", err)
	}
	<-done
}

// TestLargeMessages go both ways, up to the limit.
func TestLargeMessages(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{MessageLimit: 10 << 20})
	for _, size := range []int{1000, 100 << 10, 9 << 20} {
		in := `{"name":"` + strings.Repeat("x", size) + `"}`
		if r := ask(t, "POST", url+"/test.shop.v1.Shop/Echo", in); r.status != 200 || r.body != in {
			t.Errorf("%d octets: %d, %d octets", size, r.status, len(r.body))
		}
	}
	small := s.gateway(t, Route{MessageLimit: 10000})
	r := ask(t, "GET", small+"/v1/watch?count=1&size=20000", "")
	if !strings.Contains(r.body, "larger than this route allows") {
		t.Errorf("%d %.300s", r.status, r.body)
	}
}

// TestCompressedAnswers reads what a server compresses, and bounds what comes out.
func TestCompressedAnswers(t *testing.T) {
	compress := func(ctx context.Context) {
		if err := grpc.SetSendCompressor(ctx, gzip.Name); err != nil {
			t.Errorf("compress: %v", err)
		}
	}
	s := startShop(t, grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		compress(ctx)
		return h(ctx, req)
	}), grpc.ChainStreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
		compress(stream.Context())
		return h(srv, stream)
	}))
	url := s.gateway(t, Route{MessageLimit: 200 << 10})
	for range 5 {
		in := `{"name":"` + strings.Repeat("x", 100<<10) + `"}`
		if r := ask(t, "POST", url+"/test.shop.v1.Shop/Echo", in); r.status != 200 || r.body != in {
			t.Errorf("%d, %.300s", r.status, r.body)
		}
		if r := ask(t, "GET", url+"/v1/watch?count=10&size=100000", ""); r.status != 200 || len(r.body) < 1000000 || strings.Contains(r.body, "error") {
			t.Errorf("%d, %d octets", r.status, len(r.body))
		}
		// 2 MB that are 2 KB on the wire.
		if r := ask(t, "GET", url+"/v1/watch?count=1&size=2000000", ""); !strings.Contains(r.body, "larger than this route allows") {
			t.Errorf("%d, %.300s", r.status, r.body)
		}
	}
}
