package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// newBody makes an inbound over text that arrives step bytes at a time, as if a head lay before it in the buffer.
func newBody(text string, step int, kind bodyKind, length int64, trailer *protocol.Header) *inbound {
	pool := new(socket.Pool)
	st := &stream{sock: socket.New(&scripted{rest: []byte(text), step: step}), pool: pool}
	st.head = pool.Get(socket.Small)
	st.data, st.r, st.w = st.head, 500, 500
	b := new(inbound)
	b.start(st, memorySource{}, kind, length, 0, trailer)
	return b
}

func TestFixedBody(t *testing.T) {
	b := newBody("hello world", 4, bodyFixed, 5, nil)
	if b.Buffered() != 0 || b.Done() {
		t.Error("nothing has come yet")
	}
	var got string
	for more := true; more; {
		var piece []byte
		var err error
		if piece, more, err = b.Next(); err != nil {
			t.Fatal(err)
		}
		got += string(piece)
	}
	if got != "hello" || !b.Done() || !b.whole() {
		t.Errorf("%q", got)
	}
	if !b.Rewind() {
		t.Fatal("all lies in the window")
	}
	if b.Buffered() != 5 || b.seen.Load() != 0 {
		t.Errorf("%d buffered after Rewind", b.Buffered())
	}
	if all, err := protocol.ReadAll(nil, b, 100); string(all) != "hello" || err != nil {
		t.Errorf("again %q %v", all, err)
	}
	if string(b.st.window()) != " wo" {
		t.Errorf("left %q", b.st.window())
	}
}

func TestChunkedBody(t *testing.T) {
	const text = "5\r\nhello\r\n3;x=y\r\n wo\r\n0\r\nA: b\r\n\r\nnext"
	for step := 1; step <= len(text); step++ {
		var trailer protocol.Header
		b := newBody(text, step, bodyChunked, 0, &trailer)
		for range 2 {
			all, err := protocol.ReadAll(nil, b, 100)
			if err != nil || string(all) != "hello wo" || trailer.Len() != 1 || trailer.Get("a") != "b" {
				t.Fatalf("step %d: %q, %v, %d trailers", step, all, err, trailer.Len())
			}
			if !b.Rewind() {
				t.Fatalf("step %d: cannot rewind", step)
			}
			if trailer.Len() != 0 {
				t.Fatal("trailers stay")
			}
		}
	}
	b := newBody(text, len(text), bodyChunked, 0, new(protocol.Header))
	if _, more, _ := b.Next(); !more || b.Buffered() != 3 {
		t.Errorf("%d buffered", b.Buffered())
	}
	if piece, more, err := b.Next(); string(piece) != " wo" || more || err != nil {
		t.Errorf("the last piece does not say so: %q %v %v", piece, more, err)
	}
}

func TestLargeBodiesCannotBeRewound(t *testing.T) {
	text := strings.Repeat("x", 100_000)
	b := newBody(text, 30_000, bodyFixed, int64(len(text)), nil)
	if !b.Rewind() {
		t.Error("nothing was handed over yet")
	}
	if _, _, err := b.Next(); err != nil {
		t.Fatal(err)
	}
	if b.Rewind() {
		t.Error("rewound what has left the window")
	}
	if all, err := protocol.ReadAll(nil, b, 1<<20); err != nil || b.seen.Load() != 100_000 {
		t.Errorf("%d %v", len(all), err)
	}
}

func TestTruncatedBodies(t *testing.T) {
	for _, b := range []*inbound{
		newBody("hell", 10, bodyFixed, 5, nil),
		newBody("5\r\nhell", 10, bodyChunked, 0, nil),
		newBody("5\r\nhello\r\n0\r\n", 100, bodyChunked, 0, nil),
	} {
		if _, err := protocol.ReadAll(nil, b, 100); !errors.Is(err, errTruncated) {
			t.Errorf("%v", err)
		}
		if b.whole() || b.Rewind() {
			t.Error("looks whole")
		}
	}
	b := newBody("hell", 10, bodyClose, 0, nil)
	if all, err := protocol.ReadAll(nil, b, 100); string(all) != "hell" || err != nil {
		t.Errorf("until close: %q %v", all, err)
	}
}

func TestCloseWakesNext(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		woken := make(chan error, 1)
		go func() {
			_, _, err := req.Body.Next()
			woken <- err
		}()
		busy := &req.Body.(*inbound).busy
		eventually(t, "Next to begin", busy.Load)
		_ = req.Body.Close()
		if err := <-woken; !errors.Is(err, protocol.ErrBodyClosed) {
			t.Errorf("woke with %v", err)
		}
		if _, _, err := req.Body.Next(); !errors.Is(err, protocol.ErrBodyClosed) {
			t.Errorf("after Close: %v", err)
		}
		return reply(req, 200, "x"), nil
	})
	c := dialRaw(t, addr)
	for range 20 {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
		c.wantStatus(200, "")
		c.send("hello") // is drained
	}
}

// TestKeptStringsAreRubbish is the reason for poisoning: what a Handler keeps without copying shows.
func TestKeptStringsAreRubbish(t *testing.T) {
	if !protocol.Poisoning {
		t.Skip("only under the race detector")
	}
	var kept []string
	s, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		kept = append(kept, req.Path, req.Header.Get("x"), req.Arena.Concat("a", "b"))
		return reply(req, 200, "x"), nil
	})
	c := dialRaw(t, addr)
	c.send("GET /first HTTP/1.1\r\nHost: a\r\nX: secret\r\n\r\n" + "GET /other HTTP/1.1\r\nHost: a\r\n\r\n")
	c.wantStatus(200, "")
	c.wantStatus(200, "")
	c.send("GET /third HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	c.wantStatus(200, "")
	c.wantClosed()
	if err := s.Shutdown(context.Background()); err != nil { // and only then may the memory be looked at
		t.Fatal(err)
	}
	for _, s := range kept[:3] {
		if s == "/first" || s == "secret" || s == "ab" {
			t.Errorf("%q is still there", s)
		}
	}
}

// TestOutboundWrites checks what one message costs in writes: small ones one, large ones one writev for each piece.
func TestOutboundWrites(t *testing.T) {
	for name, tc := range map[string]struct {
		body    protocol.Body
		length  int64
		chunked bool
		want    string
		writes  int
	}{
		"small":         {protocol.NewBytes([]byte("hello")), 5, false, "head:hello", 1},
		"small chunked": {protocol.NewBytes([]byte("hello")), -1, true, "head:5\r\nhello\r\n0\r\n\r\n", 1},
		"empty chunked": {protocol.NewBytes(nil), -1, true, "head:0\r\n\r\n", 1},
		"until close":   {protocol.NewBytes([]byte("hello")), -1, false, "head:hello", 1},
		"large":         {protocol.NewBytes(make([]byte, 10_000)), 10_000, false, "head:" + string(make([]byte, 10_000)), 2},
		"large chunked": {protocol.NewBytes(make([]byte, 10_000)), -1, true, "head:2710\r\n" + string(make([]byte, 10_000)) + "\r\n0\r\n\r\n", 3},
	} {
		t.Run(name, func(t *testing.T) {
			sink := new(sink)
			o := outbound{sock: socket.New(sink), pool: new(socket.Pool)}
			o.begin()
			o.str("head:")
			readErr, writeErr := o.body(tc.body, tc.length, tc.chunked, nil)
			if readErr != nil || writeErr != nil || sink.String() != tc.want || sink.writes != tc.writes {
				t.Errorf("%v %v, %d writes, %.60q", readErr, writeErr, sink.writes, sink.String())
			}
			if o.buf != nil {
				t.Error("holds a buffer")
			}
		})
	}
	for _, length := range []int64{4, 6} {
		o := outbound{sock: socket.New(new(sink)), pool: new(socket.Pool)}
		o.begin()
		if readErr, _ := o.body(protocol.NewBytes([]byte("hello")), length, false, nil); !errors.Is(readErr, errLengthMismatch) {
			t.Errorf("announced %d: %v", length, readErr)
		}
	}
}

// sink is a connection that keeps what is written; without a socket below, each piece is a write of its own.
type sink struct {
	net.Conn
	strings.Builder
	writes int
}

func (s *sink) Write(p []byte) (int, error)      { s.writes++; return s.Builder.Write(p) }
func (s *sink) SetWriteDeadline(time.Time) error { return nil }

var _ io.Writer = (*sink)(nil)
