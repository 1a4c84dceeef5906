package http1

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// A connection that the instance closed while it was idle is noticed before anything is sent, whatever the method.
func TestClientNoticesAClosedConnectionBeforeSending(t *testing.T) {
	for _, how := range []string{"fin", "rst", "data", "data and fin"} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(how+"/"+method, func(t *testing.T) {
				done := make(chan struct{}, 2)
				u := startUpstream(t, func(p *rawPeer) {
					for {
						if _, _, ok := p.readRequest(); !ok {
							return
						}
						p.send(okAnswer)
						if p.index == 1 {
							if strings.Contains(how, "data") {
								p.send("HTTP/1.1 408 Too Slow\r\nContent-Length: 4\r\n\r\nevil")
							}
							if how == "rst" {
								time.Sleep(10 * time.Millisecond) // or it overtakes the answer
								p.reset()
							}
							if strings.HasSuffix(how, "fin") {
								p.Close()
							}
							done <- struct{}{}
						}
					}
				})
				c := startClient(t, ClientConfig{Address: u.addr()})
				mustOK(t, exchange(context.Background(), c, newRequest(method, "/")), "ok")
				<-done
				time.Sleep(10 * time.Millisecond) // the segment is on its way
				body := protocol.NewBytes([]byte("data"))
				mustOK(t, exchange(context.Background(), c, withBody(newRequest(method, "/"), body, 4)), "ok")
				if s := c.Stats(); s.Retried != 0 || s.Dialled != 2 || s.Open != 1 {
					t.Errorf("stats are %+v", s)
				}
			})
		}
	}
}

// onlyOnce is a body that can be sent once.
type onlyOnce struct{ *protocol.Bytes }

func (onlyOnce) Rewind() bool { return false }

// A connection that ends after the request was written and before any answer: the instance may have executed the request.
func TestClientRetriesOnceWhereThatIsSafe(t *testing.T) {
	data := func() protocol.Body { return protocol.NewBytes([]byte("data")) }
	tests := []struct {
		name, method string
		body         protocol.Body
		partial      string // what comes before the end
		first        bool   // the connection is fresh
		always       bool   // every connection ends so
		retried      bool
	}{
		{name: "GET", method: "GET", retried: true},
		{name: "HEAD", method: "HEAD", retried: true},
		{name: "PUT with a body", method: "PUT", body: data(), retried: true},
		{name: "PUT with a body sent once", method: "PUT", body: onlyOnce{protocol.NewBytes([]byte("data"))}},
		{name: "DELETE", method: "DELETE", retried: true},
		{name: "POST", method: "POST"},
		{name: "POST with a body", method: "POST", body: data()},
		{name: "PATCH", method: "PATCH", body: data()},
		{name: "own method", method: "PURGE"},
		{name: "GET with half an answer", method: "GET", partial: "HTTP/1.1 2"},
		{name: "GET with an interim answer", method: "GET", partial: "HTTP/1.1 102 Processing\r\n\r\n"},
		{name: "GET on a fresh connection", method: "GET", first: true},
		{name: "GET twice in vain", method: "GET", always: true, retried: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			u := startUpstream(t, func(p *rawPeer) {
				for n := 1; ; n++ {
					_, body, ok := p.readRequest()
					if !ok {
						return
					}
					if tt.body != nil && n > 1 && body != "data" {
						t.Errorf("the instance got body %q", body)
					}
					requests.Add(1)
					if p.index == 1 && n == 2 || tt.first || tt.always && requests.Load() > 1 {
						p.send(tt.partial)
						return
					}
					p.send(strings.ReplaceAll(okAnswer, "ok", "ok"))
				}
			})
			c := startClient(t, ClientConfig{Address: u.addr()})
			if !tt.first {
				mustOK(t, exchange(context.Background(), c, newRequest("GET", "/warm")), "ok")
			}
			req := newRequest(tt.method, "/")
			if tt.body != nil {
				withBody(req, tt.body, 4)
			}
			a := exchange(context.Background(), c, req)
			if tt.retried && !tt.always {
				if a.err != nil || a.status != 200 {
					t.Errorf("got %+v", a)
				}
			} else if e := mustFail(t, a.err, 502, protocol.CodeUpstreamReset); e.NotSent {
				t.Error("the error says that nothing was sent")
			}
			want := uint64(0)
			if tt.retried {
				want = 1
			}
			if s := c.Stats(); s.Retried != want {
				t.Errorf("stats are %+v, want %d retried", s, want)
			}
		})
	}
}

// The race that cannot be won by looking: the instance closes while the request is on its way. Idempotent requests never
// show it, whatever the moment.
func TestClientSurvivesClosingRaces(t *testing.T) {
	u := startUpstream(t, func(p *rawPeer) {
		for n := 0; ; n++ {
			if _, _, ok := p.readRequest(); !ok {
				return
			}
			p.send(okAnswer)
			if n == p.index%3 {
				time.Sleep(time.Duration(p.index%7) * 10 * time.Microsecond)
				return
			}
		}
	})
	c := startClient(t, ClientConfig{Address: u.addr()})
	for range 500 {
		mustOK(t, exchange(context.Background(), c, newRequest("GET", "/")), "ok")
	}
	if s := c.Stats(); s.Open > 1 || s.Open != s.Idle {
		t.Errorf("stats are %+v", s)
	}
}

// After a restart of the instance all idle connections are dead. One request steps over all of them.
func TestClientStepsOverManyDeadConnections(t *testing.T) {
	gate := make(chan struct{})
	u := startUpstream(t, func(p *rawPeer) {
		p.readHead()
		if p.index <= 10 {
			<-gate
		}
		p.send(okAnswer)
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
	time.Sleep(10 * time.Millisecond)
	mustOK(t, exchange(context.Background(), c, newRequest("POST", "/")), "ok")
	if s := c.Stats(); s.Dialled != 11 || s.Retried != 0 {
		t.Errorf("stats are %+v", s)
	}
}
