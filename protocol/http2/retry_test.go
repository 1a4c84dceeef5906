package http2

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// listenerBody lets a test have a body as it comes from a client of ours: in pieces, in this room's own type.
func listenerBody(t *testing.T, c *Client, send func(p *peer), serve func(ctx context.Context, req *protocol.Request) (*protocol.Response, error)) string {
	t.Helper()
	_, addr := startServer(t, ServerConfig{}, serve)
	p := dialPeer(t, addr)
	p.greetServer()
	send(p)
	p.flush()
	for {
		f, payload := p.next()
		switch {
		case f.kind == frameHeaders:
			if s := p.fields(payload)[":status"]; s != "200" {
				return s
			}
		case f.kind == frameData && f.stream == 1:
			return string(payload)
		case f.kind == frameRSTStream:
			return "reset"
		}
	}
}

// refusing is a server that refuses the first stream that it sees and echoes bodies and x-sum of the others, on whatever
// connection they come. It refuses when it may, if when is not nil.
func refusing(t *testing.T, when <-chan struct{}) string {
	var refused atomic.Bool
	return script(t, func(p *peer) {
		p.greetClient()
		id := uint32(0)
		if !refused.Swap(true) {
			id, _ = p.awaitRequest()
			if when != nil {
				<-when
			}
			p.frame(frameRSTStream, 0, id, u32(uint32(RefusedStream))).flush()
		}
		bodies, sum := map[uint32]string{}, ""
		for {
			f, payload := p.next()
			switch f.kind {
			case frameHeaders:
				sum = p.fields(payload)["x-sum"]
			case frameData:
				bodies[f.stream] += string(payload)
			}
			if f.has(flagEndStream) && f.stream != id && (f.kind == frameHeaders || f.kind == frameData) {
				b := bodies[f.stream]
				p.answer(f.stream, fmt.Sprint(len(b), b[:min(5, len(b))], sum))
			}
		}
	})
}

// watchedBody tells when its second piece has been handed over, or is waited for.
type watchedBody struct {
	protocol.Body
	calls  int
	second chan struct{}
	once   sync.Once
}

func (b *watchedBody) tell() { b.once.Do(func() { close(b.second) }) }

func (b *watchedBody) Next() ([]byte, bool, error) {
	if b.calls++; b.calls == 2 {
		if b.Buffered() == 0 {
			b.tell()
		}
		defer b.tell()
	}
	return b.Body.Next()
}

// TestRewind shows which bodies of listeners can be sent again: those of which one piece at most has been handed over.
func TestRewind(t *testing.T) {
	for _, c := range []struct {
		name string
		send func(p *peer)
		want string
	}{
		{"whole and at hand", func(p *peer) { p.open(1).frame(frameData, flagEndStream, 1, []byte("hello world")) }, "11hello"},
		{"with trailers", func(p *peer) {
			p.open(1).frame(frameData, 0, 1, []byte("hello world")).frame(frameHeaders, endBoth, 1, p.block("x-sum", "1"))
		}, "11hello1"},
		{"one piece now, the rest never", func(p *peer) {
			p.open(1).frame(frameData, 0, 1, []byte("hello world"))
		}, "503"}, // its reader waits already for the rest, and has to be woken
		{"more than one piece", func(p *peer) {
			p.open(1)
			for range 12 {
				p.frame(frameData, 0, 1, make([]byte, 16<<10))
			}
			p.frame(frameData, flagEndStream, 1, []byte("!"))
		}, "503"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var second chan struct{}
			if c.want == "503" {
				second = make(chan struct{}) // before it, the request could be sent again
			}
			cl := newClient(t, ClientConfig{Address: refusing(t, second)})
			got := listenerBody(t, cl, c.send, func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
				if second != nil {
					req.Body = &watchedBody{Body: req.Body, second: second}
				}
				return cl.Serve(ctx, req)
			})
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestBodyMethods looks at a listener's body through its interface.
func TestBodyMethods(t *testing.T) {
	step := make(chan struct{})
	got := listenerBody(t, nil, func(p *peer) {
		p.open(1).frame(frameData, 0, 1, []byte("first")).flush()
		<-step
		p.frame(frameData, flagEndStream, 1, []byte("second")).flush()
		<-step
	}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		var log []string
		note := func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) }
		b := req.Body
		note("%d %v %v", b.Buffered(), b.Done(), b.Rewind())
		piece, more, err := b.Next()
		note("%s %v %v %d", piece, more, err, b.Buffered())
		note("%v %d", b.Rewind(), b.Buffered())
		piece, more, err = b.Next()
		note("%s %v %v", piece, more, err)
		step <- struct{}{}
		piece, more, err = b.Next()
		note("%s %v %v %v %v", piece, more, err, b.Done(), b.Rewind())
		piece, more, err = b.Next()
		note("%q %v %v", piece, more, err)
		_ = b.Close()
		_ = b.Close()
		_, _, err = b.Next()
		note("%v %d", err, b.Buffered())
		step <- struct{}{}
		return reply(req, 200, strings.Join(log, ", ")), nil
	})
	const want = "5 false true, first true <nil> 0, true 5, first true <nil>, second false <nil> true false, \"\" false <nil>, body is closed 0"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestCloseWakesReader is the promise of docs/design/0001: Body.Close, from any goroutine, makes a blocked Next return.
func TestCloseWakesReader(t *testing.T) {
	got := listenerBody(t, nil, func(p *peer) { p.open(1) }, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		var wg sync.WaitGroup
		var err error
		wg.Go(func() { _, _, err = req.Body.Next() })
		time.Sleep(20 * time.Millisecond)
		_ = req.Body.Close()
		wg.Wait()
		return reply(req, 200, fmt.Sprint(err)), nil
	})
	if got != protocol.ErrBodyClosed.Error() {
		t.Errorf("got %q", got)
	}
}

// TestExpectContinue lets the service decide whether the client shall send, over every kind of border.
func TestExpectContinue(t *testing.T) {
	for _, c := range []struct {
		name string
		h    protocol.HandlerFunc
		want []string
	}{
		{"the body is wanted", func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
			b, err := protocol.ReadAll(nil, req.Body, 100)
			if err != nil {
				return nil, err
			}
			return reply(req, 200, string(b)), nil
		}, []string{"100", "200"}},
		{"the body is not wanted", func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
			return reply(req, 403, ""), nil
		}, []string{"403", "RST 1 NO_ERROR"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, upstream := startServer(t, ServerConfig{}, c.h)
			cl := newClient(t, ClientConfig{Address: upstream})
			_, addr := startServer(t, ServerConfig{}, cl.Serve)
			p := dialPeer(t, addr)
			p.greetServer()
			p.open(1, "expect", "100-continue").flush()
			for i, want := range c.want {
				p.expect(want)
				if want == "100" {
					p.frame(frameData, flagEndStream, 1, []byte("body")).flush()
				}
				_ = i
			}
		})
	}
	_, addr := startServer(t, ServerConfig{}, hello)
	p := dialPeer(t, addr)
	p.greetServer()
	p.open(1, "expect", "the unexpected").flush()
	p.expect("417")
}

// TestHead shows what becomes of answers that have no content whatever their fields say.
func TestHead(t *testing.T) {
	_, upstream := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp := req.NewResponse()
		if _, err := fmt.Sscanf(req.Path, "/%d/%d", &resp.Status, &resp.ContentLength); err != nil {
			return nil, err
		}
		return resp, nil
	})
	c := newClient(t, ClientConfig{Address: upstream})
	_, addr := startServer(t, ServerConfig{}, c.Serve)
	p := dialPeer(t, addr)
	p.greetServer()
	id := uint32(1)
	for _, tc := range []struct{ method, path, status, length string }{
		{"HEAD", "/200/1234", "200", "1234"},
		{"HEAD", "/200/-1", "200", ""},
		{"HEAD", "/200/0", "200", "0"},
		{"GET", "/304/1234", "304", "1234"},
		{"GET", "/304/0", "304", ""},
		{"GET", "/204/0", "204", ""},
		{"GET", "/204/5", "204", ""},
		{"GET", "/200/0", "200", "0"},
		{"GET", "/500/0", "500", "0"},
	} {
		p.frame(frameHeaders, endBoth, id, p.request(tc.method, tc.path)).flush()
		f, payload := p.until(frameHeaders, id)
		if h := p.fields(payload); h[":status"] != tc.status || h["content-length"] != tc.length || !f.has(flagEndStream) {
			t.Errorf("%s %s: %v, end %v", tc.method, tc.path, h, f.has(flagEndStream))
		}
		id += 2
	}
}
