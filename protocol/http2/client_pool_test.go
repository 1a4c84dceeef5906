package http2

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// gate is a server whose requests wait until they are let go.
func gate(t testing.TB, streams uint32) (addr string, release chan struct{}) {
	release = make(chan struct{})
	_, addr = startServer(t, ServerConfig{Limits: Limits{Streams: int(streams)}}, func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return reply(req, 200, "ok"), nil
	})
	return addr, release
}

// TestPoolGrows opens connections only when the instance's limit of streams is reached, and closes idle ones.
func TestPoolGrows(t *testing.T) {
	addr, release := gate(t, 5)
	c := newClient(t, ClientConfig{Address: addr, IdleTimeout: time.Second})
	var wg sync.WaitGroup
	start := func(n int) {
		for range n {
			wg.Go(func() { call(t, c, newRequest("GET", "/", nil)) })
		}
	}
	start(5)
	eventually(t, "five are under way", func() bool { return c.Stats().Streams == 5 })
	if n := c.Stats().Open; n != 1 {
		t.Errorf("%d connections for five requests", n)
	}
	eventually(t, "the instance's limit is known", func() bool { return c.limit.Load() == 5 })
	start(8)
	eventually(t, "all are under way", func() bool { return c.Stats().Streams == 13 })
	if n := c.Stats().Open; n != 3 {
		t.Errorf("%d connections for 13 requests of at most five each", n)
	}
	close(release)
	wg.Wait()
	c.Sweep(protocol.Now() + int64(2*time.Second))
	eventually(t, "idle connections are gone", func() bool { return c.Stats().Open == 0 })
	if status, _ := call(t, c, newRequest("GET", "/", nil)); status != 200 {
		t.Errorf("status %d", status)
	}
}

// TestPoolLimit lets requests above the limit of connections wait, and turns those above MaxPending away.
func TestPoolLimit(t *testing.T) {
	addr, release := gate(t, 2)
	c := newClient(t, ClientConfig{Address: addr, MaxConnections: 2, MaxPending: 3})
	var wg sync.WaitGroup
	for i := range 7 {
		wg.Go(func() { call(t, c, newRequest("GET", "/", nil)) })
		eventually(t, "it is under way", func() bool { n := c.Stats(); return n.Streams+n.Pending == i+1 && n.Streams == min(i+1, 4) })
	}
	_, err := c.Serve(t.Context(), newRequest("GET", "/", nil))
	if e := protocol.AsError(err); e.Code != protocol.CodeUpstreamBusy || !e.NotSent {
		t.Errorf("%v", err)
	}
	close(release)
	wg.Wait()
	if n := c.Stats(); n.Open != 2 || n.Streams != 0 || n.Pending != 0 {
		t.Errorf("%+v", n)
	}
}

// TestPoolWaitEnds ends waits by deadline, by context and by Close.
func TestPoolWaitEnds(t *testing.T) {
	addr, release := gate(t, 1)
	defer close(release)
	c := newClient(t, ClientConfig{Address: addr, MaxConnections: 1})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = c.Serve(ctx, newRequest("GET", "/", nil)) })
	eventually(t, "one is under way", func() bool { return c.Stats().Streams == 1 })
	req := newRequest("GET", "/", nil)
	req.NarrowDeadline(int64(20 * time.Millisecond))
	_, err := c.Serve(t.Context(), req)
	if e := protocol.AsError(err); e.Code != protocol.CodeUpstreamTimeout || !e.NotSent {
		t.Errorf("%v", err)
	}
	wait, stop := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, stop)
	_, err = c.Serve(wait, newRequest("GET", "/", nil))
	if e := protocol.AsError(err); e.Code != protocol.CodeClientGone || !e.NotSent {
		t.Errorf("%v", err)
	}
	wg.Go(func() {
		_, err := c.Serve(t.Context(), newRequest("GET", "/", nil))
		if e := protocol.AsError(err); e.Code != protocol.CodeUpstreamConnect || !e.NotSent {
			t.Errorf("%v", err)
		}
	})
	eventually(t, "it waits", func() bool { return c.Stats().Pending == 1 })
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	cancel()
	wg.Wait()
}

// TestClientMaxAge replaces old connections without hurting their requests.
func TestClientMaxAge(t *testing.T) {
	addr, release := gate(t, 10)
	c := newClient(t, ClientConfig{Address: addr, MaxAge: time.Minute})
	var wg sync.WaitGroup
	wg.Go(func() { call(t, c, newRequest("GET", "/", nil)) })
	eventually(t, "one is under way", func() bool { return c.Stats().Streams == 1 })
	c.Sweep(protocol.Now() + int64(2*time.Minute))
	wg.Go(func() { call(t, c, newRequest("GET", "/", nil)) })
	eventually(t, "the other is under way", func() bool { return c.Stats().Streams == 2 })
	if n := c.Stats(); n.Open != 2 || n.Dialled != 2 {
		t.Errorf("%+v", n)
	}
	close(release)
	wg.Wait()
	eventually(t, "the old one is gone", func() bool { return c.Stats().Open == 1 })
}

// TestClientPing gives an instance up that does not answer.
func TestClientPing(t *testing.T) {
	pinged := make(chan struct{}, 10)
	c := newClient(t, ClientConfig{
		Address:      script(t, func(p *peer) { p.greetClient(); p.awaitSilently(pinged) }),
		PingInterval: time.Second, PingTimeout: time.Second,
	})
	failed := make(chan error, 1)
	go func() {
		_, err := c.Serve(context.Background(), newRequest("POST", "/", nil))
		failed <- err
	}()
	eventually(t, "one is under way", func() bool { return c.Stats().Streams == 1 })
	time.Sleep(50 * time.Millisecond) // let the settings come, which are a sign of life
	now := protocol.Now()
	c.Sweep(now)
	c.Sweep(now + int64(1500*time.Millisecond))
	await(t, "a ping", pinged)
	c.Sweep(now + int64(3*time.Second))
	if e := protocol.AsError(<-failed); e.Code != protocol.CodeUpstreamReset || e.NotSent {
		t.Errorf("%v", e)
	}
}

// awaitSilently tells of pings and answers nothing.
func (p *peer) awaitSilently(pinged chan<- struct{}) {
	for {
		if f, _ := p.next(); f.kind == framePing {
			pinged <- struct{}{}
		}
	}
}

// TestUnwillingInstance shows that one that allows no streams is not dialled again and again, and is used when it changes
// its mind.
func TestUnwillingInstance(t *testing.T) {
	open := make(chan struct{})
	c := newClient(t, ClientConfig{Address: script(t, func(p *peer) {
		p.greetClient(setting{settingMaxConcurrentStreams, 0})
		<-open
		p.frame(frameSettings, 0, 0, setting6(settingMaxConcurrentStreams, 100)).flush()
		for {
			id, _ := p.awaitRequest()
			p.answer(id, "ok")
		}
	})})
	c.Warm()
	eventually(t, "the settings have come", func() bool { return c.Stats().Open == 1 && c.settings() == 0 })
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { call(t, c, newRequest("GET", "/", nil)) })
	}
	eventually(t, "all wait", func() bool { return c.Stats().Pending == 10 })
	if n := c.Stats(); n.Dialled != 1 {
		t.Errorf("%+v", n)
	}
	close(open)
	wg.Wait()
}

// settings is how many streams the instance allows.
func (c *Client) settings() uint32 {
	cc := c.current.Load()
	cc.mu.Lock()
	defer cc.mu.Unlock()
	return cc.peer.streams
}

func TestWarm(t *testing.T) {
	addr, release := gate(t, 10)
	close(release)
	c := newClient(t, ClientConfig{Address: addr})
	c.Warm()
	eventually(t, "a connection is there", func() bool { return c.Stats().Open == 1 })
	c.Warm()
	call(t, c, newRequest("GET", "/", nil))
	if n := c.Stats(); n.Dialled != 1 {
		t.Errorf("%+v", n)
	}
}

// TestConnectTimeout dials an address that takes connections and does not speak TLS.
func TestConnectTimeout(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, pool := certificate(t)
	c := newClient(t, ClientConfig{Address: ln.Addr().String(), TLS: clientTLS(pool), ConnectTimeout: 50 * time.Millisecond})
	_, err = c.Serve(t.Context(), newRequest("GET", "/", nil))
	if e := protocol.AsError(err); e.Code != protocol.CodeUpstreamTimeout || !e.NotSent {
		t.Errorf("%v", err)
	}
}
