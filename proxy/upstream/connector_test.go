package upstream

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
)

// counting is a client that counts what is done to it.
type counting struct{ closed, swept *atomic.Int32 }

func (c counting) Serve(context.Context, *protocol.Request) (*protocol.Response, error) {
	return nil, protocol.NewError(502, protocol.CodeUpstreamReset, "no")
}
func (c counting) Close(context.Context) error { c.closed.Add(1); return nil }
func (c counting) Sweep(int64)                 { c.swept.Add(1) }

func TestConnectorMakesOneClientWhenNeeded(t *testing.T) {
	var made, closed, swept atomic.Int32
	c := &connector{store: newBed(t).Store, dialer: &Dialer{Dial: func(*discovery.Endpoint, *Settings, *balance.Load) Client {
		made.Add(1)
		return counting{&closed, &swept}
	}}}
	c.sweep(0)
	if made.Load() != 0 {
		t.Error("made before it was needed")
	}
	var tasks sync.WaitGroup
	for range 16 {
		tasks.Go(func() {
			if c.client(nil, nil) == nil {
				t.Error("no client")
			}
		})
	}
	tasks.Wait()
	c.sweep(0)
	if err := c.close(context.Background()); err != nil || made.Load() != 1 || swept.Load() != 1 || closed.Load() != 1 {
		t.Errorf("made %d, swept %d, closed %d, %v", made.Load(), swept.Load(), closed.Load(), err)
	}
	if c.client(nil, nil) == nil {
		t.Error("who still holds the state is served by the client, which says what can be done")
	}
}

// TestLeftBeforeItsFirstRequest: a request that met an instance in the moment it left was not sent, so it is tried elsewhere.
func TestLeftBeforeItsFirstRequest(t *testing.T) {
	c := &connector{dialer: &Dialer{}}
	if err := c.close(context.Background()); err != nil {
		t.Fatal(err)
	}
	load := &balance.Load{}
	i := &instance{endpoint: &discovery.Endpoint{ID: "10.0.0.1:80"}, service: &Service{name: "a"}, connector: c, load: load}
	_, err := i.serve(context.Background(), &protocol.Request{Method: "POST"}, protocol.Now())
	if e := protocol.AsError(err); err == nil || !e.NotSent || e.Message != "10.0.0.1:80 has left a" {
		t.Errorf("%v", err)
	}
	if load.InFlight() != 0 || load.Failures() != 0 {
		t.Error("it was counted")
	}
}
