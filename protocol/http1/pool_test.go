package http1

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// get runs one exchange in the background.
func get(c *Client, req *protocol.Request) <-chan answer {
	done := make(chan answer, 1)
	go func() { done <- exchange(context.Background(), c, req) }()
	return done
}

func TestPoolReusesTheNewestConnection(t *testing.T) {
	u := startUpstream(t, func(p *rawPeer) {
		for p.readHead() != "" {
			n := string(rune('0' + p.index))
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + n)
		}
	})
	c := startClient(t, ClientConfig{Address: u.addr()})
	open := func() *protocol.Response {
		resp, err := c.Serve(context.Background(), newRequest("GET", "/"))
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	a, b := open(), open()
	if s := c.Stats(); s.Open != 2 || s.Idle != 0 {
		t.Errorf("stats are %+v", s)
	}
	readAnswer(a)
	readAnswer(b)
	for range 3 {
		mustOK(t, exchange(context.Background(), c, newRequest("GET", "/")), "2")
	}
}

func TestPoolServesWaitersInOrder(t *testing.T) {
	proceed := make(chan struct{})
	u := startUpstream(t, func(p *rawPeer) {
		for p.readHead() != "" {
			<-proceed
			p.send(okAnswer)
		}
	})
	c := startClient(t, ClientConfig{Address: u.addr(), MaxConnections: 1, MaxPending: 3})
	first := get(c, newRequest("GET", "/"))
	eventually(t, "the first request is out", func() bool { return u.accepted.Load() == 1 })
	order := make(chan int, 3)
	for i := range 3 {
		done := get(c, newRequest("GET", "/"))
		go func() { mustOK(t, <-done, "ok"); order <- i }()
		eventually(t, "one more waits", func() bool { return c.Stats().Pending == i+1 })
	}
	e := mustFail(t, (<-get(c, newRequest("GET", "/"))).err, 503, protocol.CodeUpstreamBusy)
	if !e.NotSent {
		t.Error("the error does not say that nothing was sent")
	}
	proceed <- struct{}{}
	mustOK(t, <-first, "ok")
	for i := range 3 {
		proceed <- struct{}{}
		if got := <-order; got != i {
			t.Errorf("request %d was served as number %d", got, i)
		}
	}
	if s := c.Stats(); s != (ClientStats{Open: 1, Idle: 1, Dialled: 1, Reused: 3}) {
		t.Errorf("stats are %+v", s)
	}
}

func TestPoolWithoutWaiting(t *testing.T) {
	proceed := make(chan struct{})
	u := startUpstream(t, func(p *rawPeer) { p.readHead(); <-proceed; p.send(okAnswer) })
	c := startClient(t, ClientConfig{Address: u.addr(), MaxConnections: 1, MaxPending: -1})
	first := get(c, newRequest("GET", "/"))
	eventually(t, "the first request is out", func() bool { return u.accepted.Load() == 1 })
	mustFail(t, (<-get(c, newRequest("GET", "/"))).err, 503, protocol.CodeUpstreamBusy)
	close(proceed)
	mustOK(t, <-first, "ok")
}

// A connection that ends gives its place to the longest waiting request, and so does a dial that fails.
func TestPoolPassesAPlaceOn(t *testing.T) {
	u := startUpstream(t, func(p *rawPeer) {
		if p.readHead() == "" {
			return
		}
		if p.index == 1 {
			return // no answer: the first exchange fails
		}
		p.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
	})
	c := startClient(t, ClientConfig{Address: u.addr(), MaxConnections: 1})
	var all [8]<-chan answer
	for i := range all {
		all[i] = get(c, newRequest("GET", "/"))
	}
	failures := 0
	for _, done := range all {
		if a := <-done; a.err != nil {
			mustFail(t, a.err, 502, protocol.CodeUpstreamReset)
			failures++
		}
	}
	if failures != 1 {
		t.Errorf("%d exchanges failed, want 1", failures)
	}
	if s := c.Stats(); s.Open != 0 || s.Dialled != 8 {
		t.Errorf("stats are %+v", s)
	}
	u.stop()
	for i := range all {
		all[i] = get(c, newRequest("GET", "/"))
	}
	for _, done := range all {
		e := mustFail(t, (<-done).err, 502, protocol.CodeUpstreamConnect)
		if !e.NotSent || e.Cause == nil || !strings.Contains(e.Cause.Error(), "refused") {
			t.Errorf("got %v", e)
		}
	}
	if s := c.Stats(); s.Open != 0 || s.Pending != 0 {
		t.Errorf("stats are %+v", s)
	}
}

func TestPoolWaitEndsByDeadlineAndWhenTheClientLeaves(t *testing.T) {
	proceed := make(chan struct{})
	u := startUpstream(t, func(p *rawPeer) { p.readHead(); <-proceed; p.send(okAnswer) })
	c := startClient(t, ClientConfig{Address: u.addr(), MaxConnections: 1})
	first := get(c, newRequest("GET", "/"))
	eventually(t, "the first request is out", func() bool { return u.accepted.Load() == 1 })

	req := newRequest("GET", "/")
	req.Deadline = protocol.Now() + int64(20*time.Millisecond)
	if e := mustFail(t, (<-get(c, req)).err, 504, protocol.CodeUpstreamTimeout); !e.NotSent {
		t.Error("the error does not say that nothing was sent")
	}

	ctx := newLeaving()
	ctx.leave()
	if e := mustFail(t, exchange(ctx, c, newRequest("GET", "/")).err, 499, protocol.CodeClientGone); !e.NotSent {
		t.Error("the error does not say that nothing was sent")
	}
	if s := c.Stats(); s.Pending != 0 {
		t.Errorf("stats are %+v", s)
	}
	close(proceed)
	mustOK(t, <-first, "ok")
}

func TestSweepDropsWhatIsOldOrClosed(t *testing.T) {
	second := int64(time.Second)
	hang := make(chan *rawPeer, 4)
	script := func(p *rawPeer) {
		if p.readHead() == "" {
			return
		}
		p.send(okAnswer)
		hang <- p
		p.waitClosed()
	}
	tests := []struct {
		name  string
		cfg   ClientConfig
		after int64
		act   func(p *rawPeer)
		open  int
	}{
		{"young", ClientConfig{IdleTimeout: time.Minute, MaxAge: time.Minute}, 30 * second, nil, 1},
		{"no limits", ClientConfig{}, 1e6 * second, nil, 1},
		{"idle for too long", ClientConfig{IdleTimeout: time.Minute}, 61 * second, nil, 0},
		{"too old", ClientConfig{MaxAge: time.Minute}, 61 * second, nil, 0},
		{"closed by the instance", ClientConfig{}, second, func(p *rawPeer) { p.Close() }, 0},
		{"reset by the instance", ClientConfig{}, second, func(p *rawPeer) { p.reset() }, 0},
		{"unasked bytes", ClientConfig{}, second, func(p *rawPeer) { p.send("HTTP/1.1 408 Request Timeout\r\n\r\n") }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := startUpstream(t, script)
			tt.cfg.Address = u.addr()
			c := startClient(t, tt.cfg)
			mustOK(t, exchange(context.Background(), c, newRequest("GET", "/")), "ok")
			p := <-hang
			now := protocol.Now()
			if tt.act == nil {
				c.Sweep(now + tt.after)
			} else {
				tt.act(p)
				eventually(t, "sweep notices", func() bool { c.Sweep(now); return c.Stats().Open == tt.open })
			}
			if s := c.Stats(); s.Open != tt.open || s.Idle != tt.open {
				t.Errorf("stats are %+v, want %d open", s, tt.open)
			}
		})
	}
}

// Picking takes the newest only, so the old ones at the bottom are sweep's: all of them by one poll.
func TestSweepReachesTheBottom(t *testing.T) {
	gate := make(chan struct{})
	var mu sync.Mutex
	var peers []*rawPeer
	u := startUpstream(t, func(p *rawPeer) {
		mu.Lock()
		peers = append(peers, p)
		mu.Unlock()
		for p.readHead() != "" {
			<-gate
			p.send(okAnswer)
		}
	})
	c := startClient(t, ClientConfig{Address: u.addr()})
	var all [10]<-chan answer
	for i := range all {
		all[i] = get(c, newRequest("GET", "/"))
	}
	eventually(t, "all are out", func() bool { return u.accepted.Load() == 10 })
	close(gate)
	for _, done := range all {
		mustOK(t, <-done, "ok")
	}
	c.Sweep(protocol.Now())
	if s := c.Stats(); s.Idle != 10 {
		t.Fatalf("stats are %+v, want 10 idle", s)
	}
	mu.Lock()
	for _, p := range peers[:7] {
		p.Close()
	}
	mu.Unlock()
	eventually(t, "sweep finds 7", func() bool { c.Sweep(protocol.Now()); return c.Stats().Idle == 3 })
	for range 5 {
		mustOK(t, exchange(context.Background(), c, newRequest("GET", "/")), "ok")
	}
	if s := c.Stats(); s.Open != 3 || s.Dialled != 10 {
		t.Errorf("stats are %+v", s)
	}
}

func TestOldConnectionsAreNotPicked(t *testing.T) {
	for name, cfg := range map[string]ClientConfig{"idle": {IdleTimeout: time.Nanosecond}, "age": {MaxAge: time.Nanosecond}} {
		t.Run(name, func(t *testing.T) {
			u := startUpstream(t, answering(okAnswer))
			cfg.Address = u.addr()
			c := startClient(t, cfg)
			for range 3 {
				mustOK(t, exchange(context.Background(), c, newRequest("GET", "/")), "ok")
			}
			if s := c.Stats(); s.Dialled != 3 || s.Reused != 0 {
				t.Errorf("stats are %+v", s)
			}
		})
	}
}

func TestKeepAliveTime(t *testing.T) {
	const second = int64(time.Second)
	for list, want := range map[string]int64{
		"timeout=5": 4 * second, "max=100, Timeout=60": 59 * second, "timeout=1": second / 2, "timeout=0": 1,
		"": 0, "max=100": 0, "timeout": 0, "timeout=-1": 0, "timeout=x, timeout=3": 2 * second, "timeout=99999999999999": 0,
	} {
		if got := keepAliveTime(list); got != want {
			t.Errorf("%q: got %d, want %d", list, got, want)
		}
	}
}

// An instance that says for how long it keeps idle connections (Node says 5 seconds) is believed, or a request would now
// and then be sent just as it closes.
func TestInstancesKeepAliveIsObeyed(t *testing.T) {
	u := startUpstream(t, answering("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=9\r\nContent-Length: 2\r\n\r\nok"))
	c := startClient(t, ClientConfig{Address: u.addr(), IdleTimeout: time.Hour})
	mustOK(t, exchange(context.Background(), c, newRequest("GET", "/")), "ok")
	c.Sweep(protocol.Now() + int64(3*time.Second))
	if s := c.Stats(); s.Idle != 1 {
		t.Errorf("stats are %+v", s)
	}
	c.Sweep(protocol.Now() + int64(5*time.Second))
	if s := c.Stats(); s.Idle != 0 {
		t.Errorf("stats are %+v", s)
	}
}

func TestCloseTurnsRequestsAway(t *testing.T) {
	proceed := make(chan struct{})
	closed := make(chan struct{})
	u := startUpstream(t, func(p *rawPeer) {
		p.readHead()
		<-proceed
		p.send(okAnswer)
		p.waitClosed()
		close(closed)
	})
	c := startClient(t, ClientConfig{Address: u.addr(), MaxConnections: 1})
	busy := get(c, newRequest("GET", "/"))
	eventually(t, "the first request is out", func() bool { return u.accepted.Load() == 1 })
	waiting := get(c, newRequest("GET", "/"))
	eventually(t, "the second waits", func() bool { return c.Stats().Pending == 1 })

	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if e := mustFail(t, (<-waiting).err, 502, protocol.CodeUpstreamConnect); !e.NotSent {
		t.Error("the error does not say that nothing was sent")
	}
	mustFail(t, (<-get(c, newRequest("GET", "/"))).err, 502, protocol.CodeUpstreamConnect)
	close(proceed)
	mustOK(t, <-busy, "ok") // what was under way ends well
	<-closed
	if s := c.Stats(); s.Open != 0 || s.Idle != 0 {
		t.Errorf("stats are %+v", s)
	}
}
