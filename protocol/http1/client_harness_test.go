package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// patience bounds every wait of these tests; nothing waits that long unless it is broken.
const patience = 20 * time.Second

// rawUpstream is an instance whose connections follow a script, so that a test decides every byte and its moment.
type rawUpstream struct {
	t        testing.TB
	ln       net.Listener
	accepted atomic.Int32
	scripts  sync.WaitGroup
	mu       sync.Mutex
	conns    map[net.Conn]bool
	done     chan struct{}
	stopped  bool
}

// startUpstream listens on loopback and runs script for each connection. A connection is closed when its script ends.
func startUpstream(t testing.TB, script func(p *rawPeer)) *rawUpstream {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	u := &rawUpstream{t: t, ln: ln, conns: make(map[net.Conn]bool), done: make(chan struct{})}
	u.scripts.Add(1)
	go u.accept(script)
	t.Cleanup(u.stop)
	return u
}

func (u *rawUpstream) accept(script func(p *rawPeer)) {
	defer u.scripts.Done()
	for {
		c, err := u.ln.Accept()
		if err != nil {
			return
		}
		u.mu.Lock()
		if u.stopped {
			u.mu.Unlock()
			c.Close()
			return
		}
		u.conns[c] = true
		u.scripts.Add(1)
		u.mu.Unlock()
		index := int(u.accepted.Add(1))
		go func() {
			defer u.scripts.Done()
			defer func() {
				u.mu.Lock()
				delete(u.conns, c)
				u.mu.Unlock()
				c.Close()
			}()
			script(&rawPeer{t: u.t, Conn: c, index: index, r: bufio.NewReader(c), done: u.done})
		}()
	}
}

func (u *rawUpstream) stop() {
	u.ln.Close()
	u.mu.Lock()
	if !u.stopped {
		u.stopped = true
		close(u.done)
	}
	for c := range u.conns {
		c.Close()
	}
	u.mu.Unlock()
	u.scripts.Wait()
}

func (u *rawUpstream) addr() string { return u.ln.Addr().String() }

// rawPeer is the instance's end of one connection.
type rawPeer struct {
	t testing.TB
	net.Conn
	index int           // 1 for the first connection that was accepted
	done  chan struct{} // closed when the test ends
	r     *bufio.Reader
}

// readHead returns the next request head with its blank line, or "" when the client closed.
func (p *rawPeer) readHead() string {
	var head strings.Builder
	for {
		line, err := p.r.ReadString('\n')
		head.WriteString(line)
		if err != nil {
			return ""
		}
		if line == "\r\n" {
			return head.String()
		}
	}
}

// readRequest returns the next request, its body decoded. ok is false when the client closed.
func (p *rawPeer) readRequest() (head, body string, ok bool) {
	head = p.readHead()
	if head == "" {
		return "", "", false
	}
	lower := strings.ToLower(head)
	if strings.Contains(lower, "\r\ntransfer-encoding: chunked\r\n") {
		body, ok = p.readChunked()
		return head, body, ok
	}
	if _, rest, found := strings.Cut(lower, "\r\ncontent-length: "); found {
		text, _, _ := strings.Cut(rest, "\r\n")
		n, err := strconv.Atoi(text)
		if err != nil {
			p.t.Errorf("upstream got Content-Length %q", text)
			return head, "", false
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(p.r, b); err != nil {
			return head, "", false
		}
		return head, string(b), true
	}
	return head, "", true
}

// readChunked returns the decoded body followed by the trailer section as it came, if there was one.
func (p *rawPeer) readChunked() (body string, ok bool) {
	var out strings.Builder
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			return out.String(), false
		}
		n, err := strconv.ParseUint(strings.TrimRight(line, "\r\n"), 16, 32)
		if err != nil {
			p.t.Errorf("upstream got chunk size %q", line)
			return out.String(), false
		}
		if n == 0 {
			break
		}
		if _, err := io.CopyN(&out, p.r, int64(n)); err != nil {
			return out.String(), false
		}
		if crlf, err := p.r.ReadString('\n'); err != nil || crlf != "\r\n" {
			return out.String(), false
		}
	}
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			return out.String(), false
		}
		if line == "\r\n" {
			return out.String(), true
		}
		out.WriteString("\n" + strings.TrimRight(line, "\r\n"))
	}
}

func (p *rawPeer) send(text string) { _, _ = io.WriteString(p.Conn, text) }

// trickle sends text byte by byte, each in a segment of its own.
func (p *rawPeer) trickle(text string) {
	for i := range len(text) {
		if _, err := p.Write([]byte{text[i]}); err != nil {
			return
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// reset makes the connection end with RST instead of FIN.
func (p *rawPeer) reset() {
	_ = p.Conn.(*net.TCPConn).SetLinger(0)
	p.Close()
}

// waitClosed returns when the client has closed, and what it sent before.
func (p *rawPeer) waitClosed() []byte {
	_ = p.SetReadDeadline(time.Now().Add(patience))
	rest, err := io.ReadAll(p.r)
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		p.t.Errorf("the client did not close its connection")
	}
	return rest
}

// answering is a script that gives every request the same answer.
func answering(answer string) func(p *rawPeer) {
	return func(p *rawPeer) {
		for {
			if _, _, ok := p.readRequest(); !ok {
				return
			}
			p.send(answer)
		}
	}
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// startClient returns a client of the instance, closed with the test.
func startClient(t testing.TB, cfg ClientConfig) *Client {
	t.Helper()
	c := NewClient(cfg)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close client: %v", err)
		}
	})
	return c
}

// newRequest makes a request as a listener would. header holds names and values in turn.
func newRequest(method, target string, header ...string) *protocol.Request {
	req := &protocol.Request{Method: method, Scheme: "http", Authority: "client.example", Version: protocol.HTTP11}
	req.Path, req.RawQuery, req.HasQuery = strings.Cut(target, "?")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	req.Start = protocol.Now()
	return req
}

func withBody(req *protocol.Request, body protocol.Body, length int64) *protocol.Request {
	req.Body, req.ContentLength = body, length
	return req
}

// answer is what an exchange left, copied out of it.
type answer struct {
	status   int
	header   string // "name: value" lines
	body     string
	trailer  string
	err      error // of Serve
	bodyErr  error // of Body.Next
	failure  error // of Response.Err at its end
	length   int64
	upgraded bool
}

// exchange sends req and reads the answer to its end.
func exchange(ctx context.Context, c *Client, req *protocol.Request) answer {
	resp, err := c.Serve(ctx, req)
	if err != nil {
		return answer{err: err}
	}
	return readAnswer(resp)
}

// readAnswer reads resp to its end and closes it.
func readAnswer(resp *protocol.Response) answer {
	a := answer{status: resp.Status, length: resp.ContentLength, upgraded: resp.Upgrade, header: headerText(&resp.Header)}
	var body []byte
	if resp.Body != nil {
		for {
			piece, more, err := resp.Body.Next()
			body = append(body, piece...)
			if err != nil {
				a.bodyErr = err
				break
			}
			if !more {
				break
			}
		}
	}
	a.body, a.trailer = string(body), headerText(&resp.Trailer)
	_ = resp.Close()
	a.failure = resp.Err()
	return a
}

func headerText(h *protocol.Header) string {
	var b strings.Builder
	for i := range h.Len() {
		b.WriteString(h.At(i).Name + ": " + h.At(i).Value + "\n")
	}
	return b.String()
}

// mustOK fails unless a is a whole 200.
func mustOK(t testing.TB, a answer, body string) {
	t.Helper()
	if a.err != nil || a.bodyErr != nil || a.status != 200 || a.body != body {
		t.Fatalf("got status %d, body %.200q, errors %v, %v; want 200 %.200q", a.status, a.body, a.err, a.bodyErr, body)
	}
}

// mustFail fails unless err is a *protocol.Error of that status and code.
func mustFail(t testing.TB, err error, status int, code protocol.Code) *protocol.Error {
	t.Helper()
	var e *protocol.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want %d %s", err, status, code)
	}
	if e.Status != status || e.Code != code {
		t.Fatalf("got error %v, want %d %s", err, status, code)
	}
	return e
}

// eventually waits until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// leaving is an exchange's context whose client can leave, as a listener's is.
type leaving struct {
	context.Context
	gone  atomic.Bool
	asked atomic.Int32
}

func newLeaving() *leaving { return &leaving{Context: context.Background()} }

func (l *leaving) leave() { l.gone.Store(true) }

func (l *leaving) Err() error {
	l.asked.Add(1)
	if l.gone.Load() {
		return context.Canceled
	}
	return nil
}

// pipedBody is a request body that a test feeds while it is being sent.
type pipedBody struct {
	pieces chan []byte
	closed chan struct{}
	once   sync.Once
	fail   atomic.Pointer[error]
	inNext atomic.Int32
	done   atomic.Bool
}

func newPipedBody() *pipedBody {
	return &pipedBody{pieces: make(chan []byte), closed: make(chan struct{})}
}

// feed hands over one piece; it reports false when the body was given up.
func (b *pipedBody) feed(piece string) bool {
	select {
	case b.pieces <- []byte(piece):
		return true
	case <-b.closed:
		return false
	}
}

// end says that the last piece has been fed.
func (b *pipedBody) end() { close(b.pieces) }

// breakOff makes the next Next fail.
func (b *pipedBody) breakOff(err error) {
	b.fail.Store(&err)
	close(b.pieces)
}

func (b *pipedBody) Next() ([]byte, bool, error) {
	b.inNext.Add(1)
	defer b.inNext.Add(-1)
	select {
	case piece, ok := <-b.pieces:
		if !ok {
			if err := b.fail.Load(); err != nil {
				return nil, false, *err
			}
			b.done.Store(true)
			return nil, false, nil
		}
		return piece, true, nil
	case <-b.closed:
		return nil, false, protocol.ErrBodyClosed
	}
}

func (b *pipedBody) Buffered() int { return 0 }
func (b *pipedBody) Done() bool    { return b.done.Load() }
func (b *pipedBody) Rewind() bool  { return false }
func (b *pipedBody) Close() error  { b.once.Do(func() { close(b.closed) }); return nil }
