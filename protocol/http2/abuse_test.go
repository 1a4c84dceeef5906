package http2

import (
	"bytes"
	"context"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

const calm = "GOAWAY ENHANCE_YOUR_CALM"

// flood lets frames be written up to n times, and reads meanwhile until the outcome that is not skipped.
func flood(t *testing.T, addr string, n int, each func(p *peer, i int), skip ...string) string {
	t.Helper()
	p := dialPeer(t, addr)
	p.greetServer()
	done := make(chan struct{})
	go func() {
		defer close(done)
		q := newPeer(t, p.nc) // its own encoder: two goroutines
		for i := range n {
			each(q, i)
			if len(q.out) > 16<<10 || i == n-1 {
				if _, err := q.nc.Write(q.out); err != nil {
					return
				}
				q.out = q.out[:0]
			}
		}
	}()
	got := ""
	for skipped := true; skipped; {
		got, skipped = p.outcome(), false
		for _, s := range skip {
			skipped = skipped || strings.HasPrefix(got, s)
		}
	}
	p.nc.Close()
	<-done
	return got
}

// TestFloods shows that each kind of frame that costs the sender little ends the connection before it has cost us much.
func TestFloods(t *testing.T) {
	s, addr := startServer(t, ServerConfig{}, holdHandler)
	const many = 50000
	for _, c := range []struct {
		name string
		each func(p *peer, i int)
	}{
		{"PING", func(p *peer, _ int) { p.frame(framePing, 0, 0, make([]byte, 8)) }},
		{"PING acknowledgements", func(p *peer, _ int) { p.frame(framePing, flagAck, 0, make([]byte, 8)) }},
		{"SETTINGS", func(p *peer, _ int) { p.frame(frameSettings, 0, 0, setting6(settingInitialWindowSize, 5)) }},
		{"empty SETTINGS", func(p *peer, _ int) { p.frame(frameSettings, 0, 0, nil) }},
		{"SETTINGS acknowledgements", func(p *peer, _ int) { p.frame(frameSettings, flagAck, 0, nil) }},
		{"PRIORITY", func(p *peer, i int) { p.frame(framePriority, 0, uint32(2*i+1), make([]byte, 5)) }},
		{"WINDOW_UPDATE", func(p *peer, _ int) { p.frame(frameWindowUpdate, 0, 0, u32(1)) }},
		{"unknown frames", func(p *peer, _ int) { p.frame(0xbe, 0, 0, nil) }},
		{"empty DATA", func(p *peer, i int) {
			if i == 0 {
				p.open(1)
			}
			p.frame(frameData, 0, 1, nil)
		}},
		{"padded empty DATA", func(p *peer, i int) {
			if i == 0 {
				p.open(1)
			}
			p.frame(frameData, flagPadded, 1, []byte{1, 0})
		}},
		{"RST_STREAM of a closed stream", func(p *peer, i int) {
			if i == 0 {
				p.open(1)
			}
			p.frame(frameRSTStream, 0, 1, u32(8))
		}},
		{"WINDOW_UPDATE of a stream", func(p *peer, i int) {
			if i == 0 {
				p.open(1)
			}
			p.frame(frameWindowUpdate, 0, 1, u32(1))
		}},
		{"empty CONTINUATION", func(p *peer, i int) {
			if i == 0 {
				p.frame(frameHeaders, 0, 1, nil)
			}
			p.frame(frameContinuation, 0, 1, nil)
		}},
		{"large CONTINUATION", func(p *peer, i int) {
			if i == 0 {
				p.frame(frameHeaders, 0, 1, nil)
			}
			p.frame(frameContinuation, 0, 1, make([]byte, 16<<10))
		}},
		{"rapid reset", func(p *peer, i int) {
			id := uint32(2*i + 1)
			p.frame(frameHeaders, endBoth, id, p.request("GET", "/")).frame(frameRSTStream, 0, id, u32(8))
		}},
		{"requests that we have to reset", func(p *peer, i int) {
			id := uint32(2*i + 1)
			p.open(id).frame(frameWindowUpdate, 0, id, u32(0))
		}},
		{"malformed requests", func(p *peer, i int) {
			p.frame(frameHeaders, endBoth, uint32(2*i+1), p.request("GET", ""))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := s.Stats().Abused
			if got := flood(t, addr, many, c.each, "pong", "RST", "200"); got != calm {
				t.Errorf("outcome is %q", got)
			}
			eventually(t, "the connection was counted", func() bool { return s.Stats().Abused == before+1 })
		})
	}
	eventually(t, "nothing is left", func() bool { return s.Stats().Open == 0 && s.Stats().InFlight == 0 })
}

// TestBusyClientsAreNoFlood shows that many frames are all right when requests come with them.
func TestBusyClientsAreNoFlood(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, echoHandler)
	p := dialPeer(t, addr)
	p.greetServer()
	for i := range 3000 {
		id := uint32(2*i + 1)
		p.frame(frameHeaders, flagEndHeaders, id, p.request("POST", "/"))
		p.frame(frameData, flagEndStream, id, []byte("x"))
		p.frame(framePing, 0, 0, make([]byte, 8)).frame(framePriority, 0, id, make([]byte, 5))
		p.frame(frameWindowUpdate, 0, 0, u32(1)).flush()
		for {
			f, payload := p.until(frameData, id)
			_ = payload
			if f.has(flagEndStream) {
				break
			}
		}
	}
}

// TestRapidResetBoundsWork shows that a client cannot have many more handlers at work than streams, whatever it resets.
func TestRapidResetBoundsWork(t *testing.T) {
	const limit = 10
	var running, most atomic.Int64
	block := make(chan struct{})
	_, addr := startServer(t, ServerConfig{Limits: Limits{Streams: limit}}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		n := running.Add(1)
		defer running.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-block // a handler that does not look at its context
		return reply(req, 200, ""), nil
	})
	p := dialPeer(t, addr)
	p.greetServer()
	for i := range uint32(100) {
		p.frame(frameHeaders, endBoth, 2*i+1, p.request("GET", "/")).frame(frameRSTStream, 0, 2*i+1, u32(8))
	}
	p.frame(framePing, 0, 0, make([]byte, 8)).flush()
	refused := 0
	for got := p.outcome(); got != "pong"; got = p.outcome() {
		if !strings.HasSuffix(got, "REFUSED_STREAM") {
			t.Fatalf("outcome is %q", got)
		}
		refused++
	}
	close(block)
	if refused < 100-limit-spareWork || most.Load() > limit+spareWork {
		t.Errorf("%d refused, %d at work", refused, most.Load())
	}
}

// TestHeaderLimits shows where lists of fields end.
func TestHeaderLimits(t *testing.T) {
	cfg := ServerConfig{Limits: Limits{HeaderBytes: 8 << 10, HeaderCount: 20, URIBytes: 1 << 10}}
	s, addr := startServer(t, cfg, hello)
	many := plain()
	for range 20 {
		many = append(many, "a", "b")
	}
	for _, c := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"all right", plain("a", strings.Repeat("x", 7<<10)), "200"},
		{"too large", plain("a", strings.Repeat("x", 10<<10)), "431"},
		{"too many", many, "431"},
		{"path", []string{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/" + strings.Repeat("x", 1<<10)}, "414"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := dialPeer(t, addr)
			p.greetServer()
			p.frame(frameHeaders, endBoth, 1, p.block(c.fields...)).flush()
			p.expect(c.want)
			// The connection goes on, and its tables still agree.
			p.frame(frameHeaders, endBoth, 3, p.request("GET", "/", "a", "b")).flush()
			p.expect("200")
		})
	}
	if n := s.Stats().Rejected; n != 3 {
		t.Errorf("%d were rejected", n)
	}
}

// TestHPACKBomb sends a block whose list of fields would be a thousand times as large, and shows that it costs nothing.
func TestHPACKBomb(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, hello)
	p := dialPeer(t, addr)
	p.greetServer()
	insert := append([]byte{0x40, 1, 'a', 0x7f, 0x80 + 4000 - 127 - 30*128, 30}, bytes.Repeat([]byte("x"), 4000)...)
	p.frame(frameHeaders, endBoth, 1, append(p.request("GET", "/"), insert...)).flush()
	p.expect("200")
	bomb := append([]byte{0x82, 0x86, 0x84, 0x01, 1, 'a'}, bytes.Repeat([]byte{0xbe}, 16000)...)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const times = 100 // each is 64 MB of fields
	for i := range uint32(times) {
		p.frame(frameHeaders, endBoth, 2*i+3, bomb).flush()
		p.expect("431")
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / times; n > 256<<10 {
		t.Errorf("%d octets were allocated for each", n)
	}
}

// TestUnreadBodiesAreBounded sends to handlers that do not read, as much as the server allows.
func TestUnreadBodiesAreBounded(t *testing.T) {
	limits := Limits{StreamWindow: 100 << 10, ConnWindow: 300 << 10}
	s, addr := startServer(t, ServerConfig{Limits: limits}, holdHandler)
	p := dialPeer(t, addr)
	p.greetServer()
	_ = p.nc.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	sent := 0
	conn, streams := 65535, map[uint32]int{}
	for i := range uint32(10) {
		streams[2*i+1] = limits.StreamWindow
		p.frame(frameHeaders, flagEndHeaders, 2*i+1, p.request("GET", "/hold")).flush()
	}
	for {
		for id, n := range streams {
			if k := min(n, conn, 16<<10); k > 0 {
				p.frame(frameData, 0, id, make([]byte, k)).flush()
				streams[id], conn, sent = n-k, conn-k, sent+k
			}
		}
		f, payload, err := p.read()
		if err != nil {
			break
		}
		if f.kind == frameWindowUpdate && f.stream == 0 {
			conn += int(payload[0])<<24 | int(payload[1])<<16 | int(payload[2])<<8 | int(payload[3])
		}
	}
	if sent > limits.ConnWindow || sent < limits.ConnWindow/2 {
		t.Errorf("%d octets could be sent", sent)
	}
	s.mu.Lock()
	c := s.first
	s.mu.Unlock()
	c.mu.Lock()
	held := c.buffered
	c.mu.Unlock()
	if held > int64(limits.ConnWindow) {
		t.Errorf("%d octets are held", held)
	}
}

// bigHandler answers with more than any window.
func bigHandler(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
	return reply(req, 200, strings.Repeat("x", 4<<20)), nil
}

// TestZeroWindow asks for an answer and opens no window for it.
func TestZeroWindow(t *testing.T) {
	s, addr := startServer(t, ServerConfig{Timeouts: Timeouts{Write: 100 * time.Millisecond}}, bigHandler)
	p := dialPeer(t, addr)
	p.greetServer(setting{settingInitialWindowSize, 0})
	for i := range uint32(5) {
		p.frame(frameHeaders, endBoth, 2*i+1, p.request("GET", "/"))
	}
	p.flush()
	resets := 0
	for resets < 5 {
		switch got := p.outcome(); {
		case strings.HasSuffix(got, " CANCEL"):
			resets++
		case got != "200":
			t.Fatalf("outcome is %q", got)
		}
	}
	eventually(t, "nobody waits any more", func() bool { return s.Stats().InFlight == 0 })
}

// TestDeafPeer asks for much, opens every window, and reads nothing: the buffer stays small, and the connection goes.
func TestDeafPeer(t *testing.T) {
	s, addr := startServer(t, ServerConfig{Timeouts: Timeouts{Write: 300 * time.Millisecond}}, bigHandler)
	p := dialPeer(t, addr)
	_ = p.nc.(*net.TCPConn).SetReadBuffer(4096)
	p.greetServer(setting{settingInitialWindowSize, maxWindow})
	p.frame(frameWindowUpdate, 0, 0, u32(maxWindow-defaultWindow))
	for i := range uint32(50) {
		p.frame(frameHeaders, endBoth, 2*i+1, p.request("GET", "/"))
	}
	p.flush()
	most := 0
	eventually(t, "the connection was cut", func() bool {
		s.mu.Lock()
		c := s.first
		s.mu.Unlock()
		if c == nil {
			return true
		}
		c.mu.Lock()
		most = max(most, len(c.out)+c.flight)
		c.mu.Unlock()
		return false
	})
	if most > maxOut+64<<10 {
		t.Errorf("%d octets waited to be written", most)
	}
	eventually(t, "nobody waits any more", func() bool { return s.Stats().InFlight == 0 })
}

// TestSlowHeads shows that whoever begins and does not go on is not waited for.
func TestSlowHeads(t *testing.T) {
	s, addr := startServer(t, ServerConfig{Timeouts: Timeouts{Header: 100 * time.Millisecond}}, hello)
	for name, begin := range map[string]func(p *peer){
		"nothing":         func(*peer) {},
		"half a preface":  func(p *peer) { p.out = append(p.out, preface[:10]...) },
		"no SETTINGS":     func(p *peer) { p.out = append(p.out, preface...) },
		"half a frame":    func(p *peer) { p.greetServer(); p.out = append(p.out, 0, 0) },
		"half HEADERS":    func(p *peer) { p.greetServer(); p.out = appendFrame(p.out, 100, frameHeaders, endBoth, 1) },
		"no CONTINUATION": func(p *peer) { p.greetServer(); p.frame(frameHeaders, 0, 1, p.request("GET", "/")) },
	} {
		t.Run(name, func(t *testing.T) {
			p := dialPeer(t, addr)
			begin(p)
			p.flush()
			begun := time.Now()
			if got := p.outcome(); got != "closed" && got != "GOAWAY PROTOCOL_ERROR" {
				t.Errorf("outcome is %q", got)
			}
			if d := time.Since(begun); d > 5*time.Second {
				t.Errorf("waited for %v", d)
			}
		})
	}
	eventually(t, "all connections are gone", func() bool { return s.Stats().Open == 0 })
}
