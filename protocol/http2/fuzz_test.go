package http2

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// requestSeeds are what clients send behind their preface and settings, right and wrong.
func requestSeeds(t testing.TB) [][]byte {
	var seeds [][]byte
	for _, send := range []func(p *peer){
		func(p *peer) { p.frame(frameHeaders, endBoth, 1, p.request("GET", "/")) },
		func(p *peer) {
			p.open(1, "content-length", "4").frame(frameData, 0, 1, []byte("bo")).frame(frameData, flagEndStream|flagPadded, 1, []byte("\x01dy\x00"))
		},
		func(p *peer) {
			p.open(1).frame(frameData, 0, 1, []byte("body")).frame(frameHeaders, endBoth, 1, p.block("x-sum", "4"))
		},
		func(p *peer) {
			b := p.request("POST", "/", "cookie", "a=b", "cookie", "c=d")
			p.frame(frameHeaders, 0, 1, b[:4]).frame(frameContinuation, flagEndHeaders, 1, b[4:]).frame(frameRSTStream, 0, 1, u32(8))
		},
		func(p *peer) {
			p.frame(frameSettings, 0, 0, setting6(settingInitialWindowSize, 1)).frame(frameHeaders, endBoth, 1, p.request("GET", "/")).
				frame(frameWindowUpdate, 0, 1, u32(100)).frame(framePing, 0, 0, make([]byte, 8)).frame(frameGoAway, 0, 0, u32(0, 0))
		},
		func(p *peer) {
			p.frame(frameHeaders, flagEndHeaders, 1, p.block(":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "a")).
				frame(frameData, 0, 1, []byte("x")).frame(framePriority, 0, 3, make([]byte, 5))
		},
	} {
		p := newPeer(t, nowhere{})
		send(p)
		seeds = append(seeds, p.out)
	}
	return seeds
}

// nowhere is a connection that nothing is sent on.
type nowhere struct{ net.Conn }

func (nowhere) SetDeadline(time.Time) error { return nil }

// FuzzServer lets a client send anything. Nothing may panic or hang, and when the connection has ended nothing may be left
// of it.
func FuzzServer(f *testing.F) {
	for _, seed := range requestSeeds(f) {
		f.Add(seed)
	}
	s := NewServer(protocol.HandlerFunc(echoHandler), ServerConfig{Limits: Limits{Streams: 4, StreamWindow: 64 << 10, ConnWindow: 128 << 10}})
	f.Cleanup(func() { s.Close() })
	f.Fuzz(func(t *testing.T, data []byte) {
		ours, theirs := net.Pipe()
		c := newServerConn(s, ours, nil)
		if !s.add(c) {
			t.Fatal("server is closed")
		}
		var wg sync.WaitGroup
		wg.Go(c.serve)
		wg.Go(func() { _, _ = io.Copy(io.Discard, theirs) })
		_ = theirs.SetWriteDeadline(time.Now().Add(patience))
		_, err := theirs.Write(append(appendSettings([]byte(preface)), data...))
		if err != nil && isTimeout(err) {
			t.Error("the server does not read")
		}
		theirs.Close()
		wg.Wait()
		eventually(t, "all exchanges have ended", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.running == 0
		})
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.buffered != 0 || len(c.streams) != 0 || len(c.free) != 0 {
			t.Errorf("%d octets, %d streams, %d goroutines are left", c.buffered, len(c.streams), len(c.free))
		}
	})
}

// answerSeeds are what servers send behind their settings, right and wrong.
func answerSeeds(t testing.TB) [][]byte {
	var seeds [][]byte
	for _, send := range []func(p *peer){
		func(p *peer) { p.out = p.frameAnswer(1, "body").out },
		func(p *peer) { p.frame(frameHeaders, endBoth, 1, p.block(":status", "204")) },
		func(p *peer) {
			p.frame(frameHeaders, flagEndHeaders, 1, p.block(":status", "103", "link", "a")).
				frame(frameHeaders, flagEndHeaders, 1, p.block(":status", "200", "content-length", "2")).
				frame(frameData, 0, 1, []byte("ok")).frame(frameHeaders, endBoth, 1, p.block("grpc-status", "0"))
		},
		func(p *peer) { p.frame(frameRSTStream, 0, 1, u32(7)).frame(frameGoAway, 0, 0, u32(0, 0)) },
		func(p *peer) {
			p.frame(frameSettings, 0, 0, setting6(settingMaxConcurrentStreams, 0)).frame(framePushPromise, flagEndHeaders, 1, u32(2))
		},
	} {
		p := newPeer(t, nowhere{})
		send(p)
		seeds = append(seeds, p.out)
	}
	return seeds
}

func (p *peer) frameAnswer(id uint32, body string) *peer {
	return p.frame(frameHeaders, flagEndHeaders, id, p.block(":status", "200")).frame(frameData, flagEndStream, id, []byte(body))
}

// FuzzClient lets a server answer with anything. The exchange must end, with an answer or an error, and leave nothing.
func FuzzClient(f *testing.F) {
	for _, seed := range answerSeeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := NewClient(ClientConfig{StreamWindow: 64 << 10, MaxConnections: 1, MaxPending: -1})
		ours, theirs := net.Pipe()
		cc := newClientConn(c, ours)
		c.pool.conns = append(c.pool.conns, cc)
		c.current.Store(cc)
		var wg sync.WaitGroup
		c.running.Add(1)
		wg.Go(cc.serve)
		wg.Go(func() { _, _ = io.Copy(io.Discard, theirs) })
		wg.Go(func() {
			eventually(t, "the request is sent", func() bool { return cc.lastStream() > 0 })
			_ = theirs.SetWriteDeadline(time.Now().Add(patience))
			_, err := theirs.Write(append(appendSettings(nil), data...))
			if err != nil && isTimeout(err) {
				t.Error("the client does not read")
			}
			theirs.Close()
		})
		req := newRequest("POST", "/", []byte("request"))
		req.NarrowDeadline(int64(patience))
		resp, err := c.Serve(context.Background(), req)
		if err == nil {
			_, err = protocol.ReadAll(nil, resp.Body, 1<<20)
			resp.Close()
		}
		if e := protocol.AsError(err); err != nil && e.Code == protocol.CodeUpstreamTimeout {
			t.Errorf("the exchange hung: %v", err)
		}
		wg.Wait()
		c.Close()
		if cc.buffered != 0 || len(cc.streams) != 0 {
			t.Errorf("%d octets, %d streams are left", cc.buffered, len(cc.streams))
		}
	})
}

func (cc *clientConn) lastStream() uint32 {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	return cc.last
}
