package http2

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// sized answers with as many octets as the path says.
func sized(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
	n := 0
	if _, err := fmt.Sscanf(req.Path, "/%d", &n); err != nil {
		return nil, err
	}
	return reply(req, 200, strings.Repeat("x", n)), nil
}

// data reads DATA of a stream until there was so much, or the end, and returns how much came and whether it was the end.
func (p *peer) data(id uint32, want int) (n int, end bool) {
	p.t.Helper()
	for n < want && !end {
		f, payload := p.until(frameData, id)
		if f.length > maxFrame {
			p.t.Fatalf("a frame of %d octets", f.length)
		}
		n += len(payload)
		end = f.has(flagEndStream)
	}
	return n, end
}

// silent checks that nothing but control frames comes.
func (p *peer) silent(what string) {
	p.t.Helper()
	p.frame(framePing, 0, 0, []byte("anything")).flush()
	for {
		f, payload := p.next()
		switch {
		case f.kind == framePing && f.has(flagAck):
			return
		case f.kind == frameHeaders:
			p.fields(payload)
		case f.kind == frameData:
			p.t.Fatalf("%s: %d octets of DATA", what, len(payload))
		}
	}
}

// TestSendWindows is sections 6.9.1 and 6.9.2 from the sending side: no octet more than the client allows.
func TestSendWindows(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, sized)
	t.Run("an initial window of one", func(t *testing.T) {
		p := dialPeer(t, addr)
		p.greetServer(setting{settingInitialWindowSize, 1})
		p.frame(frameHeaders, endBoth, 1, p.request("GET", "/3")).flush()
		for i := range 3 {
			if n, end := p.data(1, 1); n != 1 || end != (i == 2) {
				t.Fatalf("octet %d: %d, %v", i, n, end)
			}
			p.silent("window is used up")
			p.frame(frameWindowUpdate, 0, 1, u32(1)).flush()
		}
	})
	t.Run("a window that grows by SETTINGS", func(t *testing.T) {
		p := dialPeer(t, addr)
		p.greetServer(setting{settingInitialWindowSize, 0})
		p.frame(frameHeaders, endBoth, 1, p.request("GET", "/100")).flush()
		p.until(frameHeaders, 1)
		p.silent("window is 0")
		p.frame(frameSettings, 0, 0, setting6(settingInitialWindowSize, 60)).flush()
		if n, end := p.data(1, 60); n != 60 || end {
			t.Fatalf("%d, %v", n, end)
		}
		p.silent("window is used up")
		// Down to 30: the window is -30 now. What makes it positive again counts from there.
		p.frame(frameSettings, 0, 0, setting6(settingInitialWindowSize, 30)).frame(frameWindowUpdate, 0, 1, u32(30)).flush()
		p.silent("window is 0 again")
		p.frame(frameWindowUpdate, 0, 1, u32(10)).flush()
		if n, _ := p.data(1, 10); n != 10 {
			t.Fatalf("%d", n)
		}
		p.silent("window is used up")
		p.frame(frameWindowUpdate, 0, 1, u32(1000)).flush()
		if n, end := p.data(1, 30); n != 30 || !end {
			t.Fatalf("%d, %v", n, end)
		}
	})
	t.Run("the connection's window", func(t *testing.T) {
		p := dialPeer(t, addr)
		p.greetServer(setting{settingInitialWindowSize, 1 << 20})
		p.frame(frameHeaders, endBoth, 1, p.request("GET", "/70000")).flush()
		if n, end := p.data(1, defaultWindow); n != defaultWindow || end {
			t.Fatalf("%d, %v", n, end)
		}
		p.silent("the connection's window is used up")
		p.frame(frameHeaders, endBoth, 3, p.request("GET", "/0")).flush() // heads are not counted
		f, _ := p.until(frameHeaders, 3)
		if !f.has(flagEndStream) {
			t.Error("the answer without content has not ended")
		}
		p.frame(frameWindowUpdate, 0, 0, u32(70000)).flush()
		if n, end := p.data(1, 70000-defaultWindow); n != 70000-defaultWindow || !end {
			t.Fatalf("%d, %v", n, end)
		}
	})
	t.Run("settings in one frame count one after the other", func(t *testing.T) {
		p := dialPeer(t, addr)
		p.greetServer()
		p.frame(frameSettings, 0, 0, append(setting6(settingInitialWindowSize, 100), setting6(settingInitialWindowSize, 1)...))
		p.frame(frameHeaders, endBoth, 1, p.request("GET", "/3")).flush()
		if n, _ := p.data(1, 1); n != 1 {
			t.Fatalf("%d", n)
		}
		p.silent("window is used up")
	})
}

// TestCredit looks at what a client is allowed to send: small requests need no frame for it, large ones get it in steps,
// and only as their reader goes on.
func TestCredit(t *testing.T) {
	read := make(chan struct{})
	const window = 100 << 10
	_, addr := startServer(t, ServerConfig{Limits: Limits{StreamWindow: window}}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		if req.Path == "/hold" {
			<-read
		}
		b, err := protocol.ReadAll(nil, req.Body, 1<<20)
		if err != nil {
			return nil, err
		}
		return reply(req, 200, fmt.Sprint(len(b))), nil
	})
	p := dialPeer(t, addr)
	p.out = appendSettings(append(p.out, preface...))
	p.flush()
	p.until(frameWindowUpdate, 0) // the connection's, at its start
	for i := range uint32(20) {
		p.frame(frameHeaders, flagEndHeaders, 2*i+1, p.request("POST", "/")).frame(frameData, flagEndStream, 2*i+1, make([]byte, 1000)).flush()
		for end := false; !end; {
			f, payload := p.next()
			switch f.kind {
			case frameWindowUpdate:
				t.Fatalf("WINDOW_UPDATE %d for a small request", binary.BigEndian.Uint32(payload))
			case frameHeaders:
				p.fields(payload)
			}
			end = f.stream == 2*i+1 && f.has(flagEndStream)
		}
	}
	const id = 101
	p.open(id)
	for range 6 {
		p.frame(frameData, 0, id, make([]byte, 16<<10))
	}
	p.frame(framePing, 0, 0, make([]byte, 8)).flush()
	for {
		f, _ := p.next()
		if f.kind == framePing {
			break
		}
		if f.kind == frameWindowUpdate && f.stream == id {
			t.Fatal("credit for what nobody has read")
		}
	}
	close(read)
	_, payload := p.until(frameWindowUpdate, id)
	if n := binary.BigEndian.Uint32(payload); n < window/2 || n > 6*16<<10 {
		t.Errorf("credit of %d", n)
	}
	p.frame(frameData, flagEndStream, id, make([]byte, 16<<10)).flush()
	if _, payload := p.until(frameData, id); string(payload) != fmt.Sprint(7*16<<10) {
		t.Errorf("%s octets came", payload)
	}
}

// TestPaddingIsCredited shows that padding does not use up windows for ever.
func TestPaddingIsCredited(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Limits: Limits{StreamWindow: 65535, ConnWindow: 65535}}, holdHandler)
	p := dialPeer(t, addr)
	p.greetServer()
	p.open(1).flush()
	padded := append([]byte{250}, make([]byte, 251)...) // one octet of data
	stream, conn := 65535, 65535
	for sent := 0; sent < 2000; {
		for ; stream >= len(padded) && conn >= len(padded); sent++ {
			p.frame(frameData, flagPadded, 1, padded)
			stream, conn = stream-len(padded), conn-len(padded)
		}
		p.flush()
		f, payload := p.next()
		switch {
		case f.kind == frameWindowUpdate && f.stream == 0:
			conn += int(binary.BigEndian.Uint32(payload))
		case f.kind == frameWindowUpdate:
			stream += int(binary.BigEndian.Uint32(payload))
		case f.kind == frameGoAway || f.kind == frameRSTStream:
			t.Fatalf("%v", f.kind)
		}
	}
	p.frame(frameData, flagEndStream, 1, nil).flush()
	p.expect("200")
}

// TestFairness shows that streams that share a connection's window get their turns: none waits for another's end.
func TestFairness(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, sized)
	p := dialPeer(t, addr)
	p.greetServer(setting{settingInitialWindowSize, 16 << 20})
	const streams, each = 4, 2 << 20
	for i := range uint32(streams) {
		p.frame(frameHeaders, endBoth, 2*i+1, p.request("GET", fmt.Sprint("/", each)))
	}
	p.frame(frameWindowUpdate, 0, 0, u32(64<<10)).flush()
	got := map[uint32]int{}
	for total := 0; total < streams*each; {
		f, payload := p.next()
		switch f.kind {
		case frameHeaders:
			p.fields(payload)
		case frameData:
			got[f.stream] += len(payload)
			if total += len(payload); total%(64<<10) < len(payload) {
				p.frame(frameWindowUpdate, 0, 0, u32(64<<10)).flush()
			}
			if total == streams*each/2 {
				for i := range uint32(streams) {
					if n := got[2*i+1]; n < each/4 || n > each*3/4 {
						t.Errorf("stream %d has %d of %d octets when half of all has come", 2*i+1, n, each)
					}
				}
			}
		}
	}
}

// settle dials and waits until the server's settings have come: before that, the protocol's windows hold.
func (c *Client) settle(t testing.TB) {
	t.Helper()
	c.Warm()
	eventually(t, "settings have come", func() bool { return c.limit.Load() != 0 })
}

// TestClientSendWindows is the same from the client's side, with a server that is slow to open its windows.
func TestClientSendWindows(t *testing.T) {
	const size = 200 << 10
	addr := script(t, func(p *peer) {
		p.greetClient(setting{settingInitialWindowSize, 1000})
		id, _ := p.awaitRequest()
		stream, conn := 1000, defaultWindow
		for n, end := 0, false; !end; {
			f, payload := p.until(frameData, id)
			n += len(payload)
			end = f.has(flagEndStream)
			if stream, conn = stream-len(payload), conn-len(payload); stream < 0 || conn < 0 {
				p.frame(frameGoAway, 0, 0, u32(0, uint32(FlowControlError))).flush()
				return
			}
			if stream < 100 {
				p.frame(frameWindowUpdate, 0, id, u32(5000)).frame(frameWindowUpdate, 0, 0, u32(5000)).flush()
				stream, conn = stream+5000, conn+5000
			}
			if end {
				p.answer(id, fmt.Sprint(n))
			}
		}
		p.drainPeer()
	})
	c := newClient(t, ClientConfig{Address: addr})
	c.settle(t)
	if _, body := call(t, c, newRequest("POST", "/", make([]byte, size))); body != fmt.Sprint(size) {
		t.Errorf("%s octets came", body)
	}
}

// TestClientWriteStall gives an upload up whose server opens no window.
func TestClientWriteStall(t *testing.T) {
	got := make(chan string, 1)
	c := newClient(t, ClientConfig{
		Address: script(t, func(p *peer) {
			p.greetClient(setting{settingInitialWindowSize, 10})
			p.awaitRequest()
			got <- p.outcome()
		}),
		BodyIdleTimeout: 50 * time.Millisecond,
	})
	c.settle(t)
	_, err := c.Serve(t.Context(), newRequest("POST", "/", make([]byte, 100)))
	if e := protocol.AsError(err); e.Code != protocol.CodeUpstreamTimeout {
		t.Errorf("%v", err)
	}
	if s := <-got; !strings.HasSuffix(s, "CANCEL") {
		t.Errorf("the instance saw %q", s)
	}
}

// TestMaxFrameSize shows that heads larger than a frame are cut, and put together again at the other end.
func TestMaxFrameSize(t *testing.T) {
	big := strings.Repeat("v", 40<<10)
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp := reply(req, 200, "x")
		resp.Header.Add("X-Big", req.Header.Get("x-big"))
		resp.Trailer.Add("X-Trailer", big)
		return resp, nil
	})
	c := newClient(t, ClientConfig{Address: addr})
	req := newRequest("GET", "/", nil)
	req.Header.Add("X-Big", big)
	resp, err := c.Serve(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Close()
	if _, err := protocol.ReadAll(nil, resp.Body, 10); err != nil || resp.Header.Get("x-big") != big || resp.Trailer.Get("x-trailer") != big {
		t.Errorf("%v, %d and %d octets", err, len(resp.Header.Get("x-big")), len(resp.Trailer.Get("x-trailer")))
	}
}
