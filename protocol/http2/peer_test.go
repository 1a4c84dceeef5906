package http2

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
)

// peer speaks frames over a socket, right or wrong as a test wants it.
type peer struct {
	t    testing.TB
	nc   net.Conn
	in   *bufio.Reader
	out  []byte
	enc  *hpack.Encoder
	dec  *hpack.Decoder
	head []byte
}

func newPeer(t testing.TB, nc net.Conn) *peer {
	p := &peer{t: t, nc: nc, in: bufio.NewReaderSize(nc, 64<<10), dec: hpack.NewDecoder(4096, nil)}
	p.enc = hpack.NewEncoder(headWriter{p})
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	return p
}

type headWriter struct{ p *peer }

func (w headWriter) Write(b []byte) (int, error) {
	w.p.head = append(w.p.head, b...)
	return len(b), nil
}

// dialPeer is a client's side.
func dialPeer(t testing.TB, addr string) *peer {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { nc.Close() })
	return newPeer(t, nc)
}

// greetServer sends a client's preface and waits until both ends' settings are acknowledged.
func (p *peer) greetServer(settings ...setting) {
	p.t.Helper()
	p.out = appendSettings(append(p.out, preface...), settings...)
	p.flush()
	for acked := false; !acked; {
		f, _ := p.next()
		switch {
		case f.kind == frameSettings && f.has(flagAck):
			acked = true
		case f.kind == frameSettings:
			p.out = appendFrame(p.out, 0, frameSettings, flagAck, 0)
			p.flush()
		}
	}
}

// flush sends what was appended to out. An error does not matter here: the other end may have had enough.
func (p *peer) flush() {
	_, _ = p.nc.Write(p.out)
	p.out = p.out[:0]
}

// frame appends one frame.
func (p *peer) frame(kind frameType, flags uint8, stream uint32, payload []byte) *peer {
	p.out = append(appendFrame(p.out, len(payload), kind, flags, stream), payload...)
	return p
}

// block encodes fields, which alternate between names and values.
func (p *peer) block(fields ...string) []byte {
	p.head = nil
	for i := 0; i < len(fields); i += 2 {
		_ = p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return p.head
}

// request is the block of a simple request with further fields.
func (p *peer) request(method, path string, fields ...string) []byte {
	return p.block(append([]string{":method", method, ":scheme", "http", ":path", path, ":authority", "example.org"}, fields...)...)
}

func (p *peer) buffered() bool { return p.in.Buffered() >= frameHeaderLen }

// read reads one frame.
func (p *peer) read() (frame, []byte, error) {
	var h [frameHeaderLen]byte
	if _, err := io.ReadFull(p.in, h[:]); err != nil {
		return frame{}, nil, err
	}
	f := parseFrame(h[:])
	payload := make([]byte, f.length)
	_, err := io.ReadFull(p.in, payload)
	return f, payload, err
}

// next reads one frame, which must come. In a benchmark its payload costs nothing.
func (p *peer) next() (frame, []byte) {
	p.t.Helper()
	if _, ok := p.t.(*testing.B); ok {
		b, err := p.in.Peek(frameHeaderLen)
		if err != nil {
			p.t.Fatal(err)
		}
		f := parseFrame(b)
		_, _ = p.in.Discard(frameHeaderLen + f.length)
		return f, nil
	}
	f, payload, err := p.read()
	if err != nil {
		p.t.Fatalf("read frame: %v", err)
	}
	return f, payload
}

// until reads until a frame of a kind on a stream comes. PING and SETTINGS are answered on the way.
func (p *peer) until(kind frameType, stream uint32) (frame, []byte) {
	p.t.Helper()
	for {
		f, payload := p.next()
		switch {
		case f.kind == kind && f.stream == stream:
			return f, payload
		case f.kind == framePing && !f.has(flagAck):
			p.frame(framePing, flagAck, 0, payload).flush()
		case f.kind == frameSettings && !f.has(flagAck):
			p.frame(frameSettings, flagAck, 0, nil).flush()
		case f.kind == frameGoAway:
			p.t.Fatalf("GOAWAY: %s: %s", ErrCode(binary.BigEndian.Uint32(payload[4:])), payload[8:])
		case f.kind == frameRSTStream && f.stream == stream:
			p.t.Fatalf("RST_STREAM: %s", ErrCode(binary.BigEndian.Uint32(payload)))
		case f.kind == frameHeaders:
			p.fields(payload)
		}
	}
}

// fields decodes a block.
func (p *peer) fields(block []byte) map[string]string {
	p.t.Helper()
	list, err := p.dec.DecodeFull(block)
	if err != nil {
		p.t.Fatalf("decode block: %v", err)
	}
	m := map[string]string{}
	for _, f := range list {
		m[f.Name] = f.Value
	}
	return m
}

// outcome is how the other end reacts: "GOAWAY PROTOCOL_ERROR", "RST 1 CANCEL", "200" of a HEADERS, "closed", "pong".
func (p *peer) outcome() string {
	p.t.Helper()
	for {
		f, payload, err := p.read()
		if err != nil {
			return "closed"
		}
		switch {
		case f.kind == frameGoAway:
			return "GOAWAY " + ErrCode(binary.BigEndian.Uint32(payload[4:])).String()
		case f.kind == frameRSTStream:
			return fmt.Sprintf("RST %d %s", f.stream, ErrCode(binary.BigEndian.Uint32(payload)))
		case f.kind == frameHeaders:
			if s := p.fields(payload)[":status"]; s != "" {
				return s
			}
		case f.kind == framePing && f.has(flagAck):
			return "pong"
		}
	}
}
