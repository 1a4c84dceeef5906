package http2

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// pieces is a body of given pieces and an error at the end. It is at hand, or it is not.
type pieces struct {
	list   []string
	err    error
	panics bool
	ready  bool
}

func (b *pieces) Next() ([]byte, bool, error) {
	if len(b.list) == 0 {
		if b.panics {
			panic("body")
		}
		return nil, false, b.err
	}
	piece := b.list[0]
	b.list = b.list[1:]
	return []byte(piece), !b.over(), nil
}

func (b *pieces) Buffered() int {
	if !b.ready {
		return 0
	}
	if len(b.list) == 0 {
		return 1 // so that Next is called for the error
	}
	return len(b.list[0])
}

// over reports whether the last piece is the end, and not an error behind it.
func (b *pieces) over() bool { return len(b.list) == 0 && b.err == nil && !b.panics }

func (b *pieces) Done() bool   { return b.ready && b.over() }
func (b *pieces) Rewind() bool { return false }
func (b *pieces) Close() error { return nil }

// TestUploadFailures is a table of what can be wrong with a request's body, at hand and not: what the caller is told, and
// that the instance sees a reset and never a request that looks whole.
func TestUploadFailures(t *testing.T) {
	ends := make(chan string, 10)
	addr := script(t, func(p *peer) {
		p.greetClient()
		for {
			f, payload := p.next()
			switch {
			case f.kind == frameHeaders:
				p.fields(payload)
			case f.kind == frameRSTStream:
				ends <- ErrCode(payload[3]).String()
			case f.kind == frameData && f.has(flagEndStream):
				ends <- "whole"
				p.answer(f.stream, "ok")
			}
		}
	})
	c := newClient(t, ClientConfig{Address: addr})
	for _, tc := range []struct {
		name   string
		body   pieces
		length int64
		code   protocol.Code
	}{
		{"all right", pieces{list: []string{"a", "b"}}, 2, ""},
		{"all right, of unknown length", pieces{list: []string{"a", "b"}}, -1, ""},
		{"shorter than announced", pieces{list: []string{"a", "b"}}, 3, protocol.CodeInternal},
		{"longer than announced", pieces{list: []string{"a", "b"}}, 1, protocol.CodeInternal},
		{"too large for the listener", pieces{list: []string{"a"}, err: protocol.ErrBodyTooLarge}, -1, protocol.CodeBodyTooLarge},
		{"too slow for the listener", pieces{list: []string{"a"}, err: errBodyTimeout}, -1, protocol.CodeRequestTimeout},
		{"closed", pieces{list: []string{"a"}, err: protocol.ErrBodyClosed}, -1, protocol.CodeClientGone},
		{"an error of a filter", pieces{list: []string{"a"}, err: errors.New("filter")}, -1, protocol.CodeInternal},
		{"an error at once", pieces{err: errors.New("filter")}, -1, protocol.CodeInternal},
	} {
		for _, ready := range []bool{true, false} {
			t.Run(fmt.Sprint(tc.name, " ", ready), func(t *testing.T) {
				body := tc.body
				body.ready = ready
				req := newRequest("POST", "/", nil)
				req.Body, req.ContentLength = &body, tc.length
				resp, err := c.Serve(t.Context(), req)
				if err == nil {
					_, err = protocol.ReadAll(nil, resp.Body, 100)
					resp.Close()
				}
				end, want := <-ends, "CANCEL"
				if tc.code == "" {
					want = "whole"
				}
				if end != want {
					t.Errorf("the instance saw %s", end)
				}
				if tc.code == "" {
					if err != nil {
						t.Errorf("%v", err)
					}
				} else if e := protocol.AsError(err); e.Code != tc.code || e.NotSent {
					t.Errorf("%v", err)
				}
			})
		}
	}
	t.Run("a panic of a filter", func(t *testing.T) {
		req := newRequest("POST", "/", nil)
		req.Body, req.ContentLength = &pieces{list: []string{"a"}, panics: true}, protocol.UnknownLength
		_, err := c.Serve(t.Context(), req)
		if e := protocol.AsError(err); e.Code != protocol.CodeInternal || !strings.Contains(e.Error(), "panic: body") {
			t.Errorf("%v", err)
		}
		<-ends
	})
	if n := c.Stats(); n.Dialled != 1 || n.Streams != 0 {
		t.Errorf("%+v", n)
	}
}

// TestErrorsTellWhere shows that the cause names the instance and the step, and the message for the client does not.
func TestErrorsTellWhere(t *testing.T) {
	addr := script(t, func(p *peer) {
		p.greetClient()
		id, _ := p.awaitRequest()
		p.frame(frameRSTStream, 0, id, u32(uint32(InternalError))).flush()
		p.drainPeer()
	})
	c := newClient(t, ClientConfig{Address: addr})
	_, err := c.Serve(t.Context(), newRequest("POST", "/", nil))
	e := protocol.AsError(err)
	text := e.Cause.Error()
	for _, want := range []string{addr, "read head", "INTERNAL_ERROR"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
	if strings.Contains(e.Message, "127.0.0.1") {
		t.Errorf("the client is told %q", e.Message)
	}
	var reset *resetError
	if !errors.As(err, &reset) || reset.code != InternalError {
		t.Errorf("%v is no reset", err)
	}
	for err, want := range map[error]string{
		&messageError{"rubbish"}:      "rubbish",
		&bodyError{errors.New("why")}: "send body: why",
	} {
		if err.Error() != want {
			t.Errorf("%v", err)
		}
	}
}

// TestTrailersOfFilters shows that trailers that must not be sent are left out, and that the message still ends.
func TestTrailersOfFilters(t *testing.T) {
	addr := proxyTo(t, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		b, err := protocol.ReadAll(nil, req.Body, 100)
		if err != nil {
			return nil, err
		}
		resp := reply(req, 200, string(b)+req.Trailer.Get("x-good"))
		resp.Trailer.Add("bad name", "x")
		return resp, nil
	})
	c := newClient(t, ClientConfig{Address: addr})
	for name, want := range map[string]string{"X-Good": "bodyyes", "x bad": "body"} {
		for _, ready := range []bool{true, false} {
			req := newRequest("POST", "/", nil)
			req.Body, req.ContentLength = &pieces{list: []string{"bo", "dy"}, ready: ready}, protocol.UnknownLength
			req.Trailer.Add(name, "yes")
			if status, got := call(t, c, req); status != 200 || got != want {
				t.Errorf("%s: %d %q, want %q", name, status, got, want)
			}
		}
	}
}

// TestWorkersAreSwept shows that goroutines for uploads do not stay for ever.
func TestWorkersAreSwept(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, echoHandler)
	c := newClient(t, ClientConfig{Address: addr})
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			req := newRequest("POST", "/", nil)
			req.Body, req.ContentLength = &pieces{list: []string{"a", "b"}}, protocol.UnknownLength
			call(t, c, req)
		})
	}
	wg.Wait()
	idle := func() int {
		c.workers.mu.Lock()
		defer c.workers.mu.Unlock()
		return len(c.workers.idle)
	}
	if idle() == 0 {
		t.Error("no worker is kept warm")
	}
	c.Sweep(protocol.Now())
	if idle() == 0 {
		t.Error("a warm worker was ended at once")
	}
	c.Sweep(protocol.Now() + 2*workerIdle)
	if n := idle(); n != 0 {
		t.Errorf("%d workers are left", n)
	}
	// Ended ones are replaced.
	req := newRequest("POST", "/", nil)
	req.Body, req.ContentLength = &pieces{list: []string{"a", "b"}}, protocol.UnknownLength
	if _, got := call(t, c, req); got != "ab" {
		t.Errorf("got %q", got)
	}
}

// stubborn is a listener whose first calls fail.
type stubborn struct {
	net.Listener
	mu    sync.Mutex
	fails []error
}

func (l *stubborn) Accept() (net.Conn, error) {
	l.mu.Lock()
	if len(l.fails) > 0 {
		err := l.fails[0]
		l.fails = l.fails[1:]
		l.mu.Unlock()
		return nil, err
	}
	l.mu.Unlock()
	return l.Listener.Accept()
}

// passing is an error that passes, like having no descriptors left.
type passing struct{}

func (passing) Error() string   { return "too many open files" }
func (passing) Timeout() bool   { return false }
func (passing) Temporary() bool { return true }

// TestAcceptFailures goes on after failures that pass, and returns those that do not.
func TestAcceptFailures(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, &stubborn{Listener: ln, fails: []error{passing{}, passing{}}}, ServerConfig{}, hello)
	p := dialPeer(t, ln.Addr().String())
	p.greetServer()
	p.get(1)

	ln, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	s := NewServer(protocol.HandlerFunc(hello), ServerConfig{})
	if err := s.Serve(&stubborn{Listener: ln, fails: []error{passing{}, broken}}); !errors.Is(err, broken) {
		t.Errorf("Serve returned %v", err)
	}
	// Shutdown does not wait for the end of a pause.
	ln, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fails := make([]error, 1000)
	for i := range fails {
		fails[i] = passing{}
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(&stubborn{Listener: ln, fails: fails}) }()
	time.Sleep(50 * time.Millisecond)
	begun := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil || time.Since(begun) > 2*time.Second {
		t.Errorf("Serve returned %v after %v", err, time.Since(begun))
	}
}

// TestBrokenHandshake closes what does not speak TLS on a TLS port.
func TestBrokenHandshake(t *testing.T) {
	cert, _ := certificate(t)
	s, addr := startTLS(t, cert, hello)
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_, _ = nc.Write([]byte(preface))
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	for b := make([]byte, 100); err == nil; {
		_, err = nc.Read(b)
	}
	if isTimeout(err) {
		t.Error("the connection stays open")
	}
	eventually(t, "the connection is gone", func() bool { return s.Stats().Open == 0 })
}

// TestCloseTwice shows that the ends of things may be repeated.
func TestCloseTwice(t *testing.T) {
	s := NewServer(protocol.HandlerFunc(hello), ServerConfig{Name: "x"})
	c := NewClient(ClientConfig{Address: "127.0.0.1:1"})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Serve(t.Context(), newRequest("GET", "/", nil)); protocol.AsError(err).Code != protocol.CodeUpstreamConnect {
		t.Errorf("%v", err)
	}
	c.Warm()
	c.Sweep(protocol.Now())
	if n := c.Stats(); n.Open != 0 || n.Dialled != 0 {
		t.Errorf("%+v", n)
	}
}

// TestAnswersOfOthersWhileOneIsSlow shows that a response that nobody reads holds its own stream up and no other, on the
// upstream's side.
func TestAnswersOfOthersWhileOneIsSlow(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, sized)
	c := newClient(t, ClientConfig{Address: addr, StreamWindow: 64 << 10, ConnWindow: 1 << 20})
	slow, err := c.Serve(t.Context(), newRequest("GET", "/10000000", nil))
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if _, got := call(t, c, newRequest("GET", "/100000", nil)); len(got) != 100000 {
			t.Fatalf("%d octets", len(got))
		}
	}
	got, err := protocol.ReadAll(nil, slow.Body, 1<<30)
	if err != nil || len(got) != 10000000 {
		t.Errorf("%d octets, %v", len(got), err)
	}
	if err := slow.Close(); err != nil {
		t.Error(err)
	}
	if n := c.Stats(); n.Dialled != 1 {
		t.Errorf("%+v", n)
	}
}
