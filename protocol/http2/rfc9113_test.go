package http2

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

// rfcCase is one rule of RFC 9113 as a server sees it broken or kept. send puts frames on a connection whose settings have
// been exchanged; want are the outcomes that the rule allows, by peer.outcome. A PING follows, so "pong" means that
// nothing was objected to.
type rfcCase struct {
	section, rule string
	send          func(p *peer)
	want          []string
}

func u32(n ...uint32) (b []byte) {
	for _, v := range n {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func setting6(id settingID, v uint32) []byte {
	return appendSettings(nil, setting{id, v})[frameHeaderLen:]
}

// open sends a request without its end.
func (p *peer) open(id uint32, fields ...string) *peer {
	return p.frame(frameHeaders, flagEndHeaders, id, p.request("POST", "/hold", fields...))
}

// get sends a whole request and waits for its answer.
func (p *peer) get(id uint32) *peer {
	p.frame(frameHeaders, flagEndHeaders|flagEndStream, id, p.request("GET", "/")).flush()
	for {
		f, payload := p.next()
		if f.kind == frameHeaders {
			p.fields(payload)
		}
		if f.stream == id && f.has(flagEndStream) {
			return p
		}
	}
}

var (
	protocolError = []string{"GOAWAY PROTOCOL_ERROR"}
	frameSize     = []string{"GOAWAY FRAME_SIZE_ERROR"}
	malformed     = []string{"RST 1 PROTOCOL_ERROR"}
	accepted      = []string{"pong"}
	answered      = []string{"200"}
)

const endBoth = flagEndHeaders | flagEndStream

// headCase is a request whose head alone is the matter.
func headCase(section, rule string, want []string, fields ...string) rfcCase {
	return rfcCase{section, rule, func(p *peer) { p.frame(frameHeaders, endBoth, 1, p.block(fields...)) }, want}
}

// plain is the head of a good request with more fields.
func plain(fields ...string) []string {
	return append([]string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a"}, fields...)
}

func rfcCases() []rfcCase {
	return slices.Concat(framingCases(), streamCases(), controlCases(), messageCases())
}

func framingCases() []rfcCase {
	big := bytes.Repeat([]byte{0}, maxFrame+1)
	return []rfcCase{
		{"4.1", "frames of unknown types are ignored", func(p *peer) { p.frame(0xbe, 0xff, 0, []byte("x")).frame(0xbf, 0, 7, nil) }, accepted},
		{"4.1", "undefined flags are ignored", func(p *peer) { p.frame(framePing, 0x16, 0, make([]byte, 8)) }, accepted},
		{"4.1", "the reserved bit is ignored", func(p *peer) { p.frame(framePing, 0, 1<<31, make([]byte, 8)) }, accepted},
		{"4.2", "DATA of the largest size", func(p *peer) { p.open(1).frame(frameData, flagEndStream, 1, big[1:]) }, answered},
		{"4.2", "DATA larger than SETTINGS_MAX_FRAME_SIZE", func(p *peer) { p.open(1).frame(frameData, 0, 1, big) }, frameSize},
		{"4.2", "HEADERS larger than SETTINGS_MAX_FRAME_SIZE", func(p *peer) { p.frame(frameHeaders, endBoth, 1, big) }, frameSize},
		{"4.2", "unknown frame larger than SETTINGS_MAX_FRAME_SIZE", func(p *peer) { p.frame(0xbe, 0, 0, big) }, frameSize},
		{"4.3", "a block that cannot be decoded", func(p *peer) { p.frame(frameHeaders, endBoth, 1, []byte{0x80}) }, []string{"GOAWAY COMPRESSION_ERROR"}},
		{"4.3", "a table size update behind a field", func(p *peer) { p.frame(frameHeaders, endBoth, 1, []byte{0x82, 0x20}) }, []string{"GOAWAY COMPRESSION_ERROR"}},
		{"4.3", "a table size over SETTINGS_HEADER_TABLE_SIZE", func(p *peer) { p.frame(frameHeaders, endBoth, 1, []byte{0x3f, 0xe2, 0x1f, 0x82}) }, []string{"GOAWAY COMPRESSION_ERROR"}},
		{"4.3", "PRIORITY within a block", func(p *peer) {
			p.frame(frameHeaders, flagEndStream, 1, p.request("GET", "/")).frame(framePriority, 0, 1, make([]byte, 5))
		}, protocolError},
		{"4.3", "HEADERS of another stream within a block", func(p *peer) {
			p.frame(frameHeaders, flagEndStream, 1, p.request("GET", "/")).frame(frameHeaders, endBoth, 3, p.request("GET", "/"))
		}, protocolError},
		{"5.5", "an extension frame within a block", func(p *peer) {
			p.frame(frameHeaders, flagEndStream, 1, p.request("GET", "/")).frame(0xbe, 0, 1, nil)
		}, protocolError},
		{"6.10", "one CONTINUATION", func(p *peer) {
			b := p.request("GET", "/")
			p.frame(frameHeaders, flagEndStream, 1, b[:3]).frame(frameContinuation, flagEndHeaders, 1, b[3:])
		}, answered},
		{"6.10", "several CONTINUATIONs", func(p *peer) {
			b := p.request("GET", "/")
			p.frame(frameHeaders, flagEndStream, 1, nil).frame(frameContinuation, 0, 1, b[:3]).frame(frameContinuation, 0, 1, b[3:5]).
				frame(frameContinuation, flagEndHeaders, 1, b[5:])
		}, answered},
		{"6.10", "CONTINUATION behind a whole block", func(p *peer) {
			p.open(1).frame(frameContinuation, flagEndHeaders, 1, nil)
		}, protocolError},
		{"6.10", "CONTINUATION on stream 0", func(p *peer) {
			p.frame(frameHeaders, 0, 1, nil).frame(frameContinuation, flagEndHeaders, 0, nil)
		}, protocolError},
		{"6.10", "CONTINUATION of another stream", func(p *peer) {
			p.frame(frameHeaders, 0, 1, nil).frame(frameContinuation, flagEndHeaders, 3, nil)
		}, protocolError},
		{"6.10", "CONTINUATION behind DATA", func(p *peer) {
			p.open(1).frame(frameData, 0, 1, []byte("x")).frame(frameContinuation, flagEndHeaders, 1, nil)
		}, protocolError},
		{"7", "unknown error codes mean nothing special", func(p *peer) {
			p.open(1).frame(frameRSTStream, 0, 1, u32(0xff)).frame(frameGoAway, 0, 0, u32(0, 0xff))
		}, accepted},
	}
}

func streamCases() []rfcCase {
	closed := []string{"GOAWAY STREAM_CLOSED"}
	return []rfcCase{
		{"5.1", "DATA on an idle stream", func(p *peer) { p.frame(frameData, 0, 1, []byte("x")) }, protocolError},
		{"5.1", "RST_STREAM on an idle stream", func(p *peer) { p.frame(frameRSTStream, 0, 1, u32(8)) }, protocolError},
		{"5.1", "WINDOW_UPDATE on an idle stream", func(p *peer) { p.frame(frameWindowUpdate, 0, 1, u32(100)) }, protocolError},
		{"5.1", "CONTINUATION on an idle stream", func(p *peer) { p.frame(frameContinuation, flagEndHeaders, 1, nil) }, protocolError},
		{"5.1", "PRIORITY on an idle stream", func(p *peer) { p.frame(framePriority, 0, 9, make([]byte, 5)) }, accepted},
		{"5.1", "DATA on a half-closed stream", func(p *peer) {
			p.frame(frameHeaders, endBoth, 1, p.request("GET", "/hold")).frame(frameData, flagEndStream, 1, []byte("x"))
		}, []string{"RST 1 STREAM_CLOSED"}},
		{"5.1", "HEADERS on a half-closed stream", func(p *peer) {
			p.frame(frameHeaders, endBoth, 1, p.request("GET", "/hold")).frame(frameHeaders, endBoth, 1, p.request("GET", "/hold"))
		}, []string{"RST 1 STREAM_CLOSED"}},
		{"5.1", "WINDOW_UPDATE, PRIORITY and RST_STREAM on a half-closed stream", func(p *peer) {
			p.frame(frameHeaders, endBoth, 1, p.request("GET", "/hold")).frame(frameWindowUpdate, 0, 1, u32(1)).
				frame(framePriority, 0, 1, make([]byte, 5)).frame(frameRSTStream, 0, 1, u32(8))
		}, accepted},
		{"5.1", "DATA on a stream that the client has reset", func(p *peer) {
			p.open(1).frame(frameRSTStream, 0, 1, u32(8)).frame(frameData, 0, 1, []byte("x"))
		}, []string{"RST 1 STREAM_CLOSED"}},
		{"5.1", "HEADERS on a stream that the client has reset", func(p *peer) {
			p.open(1).frame(frameRSTStream, 0, 1, u32(8)).open(1)
		}, []string{"RST 1 STREAM_CLOSED"}},
		{"5.1", "CONTINUATION on a stream that the client has reset", func(p *peer) {
			p.open(1).frame(frameRSTStream, 0, 1, u32(8)).frame(frameContinuation, flagEndHeaders, 1, nil)
		}, protocolError},
		{"5.1", "DATA on a closed stream", func(p *peer) { p.get(1).frame(frameData, 0, 1, []byte("x")) }, closed},
		{"5.1", "HEADERS on a closed stream", func(p *peer) { p.get(1).open(1) }, closed},
		{"5.1", "WINDOW_UPDATE, PRIORITY and RST_STREAM on a closed stream", func(p *peer) {
			p.get(1).frame(frameWindowUpdate, 0, 1, u32(1)).frame(framePriority, 0, 1, make([]byte, 5)).frame(frameRSTStream, 0, 1, u32(8))
		}, accepted},
		{"5.1", "late frames on a stream that the server has reset", func(p *peer) {
			p.open(1, "content-length", "1").frame(frameData, 0, 1, []byte("xx")).flush()
			p.expect("RST 1 PROTOCOL_ERROR")
			p.frame(frameData, 0, 1, []byte("x")).frame(frameHeaders, endBoth, 1, p.block("a", "b")).frame(frameWindowUpdate, 0, 1, u32(1))
		}, accepted},
		{"5.1.1", "a stream with an even number", func(p *peer) { p.open(2) }, protocolError},
		{"5.1.1", "a new stream with a lower number", func(p *peer) { p.get(5).open(3) }, []string{"GOAWAY STREAM_CLOSED", "GOAWAY PROTOCOL_ERROR"}},
		{"5.1.1", "numbers may be skipped", func(p *peer) { p.frame(frameHeaders, endBoth, 101, p.request("GET", "/")) }, answered},
		{"5.1.2", "more streams than SETTINGS_MAX_CONCURRENT_STREAMS", func(p *peer) {
			for i := range uint32(5) {
				p.open(2*i + 1)
			}
		}, []string{"RST 9 REFUSED_STREAM"}},
		{"5.3", "a stream that depends on itself", func(p *peer) {
			p.frame(frameHeaders, endBoth|flagPriority, 1, append(append(u32(1), 10), p.request("GET", "/")...))
		}, malformed},
		{"5.3", "PRIORITY that depends on itself", func(p *peer) { p.open(1).frame(framePriority, 0, 1, append(u32(1), 10)) }, malformed},
		{"5.4.1", "the connection is closed behind GOAWAY", func(p *peer) {
			p.frame(framePing, 0, 1, make([]byte, 8)).flush()
			p.expect("GOAWAY PROTOCOL_ERROR")
		}, []string{"closed"}},
		{"8.1", "DATA before HEADERS of another stream do not mix", func(p *peer) {
			p.open(1).open(3).frame(frameData, flagEndStream, 3, []byte("x")).frame(frameData, flagEndStream, 1, []byte("x"))
		}, answered},
	}
}

func controlCases() []rfcCase {
	return []rfcCase{
		{"6.1", "DATA on stream 0", func(p *peer) { p.frame(frameData, 0, 0, []byte("x")) }, protocolError},
		{"6.1", "padding as long as the payload", func(p *peer) { p.open(1).frame(frameData, flagPadded|flagEndStream, 1, []byte{5, 'x', 0}) }, protocolError},
		{"6.1", "padded DATA without a length", func(p *peer) { p.open(1).frame(frameData, flagPadded, 1, nil) }, frameSize},
		{"6.1", "padding is cut off", func(p *peer) {
			p.open(1, "content-length", "2").frame(frameData, flagPadded|flagEndStream, 1, []byte{3, 'x', 'y', 0, 0, 0})
		}, answered},
		{"6.2", "HEADERS on stream 0", func(p *peer) { p.frame(frameHeaders, endBoth, 0, p.request("GET", "/")) }, protocolError},
		{"6.2", "HEADERS with too much padding", func(p *peer) { p.frame(frameHeaders, endBoth|flagPadded, 1, []byte{9, 0x82}) }, protocolError},
		{"6.2", "HEADERS with padding and priority", func(p *peer) {
			b := append([]byte{2, 0, 0, 0, 0, 5}, p.request("GET", "/")...)
			p.frame(frameHeaders, endBoth|flagPadded|flagPriority, 1, append(b, 0, 0))
		}, answered},
		{"6.2", "HEADERS too short for their priority", func(p *peer) { p.frame(frameHeaders, endBoth|flagPriority, 1, []byte{0, 0}) }, frameSize},
		{"6.3", "PRIORITY on stream 0", func(p *peer) { p.frame(framePriority, 0, 0, make([]byte, 5)) }, protocolError},
		{"6.3", "PRIORITY of four octets", func(p *peer) { p.open(1).frame(framePriority, 0, 1, make([]byte, 4)) }, []string{"RST 1 FRAME_SIZE_ERROR"}},
		{"6.4", "RST_STREAM on stream 0", func(p *peer) { p.frame(frameRSTStream, 0, 0, u32(8)) }, protocolError},
		{"6.4", "RST_STREAM of three octets", func(p *peer) { p.open(1).frame(frameRSTStream, 0, 1, []byte{0, 0, 8}) }, frameSize},
		{"6.5", "SETTINGS on a stream", func(p *peer) { p.frame(frameSettings, 0, 1, nil) }, protocolError},
		{"6.5", "SETTINGS of five octets", func(p *peer) { p.frame(frameSettings, 0, 0, make([]byte, 5)) }, frameSize},
		{"6.5", "acknowledged SETTINGS with a payload", func(p *peer) { p.frame(frameSettings, flagAck, 0, setting6(1, 1)) }, frameSize},
		{"6.5.2", "SETTINGS_ENABLE_PUSH of 2", func(p *peer) { p.frame(frameSettings, 0, 0, setting6(settingEnablePush, 2)) }, protocolError},
		{"6.5.2", "SETTINGS_INITIAL_WINDOW_SIZE of 2^31", func(p *peer) { p.frame(frameSettings, 0, 0, setting6(settingInitialWindowSize, 1<<31)) }, []string{"GOAWAY FLOW_CONTROL_ERROR"}},
		{"6.5.2", "SETTINGS_MAX_FRAME_SIZE of 16383", func(p *peer) { p.frame(frameSettings, 0, 0, setting6(settingMaxFrameSize, maxFrame-1)) }, protocolError},
		{"6.5.2", "SETTINGS_MAX_FRAME_SIZE of 2^24", func(p *peer) { p.frame(frameSettings, 0, 0, setting6(settingMaxFrameSize, 1<<24)) }, protocolError},
		{"6.5.2", "SETTINGS_ENABLE_CONNECT_PROTOCOL of 2 (RFC 8441)", func(p *peer) { p.frame(frameSettings, 0, 0, setting6(settingEnableConnect, 2)) }, protocolError},
		{"6.5.2", "unknown settings are ignored", func(p *peer) { p.frame(frameSettings, 0, 0, setting6(0xff, 1)) }, accepted},
		{"6.6", "PUSH_PROMISE of a client", func(p *peer) {
			p.open(1).frame(framePushPromise, flagEndHeaders, 1, append(u32(2), p.request("GET", "/")...))
		}, protocolError},
		{"6.7", "PING on a stream", func(p *peer) { p.frame(framePing, 0, 1, make([]byte, 8)) }, protocolError},
		{"6.7", "PING of six octets", func(p *peer) { p.frame(framePing, 0, 0, make([]byte, 6)) }, frameSize},
		{"6.7", "an acknowledgement is not answered", func(p *peer) { p.frame(framePing, flagAck, 0, make([]byte, 8)) }, accepted},
		{"6.8", "GOAWAY on a stream", func(p *peer) { p.frame(frameGoAway, 0, 1, u32(0, 0)) }, protocolError},
		{"6.8", "GOAWAY of four octets", func(p *peer) { p.frame(frameGoAway, 0, 0, u32(0)) }, frameSize},
		{"6.8", "a client that goes away may end its requests", func(p *peer) {
			p.open(1).frame(frameGoAway, 0, 0, u32(0, 0)).frame(frameData, flagEndStream, 1, []byte("x"))
		}, answered},
		{"6.9", "WINDOW_UPDATE of three octets", func(p *peer) { p.frame(frameWindowUpdate, 0, 0, make([]byte, 3)) }, frameSize},
		{"6.9", "WINDOW_UPDATE of nothing, of the connection", func(p *peer) { p.frame(frameWindowUpdate, 0, 0, u32(0)) }, protocolError},
		{"6.9", "WINDOW_UPDATE of nothing, of a stream", func(p *peer) { p.open(1).frame(frameWindowUpdate, 0, 1, u32(0)) }, malformed},
		{"6.9.1", "the connection's window over 2^31-1", func(p *peer) { p.frame(frameWindowUpdate, 0, 0, u32(maxWindow)) }, []string{"GOAWAY FLOW_CONTROL_ERROR"}},
		{"6.9.1", "a stream's window over 2^31-1", func(p *peer) { p.open(1).frame(frameWindowUpdate, 0, 1, u32(maxWindow)) }, []string{"RST 1 FLOW_CONTROL_ERROR"}},
		{"6.9.2", "settings that make a window too large", func(p *peer) {
			p.open(1).frame(frameWindowUpdate, 0, 1, u32(maxWindow-defaultWindow)).frame(frameSettings, 0, 0, setting6(settingInitialWindowSize, defaultWindow+1))
		}, []string{"GOAWAY FLOW_CONTROL_ERROR"}},
		{"6.9.1", "DATA over the stream's window", func(p *peer) {
			p.open(1)
			for range 9 {
				p.frame(frameData, 0, 1, make([]byte, 8<<10))
			}
		}, []string{"RST 1 FLOW_CONTROL_ERROR"}},
		{"6.9.1", "DATA over the connection's window", func(p *peer) {
			for i := range uint32(4) {
				p.frame(frameHeaders, flagEndHeaders, 2*i+1, p.request("GET", "/hold"))
				for range 7 {
					p.frame(frameData, 0, 2*i+1, make([]byte, 8<<10))
				}
			}
		}, []string{"GOAWAY FLOW_CONTROL_ERROR"}},
	}
}

func messageCases() []rfcCase {
	cases := []rfcCase{
		{"8.1", "trailers", func(p *peer) { p.open(1).frame(frameHeaders, endBoth, 1, p.block("x-sum", "1")) }, answered},
		{"8.1", "a second head without END_STREAM", func(p *peer) { p.open(1).frame(frameHeaders, flagEndHeaders, 1, p.block("x-sum", "1")) }, malformed},
		{"8.1", "a pseudo-header field in trailers", func(p *peer) { p.open(1).frame(frameHeaders, endBoth, 1, p.block(":path", "/")) }, malformed},
		{"8.2.2", "a connection-specific field in trailers", func(p *peer) { p.open(1).frame(frameHeaders, endBoth, 1, p.block("connection", "x")) }, malformed},
		{"8.2.1", "an upper-case name in trailers", func(p *peer) { p.open(1).frame(frameHeaders, endBoth, 1, p.block("X-Sum", "x")) }, malformed},
		{"8.1.1", "less DATA than content-length", func(p *peer) {
			p.open(1, "content-length", "2").frame(frameData, flagEndStream, 1, []byte("x"))
		}, malformed},
		{"8.1.1", "more DATA than content-length, in pieces", func(p *peer) {
			p.open(1, "content-length", "2").frame(frameData, 0, 1, []byte("xx")).frame(frameData, flagEndStream, 1, []byte("x"))
		}, malformed},
		{"8.1.1", "content-length and no DATA", func(p *peer) {
			p.frame(frameHeaders, endBoth, 1, p.request("POST", "/", "content-length", "1"))
		}, malformed},
		{"8.1.1", "less DATA than content-length before trailers", func(p *peer) {
			p.open(1, "content-length", "2").frame(frameHeaders, endBoth, 1, p.block("x-sum", "1"))
		}, malformed},
		{"8.1.1", "as much DATA as content-length, in pieces", func(p *peer) {
			p.open(1, "content-length", "3").frame(frameData, 0, 1, []byte("xx")).frame(frameData, flagEndStream, 1, []byte("x"))
		}, answered},
	}
	return append(cases,
		headCase("8.2.1", "an upper-case name", malformed, plain("X-Upper", "a")...),
		headCase("8.2.1", "an empty name", malformed, plain("", "a")...),
		headCase("8.2.1", "a blank in a name", malformed, plain("a b", "a")...),
		headCase("8.2.1", "a colon in a name", malformed, plain("a:b", "a")...),
		headCase("8.2.1", "a line feed in a name", malformed, plain("a\nb", "a")...),
		headCase("8.2.1", "CR LF in a value", malformed, plain("a", "b\r\nc: d")...),
		headCase("8.2.1", "LF in a value", malformed, plain("a", "b\nc")...),
		headCase("8.2.1", "CR in a value", malformed, plain("a", "b\rc")...),
		headCase("8.2.1", "NUL in a value", malformed, plain("a", "b\x00c")...),
		headCase("8.2.1", "a blank before a value", malformed, plain("a", " b")...),
		headCase("8.2.1", "a tab behind a value", malformed, plain("a", "b\t")...),
		headCase("8.2.1", "octets above 0x7f in a value", answered, plain("a", "\xe4\xff")...),
		headCase("8.2.2", "connection", malformed, plain("connection", "keep-alive")...),
		headCase("8.2.2", "keep-alive", malformed, plain("keep-alive", "1")...),
		headCase("8.2.2", "proxy-connection", malformed, plain("proxy-connection", "keep-alive")...),
		headCase("8.2.2", "transfer-encoding", malformed, plain("transfer-encoding", "chunked")...),
		headCase("8.2.2", "upgrade", malformed, plain("upgrade", "h2c")...),
		headCase("8.2.2", "te of something else than trailers", malformed, plain("te", "trailers, deflate")...),
		headCase("8.2.2", "te: trailers", answered, plain("te", "trailers")...),
		headCase("8.3", "an unknown pseudo-header field", malformed, plain(":test", "x")...),
		headCase("8.3", "a pseudo-header field of responses", malformed, plain(":status", "200")...),
		headCase("8.3", "a pseudo-header field behind a regular one", malformed, ":method", "GET", ":scheme", "http", "a", "b", ":path", "/", ":authority", "a"),
		headCase("8.3", "a repeated :method", malformed, plain(":method", "GET")...),
		headCase("8.3.1", "a repeated :path", malformed, plain(":path", "/")...),
		headCase("8.3.1", "a repeated :scheme", malformed, plain(":scheme", "http")...),
		headCase("8.3.1", "a repeated :authority", malformed, plain(":authority", "a")...),
		headCase("8.3.1", "no :method", malformed, plain()[2:]...),
		headCase("8.3.1", "no :scheme", malformed, ":method", "GET", ":path", "/", ":authority", "a"),
		headCase("8.3.1", "no :path", malformed, ":method", "GET", ":scheme", "http", ":authority", "a"),
		headCase("8.3.1", "an empty :path", malformed, ":method", "GET", ":scheme", "http", ":path", "", ":authority", "a"),
		headCase("8.3.1", "a relative :path", malformed, ":method", "GET", ":scheme", "http", ":path", "a/b", ":authority", "a"),
		headCase("8.3.1", "an absolute :path", malformed, ":method", "GET", ":scheme", "http", ":path", "http://b/", ":authority", "a"),
		headCase("8.3.1", "a blank in :path", malformed, ":method", "GET", ":scheme", "http", ":path", "/ HTTP/1.1", ":authority", "a"),
		headCase("8.3.1", "a fragment in :path", malformed, ":method", "GET", ":scheme", "http", ":path", "/#a", ":authority", "a"),
		headCase("8.3.1", "* with another method than OPTIONS", malformed, ":method", "GET", ":scheme", "http", ":path", "*", ":authority", "a"),
		headCase("8.3.1", "* with OPTIONS", answered, ":method", "OPTIONS", ":scheme", "http", ":path", "*", ":authority", "a"),
		headCase("8.3.1", "a :method that is no token", malformed, ":method", "GET /x", ":scheme", "http", ":path", "/", ":authority", "a"),
		headCase("8.3.1", "user information in :authority", malformed, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "u@a"),
		headCase("8.3.1", "a path in :authority", malformed, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a/b"),
		headCase("8.3.1", "host that differs from :authority", malformed, plain("host", "b")...),
		headCase("8.3.1", "host that equals :authority", answered, plain("host", "A")...),
		headCase("8.3.1", "host instead of :authority", answered, ":method", "GET", ":scheme", "http", ":path", "/", "host", "a"),
		headCase("8.3.1", "two hosts", malformed, plain("host", "a", "host", "a")...),
		headCase("8.3.1", "no authority at all", []string{"400"}, ":method", "GET", ":scheme", "http", ":path", "/"),
		headCase("8.5", "CONNECT with a scheme", malformed, ":method", "CONNECT", ":scheme", "http", ":authority", "a:1"),
		headCase("8.5", "CONNECT with a path", malformed, ":method", "CONNECT", ":path", "/", ":authority", "a:1"),
		headCase("8.5", "CONNECT without authority", malformed, ":method", "CONNECT"),
		headCase("8.5", "CONNECT is not supported", []string{"501"}, ":method", "CONNECT", ":authority", "a:1"),
		headCase("RFC 8441 4", ":protocol without CONNECT", malformed, plain()[:2:2]...).with(":scheme", "http", ":path", "/", ":authority", "a", ":protocol", "websocket"),
		headCase("RFC 8441 4", "extended CONNECT without a path", malformed, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "a"),
		headCase("8.1.1", "content-length that is no number", malformed, plain("content-length", "+1")...),
		headCase("8.1.1", "content-length twice", malformed, plain("content-length", "0", "content-length", "0")...),
		headCase("8.1.1", "content-length as a list", malformed, plain("content-length", "0, 0")...),
	)
}

// with replaces the head's fields by those of plain's first and more.
func (c rfcCase) with(fields ...string) rfcCase {
	c.send = func(p *peer) {
		p.frame(frameHeaders, endBoth, 1, p.block(append([]string{":method", "GET"}, fields...)...))
	}
	return c
}

// expect reads until there is an outcome, which must be that one.
func (p *peer) expect(want string) {
	p.t.Helper()
	if got := p.outcome(); got != want {
		p.t.Fatalf("outcome is %q, want %q", got, want)
	}
}

// holdHandler does not answer "/hold" before the request's body has come, and never if it is a GET.
func holdHandler(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
	if req.Path == "/hold" {
		if req.Method == "GET" {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		if _, err := protocol.ReadAll(nil, req.Body, 1<<20); err != nil {
			return nil, err
		}
	}
	return reply(req, 200, ""), nil
}

func TestRFC9113Server(t *testing.T) {
	limits := Limits{Streams: 4, StreamWindow: 65535, ConnWindow: 3 * 65535}
	s, addr := startServer(t, ServerConfig{Limits: limits}, holdHandler)
	seen := map[string]bool{}
	for _, c := range rfcCases() {
		name := c.section + " " + c.rule
		if seen[name] {
			t.Fatalf("%q twice", name)
		}
		seen[name] = true
		t.Run(name, func(t *testing.T) {
			p := dialPeer(t, addr)
			p.greetServer()
			c.send(p)
			p.frame(framePing, 0, 0, []byte("12345678")).flush()
			got := p.outcome()
			for c.want[0] != "pong" && got == "pong" { // what a stream's goroutine does comes after what the reading one does
				got = p.outcome()
			}
			if !slices.Contains(c.want, got) {
				t.Errorf("outcome is %q, want %s", got, strings.Join(c.want, " or "))
			}
			p.nc.Close()
		})
	}
	eventually(t, "all connections are gone", func() bool { return s.Stats().Open == 0 && s.Stats().InFlight == 0 })
}

// TestPreface is section 3.4: what a connection must begin with.
func TestPreface(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, hello)
	settings := string(appendSettings(nil))
	for _, c := range []struct{ name, sent, want string }{
		{"HTTP/1.1", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "closed"},
		{"a wrong preface", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + settings, "closed"},
		{"another frame than SETTINGS", preface + string(appendPing(nil, 0, make([]byte, 8))), "GOAWAY PROTOCOL_ERROR"},
		{"an acknowledgement", preface + string(appendFrame(nil, 0, frameSettings, flagAck, 0)), "GOAWAY PROTOCOL_ERROR"},
		{"SETTINGS", preface + settings + string(appendPing(nil, 0, make([]byte, 8))), "pong"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := dialPeer(t, addr)
			p.out = append(p.out, c.sent...)
			p.flush()
			p.expect(c.want)
		})
	}
	t.Run("octet by octet", func(t *testing.T) {
		p := dialPeer(t, addr)
		all := preface + settings + string(appendPing(nil, 0, make([]byte, 8)))
		for i := range len(all) {
			p.out = append(p.out, all[i])
			p.flush()
		}
		p.expect("pong")
	})
}
