package http1

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// parsed is a request as the fuzz targets see it.
type parsed struct {
	method, target, host string
	header               []protocol.Field
	length               int64
	chunked              bool
	size                 int
}

// parseWhole runs the server's steps over a head in memory. ok is false when it is refused or not complete.
func parseWhole(b []byte) (p parsed, ok bool) {
	var line requestLine
	var hd head
	var req protocol.Request
	hd.reset()
	n, err := parseRequestLine(b, 1<<14, &line)
	if err != nil || n == 0 {
		return p, false
	}
	fields := fieldParser{pos: n, maxCount: 128}
	done, err := fields.parse(b, &req.Header, &hd)
	if err != nil || !done || hd.framing(line.version) != nil {
		return p, false
	}
	if err := line.resolve(&req, &hd); err != nil {
		return p, false
	}
	p = parsed{method: req.Method, target: line.target, host: req.Authority, length: hd.contentLength, chunked: hd.chunked, size: fields.pos}
	for i := range req.Header.Len() {
		p.header = append(p.header, *req.Header.At(i))
	}
	return p, true
}

// FuzzRequestHead compares with net/http: whatever we accept it accepts too, and frames it the same way.
func FuzzRequestHead(f *testing.F) {
	for _, s := range []string{
		browserHead,
		"POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET http://a/ HTTP/1.0\r\nConnection: x, close\r\nTE: trailers\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nExpect: 100-continue\r\nUpgrade: a, b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n y\r\n\r\n", "\r\nGET / HTTP/1.1\nHost: a\n\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := parseWhole(b)
		if !ok {
			return
		}
		// Arriving by drops makes no difference.
		var req protocol.Request
		var hd head
		hd.reset()
		var line requestLine
		n := 0
		fields := fieldParser{maxCount: 128}
		for i := 1; i <= p.size; i++ {
			if n == 0 {
				var err error
				if n, err = parseRequestLine(b[:i], 1<<14, &line); err != nil {
					t.Fatalf("refused in drops: %v", err)
				}
				fields.pos = n
			}
			if n > 0 {
				if done, err := fields.parse(b[:i], &req.Header, &hd); err != nil || done != (i == p.size) {
					t.Fatalf("in drops: %v %v at %d of %d", done, err, i, p.size)
				}
			}
		}
		theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			t.Fatalf("accepted, net/http says %v:\n%q", err, b)
		}
		if theirs.Method != p.method || theirs.RequestURI != p.target || theirs.Host != p.host && p.host != "" {
			t.Fatalf("%+v, net/http %s %s %s", p, theirs.Method, theirs.RequestURI, theirs.Host)
		}
		chunked := len(theirs.TransferEncoding) == 1 && theirs.TransferEncoding[0] == "chunked"
		length := max(p.length, 0)
		if p.chunked {
			length = -1
		}
		if chunked != p.chunked || theirs.ContentLength != length {
			t.Fatalf("framed as %+v, by net/http as %v %d", p, theirs.TransferEncoding, theirs.ContentLength)
		}
		for _, field := range p.header {
			if strings.ContainsAny(field.Value, "\r\n\x00") || strings.Trim(field.Value, " \t") != field.Value {
				t.Fatalf("value %q", field.Value)
			}
		}
	})
}

// memorySource lets a body be read from memory: what does not lie in the window never comes.
type memorySource struct{}

func (memorySource) beforeRead() (socket.Limit, error) { return socket.Limit{}, nil }
func (memorySource) readFailed(err error) error        { return err }
func (memorySource) malformed(err error) error         { return err }

// scripted is a connection that hands over parts of a text, each by one Read.
type scripted struct {
	net.Conn
	rest []byte
	step int
}

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.rest[:min(s.step, len(s.rest))])
	s.rest = s.rest[n:]
	return n, nil
}
func (s *scripted) SetReadDeadline(time.Time) error { return nil }

// FuzzChunked decodes a chunked body that arrives in parts of any size and compares with net/http's decoder.
func FuzzChunked(f *testing.F) {
	for _, s := range []string{
		"5\r\nhello\r\n0\r\n\r\n", "5;a=b\r\nhello\r\na\r\n0123456789\r\n0\r\nX: y\r\n\r\n", "0\r\n\r\n", "fffffffffffffffff\r\n",
		"5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n", "1\nx\n0\n\n", "5 \r\nhello\r\n", "00000000000000005\r\nhello\r\n0\r\n\r\n",
	} {
		f.Add([]byte(s), 3)
		f.Add([]byte(s), 1000)
	}
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		if step < 1 || step > 1<<16 {
			return
		}
		var pool socket.Pool
		sock := socket.New(&scripted{rest: b, step: step})
		st := stream{sock: sock, pool: &pool}
		st.head = pool.Get(socket.Small)
		st.data = st.head
		var trailer protocol.Header
		var body inbound
		body.start(&st, memorySource{}, bodyChunked, 0, 1<<20, &trailer)
		got, err := protocol.ReadAll(nil, &body, 1<<21)
		if err != nil {
			return
		}
		if !body.whole() {
			t.Fatal("ended without being whole")
		}
		rest := append(append([]byte(nil), st.window()...), sock.NetConn().(*scripted).rest...)
		const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		r := bufio.NewReader(io.MultiReader(strings.NewReader(head), bytes.NewReader(b)))
		theirs, err := http.ReadRequest(r)
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(theirs.Body)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q: decoded %q, net/http %q %v", b, got, want, err)
		}
		left, _ := io.ReadAll(r)
		if !bytes.Equal(left, rest) {
			t.Fatalf("%q: ends before %q, net/http before %q", b, rest, left)
		}
		for i := range trailer.Len() {
			if f := trailer.At(i); theirs.Trailer.Get(f.Name) != f.Value && len(theirs.Trailer.Values(f.Name)) < 2 && f.Name == http.CanonicalHeaderKey(f.Name) {
				t.Fatalf("trailer %s: %q, net/http %q", f.Name, f.Value, theirs.Trailer.Get(f.Name))
			}
		}
	})
}
