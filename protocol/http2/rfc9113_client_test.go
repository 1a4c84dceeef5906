package http2

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

// clientCase is one rule of RFC 9113 as a client sees it broken or kept by its server. Stream 1 is open in both directions
// when send is called. want are the outcomes that the rule allows; a PING follows, so "pong" means that nothing was
// objected to.
type clientCase struct {
	section, rule string
	send          func(p *peer)
	want          []string
}

// head is the start of an answer on stream 1.
func (p *peer) headOf(id uint32, fields ...string) *peer {
	return p.frame(frameHeaders, flagEndHeaders, id, p.block(append([]string{":status", "200"}, fields...)...))
}

func clientCases() []clientCase {
	big := bytes.Repeat([]byte{0}, maxFrame+1)
	compression := []string{"GOAWAY COMPRESSION_ERROR"}
	return []clientCase{
		{"4.1", "frames of unknown types are ignored", func(p *peer) { p.frame(0xbe, 0xff, 0, []byte("x")).frame(0xbf, 0, 1, nil) }, accepted},
		{"4.1", "undefined flags are ignored", func(p *peer) { p.frame(framePing, 0x16, 0, make([]byte, 8)) }, accepted},
		{"4.1", "the reserved bit is ignored", func(p *peer) { p.frame(framePing, 0, 1<<31, make([]byte, 8)) }, accepted},
		{"4.2", "DATA of the largest size", func(p *peer) { p.headOf(1).frame(frameData, 0, 1, big[1:]) }, accepted},
		{"4.2", "DATA larger than SETTINGS_MAX_FRAME_SIZE", func(p *peer) { p.headOf(1).frame(frameData, 0, 1, big) }, frameSize},
		{"4.2", "HEADERS larger than SETTINGS_MAX_FRAME_SIZE", func(p *peer) { p.frame(frameHeaders, endBoth, 1, big) }, frameSize},
		{"4.3", "a block that cannot be decoded", func(p *peer) { p.frame(frameHeaders, endBoth, 1, []byte{0x80}) }, compression},
		{"4.3", "a block of a stream that is gone is decoded all the same", func(p *peer) {
			p.frame(frameRSTStream, 0, 1, u32(8)).frame(frameHeaders, endBoth, 1, []byte{0x80}).flush()
			_ = p.outcome() // STREAM_CLOSED for the head as such
		}, compression},
		{"4.3", "PRIORITY within a block", func(p *peer) {
			p.frame(frameHeaders, 0, 1, p.block(":status", "200")).frame(framePriority, 0, 1, make([]byte, 5))
		}, protocolError},
		{"5.1", "DATA on an idle stream", func(p *peer) { p.frame(frameData, 0, 99, []byte("x")) }, protocolError},
		{"5.1", "HEADERS on an idle stream", func(p *peer) { p.headOf(99) }, protocolError},
		{"5.1", "RST_STREAM on an idle stream", func(p *peer) { p.frame(frameRSTStream, 0, 99, u32(8)) }, protocolError},
		{"5.1", "WINDOW_UPDATE on an idle stream", func(p *peer) { p.frame(frameWindowUpdate, 0, 99, u32(1)) }, protocolError},
		{"5.1", "DATA on a stream that the server has ended", func(p *peer) {
			p.headOf(1).frame(frameData, flagEndStream, 1, nil).frame(frameData, 0, 1, []byte("x"))
		}, []string{"RST 1 STREAM_CLOSED"}},
		{"5.1", "HEADERS on a stream that the server has ended", func(p *peer) {
			p.headOf(1).frame(frameData, flagEndStream, 1, nil).headOf(1)
		}, []string{"RST 1 STREAM_CLOSED"}},
		{"5.1", "DATA on a stream that the server has reset", func(p *peer) {
			p.frame(frameRSTStream, 0, 1, u32(8)).frame(frameData, 0, 1, []byte("x"))
		}, []string{"RST 1 STREAM_CLOSED"}},
		{"5.1.1", "a stream of the server's own", func(p *peer) { p.headOf(2) }, protocolError},
		{"6.1", "DATA on stream 0", func(p *peer) { p.frame(frameData, 0, 0, []byte("x")) }, protocolError},
		{"6.1", "padding as long as the payload", func(p *peer) { p.headOf(1).frame(frameData, flagPadded, 1, []byte{5, 'x', 0}) }, protocolError},
		{"6.1", "padding alone", func(p *peer) { p.headOf(1).frame(frameData, flagPadded, 1, []byte{3, 0, 0, 0}) }, accepted},
		{"6.1", "DATA before the head", func(p *peer) { p.frame(frameData, 0, 1, []byte("x")) }, malformed},
		{"6.2", "HEADERS on stream 0", func(p *peer) { p.headOf(0) }, protocolError},
		{"6.2", "HEADERS with too much padding", func(p *peer) { p.frame(frameHeaders, endBoth|flagPadded, 1, []byte{9, 0x88}) }, protocolError},
		{"6.2", "padded HEADERS without a length", func(p *peer) { p.frame(frameHeaders, endBoth|flagPadded, 1, nil) }, frameSize},
		{"6.3", "PRIORITY on stream 0", func(p *peer) { p.frame(framePriority, 0, 0, make([]byte, 5)) }, protocolError},
		{"6.3", "PRIORITY is ignored", func(p *peer) { p.frame(framePriority, 0, 1, make([]byte, 5)) }, accepted},
		{"6.4", "RST_STREAM on stream 0", func(p *peer) { p.frame(frameRSTStream, 0, 0, u32(8)) }, protocolError},
		{"6.4", "RST_STREAM of five octets", func(p *peer) { p.frame(frameRSTStream, 0, 1, make([]byte, 5)) }, frameSize},
		{"6.5", "SETTINGS on a stream", func(p *peer) { p.frame(frameSettings, 0, 1, nil) }, protocolError},
		{"6.5", "SETTINGS of seven octets", func(p *peer) { p.frame(frameSettings, 0, 0, make([]byte, 7)) }, frameSize},
		{"6.5", "acknowledged SETTINGS with a payload", func(p *peer) { p.frame(frameSettings, flagAck, 0, setting6(3, 1)) }, frameSize},
		{"6.5.2", "SETTINGS_ENABLE_PUSH of 1 by a server", func(p *peer) { p.frame(frameSettings, 0, 0, setting6(settingEnablePush, 1)) }, protocolError},
		{"6.5.2", "SETTINGS_ENABLE_PUSH of 0 by a server", func(p *peer) { p.frame(frameSettings, 0, 0, setting6(settingEnablePush, 0)) }, accepted},
		{"6.5.2", "SETTINGS_INITIAL_WINDOW_SIZE of 2^31", func(p *peer) { p.frame(frameSettings, 0, 0, setting6(settingInitialWindowSize, 1<<31)) }, []string{"GOAWAY FLOW_CONTROL_ERROR"}},
		{"6.5.2", "SETTINGS_MAX_FRAME_SIZE of 0", func(p *peer) { p.frame(frameSettings, 0, 0, setting6(settingMaxFrameSize, 0)) }, protocolError},
		{"6.5.2", "SETTINGS_ENABLE_CONNECT_PROTOCOL of 1 and then 0 (RFC 8441)", func(p *peer) {
			p.frame(frameSettings, 0, 0, append(setting6(settingEnableConnect, 1), setting6(settingEnableConnect, 0)...))
		}, protocolError},
		{"6.5.2", "unknown settings are ignored", func(p *peer) { p.frame(frameSettings, 0, 0, setting6(0xff, 1)) }, accepted},
		{"6.6", "PUSH_PROMISE", func(p *peer) { p.frame(framePushPromise, flagEndHeaders, 1, append(u32(2), p.request("GET", "/")...)) }, protocolError},
		{"6.7", "PING on a stream", func(p *peer) { p.frame(framePing, 0, 1, make([]byte, 8)) }, protocolError},
		{"6.7", "PING of nine octets", func(p *peer) { p.frame(framePing, 0, 0, make([]byte, 9)) }, frameSize},
		{"6.8", "GOAWAY on a stream", func(p *peer) { p.frame(frameGoAway, 0, 1, u32(0, 0)) }, protocolError},
		{"6.8", "GOAWAY of seven octets", func(p *peer) { p.frame(frameGoAway, 0, 0, make([]byte, 7)) }, frameSize},
		{"6.8", "GOAWAY leaves the streams below it alone", func(p *peer) { p.frame(frameGoAway, 0, 0, u32(1, 0)) }, accepted},
		{"6.9", "WINDOW_UPDATE of five octets", func(p *peer) { p.frame(frameWindowUpdate, 0, 0, make([]byte, 5)) }, frameSize},
		{"6.9", "WINDOW_UPDATE of nothing, of the connection", func(p *peer) { p.frame(frameWindowUpdate, 0, 0, u32(0)) }, protocolError},
		{"6.9", "WINDOW_UPDATE of nothing, of a stream", func(p *peer) { p.frame(frameWindowUpdate, 0, 1, u32(0)) }, malformed},
		{"6.9.1", "the connection's window over 2^31-1", func(p *peer) { p.frame(frameWindowUpdate, 0, 0, u32(maxWindow)) }, []string{"GOAWAY FLOW_CONTROL_ERROR"}},
		{"6.9.1", "a stream's window over 2^31-1", func(p *peer) { p.frame(frameWindowUpdate, 0, 1, u32(maxWindow)) }, []string{"RST 1 FLOW_CONTROL_ERROR"}},
		{"6.9.1", "DATA over the stream's window", func(p *peer) {
			p.headOf(1)
			for range 9 {
				p.frame(frameData, 0, 1, make([]byte, 8<<10))
			}
		}, []string{"RST 1 FLOW_CONTROL_ERROR"}},
		{"6.10", "CONTINUATION without a block", func(p *peer) { p.frame(frameContinuation, flagEndHeaders, 1, nil) }, protocolError},
		{"6.10", "CONTINUATION on stream 0", func(p *peer) { p.frame(frameHeaders, 0, 1, nil).frame(frameContinuation, flagEndHeaders, 0, nil) }, protocolError},
		{"6.10", "a block in pieces", func(p *peer) {
			b := p.block(":status", "200", "a", "b")
			p.frame(frameHeaders, 0, 1, b[:1]).frame(frameContinuation, 0, 1, nil).frame(frameContinuation, flagEndHeaders, 1, b[1:])
		}, accepted},
		{"8.1", "interim heads", func(p *peer) { p.frame(frameHeaders, flagEndHeaders, 1, p.block(":status", "103")).headOf(1) }, accepted},
		{"8.1", "an interim head that ends the stream", func(p *peer) { p.frame(frameHeaders, endBoth, 1, p.block(":status", "103")) }, malformed},
		{"8.1", "a second head without END_STREAM", func(p *peer) { p.headOf(1).headOf(1) }, malformed},
		{"8.1", "trailers", func(p *peer) { p.headOf(1).frame(frameHeaders, endBoth, 1, p.block("a", "b")) }, accepted},
		{"8.1", ":status in trailers", func(p *peer) { p.headOf(1).frame(frameHeaders, endBoth, 1, p.block(":status", "200")) }, malformed},
		{"8.1.1", "more DATA than content-length", func(p *peer) { p.headOf(1, "content-length", "1").frame(frameData, 0, 1, []byte("xy")) }, malformed},
		{"8.1.1", "less DATA than content-length", func(p *peer) { p.headOf(1, "content-length", "3").frame(frameData, flagEndStream, 1, []byte("xy")) }, malformed},
		{"8.1.1", "less DATA than content-length before trailers", func(p *peer) {
			p.headOf(1, "content-length", "3").frame(frameData, 0, 1, []byte("xy")).frame(frameHeaders, endBoth, 1, p.block("a", "b"))
		}, malformed},
		{"8.2.1", "an upper-case name", func(p *peer) { p.headOf(1, "A", "b") }, malformed},
		{"8.2.1", "CR LF in a value", func(p *peer) { p.headOf(1, "a", "b\r\nc: d") }, malformed},
		{"8.2.1", "a blank behind a value", func(p *peer) { p.headOf(1, "a", "b ") }, malformed},
		{"8.2.2", "connection", func(p *peer) { p.headOf(1, "connection", "close") }, malformed},
		{"8.2.2", "transfer-encoding", func(p *peer) { p.headOf(1, "transfer-encoding", "chunked") }, malformed},
		{"8.2.2", "upgrade", func(p *peer) { p.headOf(1, "upgrade", "h2c") }, malformed},
		{"8.3", "an unknown pseudo-header field", func(p *peer) { p.headOf(1, ":test", "x") }, malformed},
		{"8.3", "a pseudo-header field behind a regular one", func(p *peer) {
			p.frame(frameHeaders, flagEndHeaders, 1, p.block("a", "b", ":status", "200"))
		}, malformed},
		{"8.3.2", "no :status", func(p *peer) { p.frame(frameHeaders, flagEndHeaders, 1, p.block("a", "b")) }, malformed},
		{"8.3.2", "two :status", func(p *peer) { p.headOf(1, ":status", "200") }, malformed},
		{"8.3.2", ":status of four digits", func(p *peer) { p.frame(frameHeaders, flagEndHeaders, 1, p.block(":status", "2000")) }, malformed},
		{"8.6", "101", func(p *peer) { p.frame(frameHeaders, flagEndHeaders, 1, p.block(":status", "101")) }, malformed},
	}
}

func TestRFC9113Client(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range clientCases() {
		name := c.section + " " + c.rule
		if seen[name] {
			t.Fatalf("%q twice", name)
		}
		seen[name] = true
		t.Run(name, func(t *testing.T) {
			got := make(chan string, 1)
			addr := script(t, func(p *peer) {
				p.greetClient()
				p.awaitRequest()
				c.send(p)
				p.frame(framePing, 0, 0, []byte("12345678")).flush()
				outcome := p.outcome()
				for c.want[0] != "pong" && outcome == "pong" {
					outcome = p.outcome()
				}
				got <- outcome
			})
			cl := newClient(t, ClientConfig{Address: addr, StreamWindow: 64 << 10})
			// A request that is never whole keeps its side of the stream open.
			req := newRequest("POST", "/", nil)
			endless := newEndless()
			req.Body, req.ContentLength = endless, protocol.UnknownLength
			done := make(chan struct{})
			go func() {
				defer close(done)
				resp, err := cl.Serve(t.Context(), req)
				if err != nil {
					return
				}
				outcome := <-got
				got <- outcome
				resp.Close()
			}()
			outcome := <-got
			got <- outcome
			if !slices.Contains(c.want, outcome) {
				t.Errorf("outcome is %q, want %s", outcome, strings.Join(c.want, " or "))
			}
			_ = endless.Close()
			<-done
		})
	}
}

// endless is a body of which nothing comes until it is closed.
type endless struct{ closed chan struct{} }

func newEndless() *endless { return &endless{make(chan struct{})} }

func (e *endless) Next() ([]byte, bool, error) { <-e.closed; return nil, false, protocol.ErrBodyClosed }
func (e *endless) Buffered() int               { return 0 }
func (e *endless) Done() bool                  { return false }
func (e *endless) Rewind() bool                { return false }
func (e *endless) Close() error {
	defer func() { _ = recover() }() // twice
	close(e.closed)
	return nil
}

// TestClientPreface is section 3.4 from the client's side: what it sends first, and what it takes.
func TestClientPreface(t *testing.T) {
	first := make(chan map[settingID]uint32, 1)
	addr := script(t, func(p *peer) {
		p.greetClient()
		f, payload := p.next()
		got := map[settingID]uint32{}
		if f.kind != frameSettings || f.has(flagAck) {
			got = nil
		}
		for ; got != nil && len(payload) >= 6; payload = payload[6:] {
			got[settingID(binary.BigEndian.Uint16(payload))] = binary.BigEndian.Uint32(payload[2:])
		}
		first <- got
		id, _ := p.awaitRequest()
		p.answer(id, "ok")
		p.drainPeer()
	})
	c := newClient(t, ClientConfig{Address: addr})
	if _, body := call(t, c, newRequest("GET", "/", nil)); body != "ok" {
		t.Errorf("got %q", body)
	}
	got := <-first
	if push, ok := got[settingEnablePush]; !ok || push != 0 || got[settingInitialWindowSize] != 256<<10 || got[settingMaxHeaderListSize] != defaultMaxHeaderBytes {
		t.Errorf("settings %v", got)
	}
}
