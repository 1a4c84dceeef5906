package http2

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// chaosHandler does what the path says.
func chaosHandler(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
	switch req.Path {
	case "/echo":
		return echoHandler(ctx, req)
	case "/read":
		b, err := protocol.ReadAll(nil, req.Body, 64<<20)
		if err != nil {
			return nil, err
		}
		resp := reply(req, 200, string(b))
		resp.Trailer.Add("x-sum", fmt.Sprint(len(b)))
		return resp, nil
	case "/early":
		return reply(req, 200, "early"), nil
	case "/error":
		return nil, protocol.NewError(503, protocol.CodeOverloaded, "no")
	case "/panic":
		panic("chaos")
	case "/wait":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return reply(req, 200, ""), nil
}

// slowBody hands its content over in pieces, some of them late, so that it is never all at hand.
type slowBody struct {
	rest   []byte
	rng    *rand.Rand
	closed atomic.Bool
}

func (b *slowBody) Next() ([]byte, bool, error) {
	if b.closed.Load() {
		return nil, false, protocol.ErrBodyClosed
	}
	if b.rng.IntN(3) == 0 {
		time.Sleep(time.Duration(b.rng.IntN(500)) * time.Microsecond)
	}
	n := min(len(b.rest), 1+b.rng.IntN(30000))
	piece := b.rest[:n]
	b.rest = b.rest[n:]
	return piece, len(b.rest) > 0, nil
}
func (b *slowBody) Buffered() int { return 0 }
func (b *slowBody) Done() bool    { return len(b.rest) == 0 }
func (b *slowBody) Rewind() bool  { return false }
func (b *slowBody) Close() error  { b.closed.Store(true); return nil }

// TestChaos runs exchanges of every kind at once through two of our servers and clients, many of them cut short, and looks
// at what is left when they are over. Under the race detector memory of ended exchanges is overwritten, so that each body
// that comes back right also shows that nothing was used too long.
func TestChaos(t *testing.T) {
	inner, upstream := startServer(t, ServerConfig{Limits: Limits{Streams: 40}}, chaosHandler)
	back := newClient(t, ClientConfig{Address: upstream})
	outer, addr := startServer(t, ServerConfig{Limits: Limits{Streams: 30}}, back.Serve)
	front := newClient(t, ClientConfig{Address: addr})
	rounds := 60
	if testing.Short() || protocol.Poisoning {
		rounds = 12
	}
	var wg sync.WaitGroup
	var whole, cut atomic.Int64
	for i := range 40 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			for range rounds {
				if chaos(t, front, rng) {
					whole.Add(1)
				} else {
					cut.Add(1)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d whole, %d cut short, %+v, %+v", whole.Load(), cut.Load(), front.Stats(), back.Stats())
	if whole.Load() < cut.Load()/4 || cut.Load() == 0 {
		t.Errorf("%d whole, %d cut short", whole.Load(), cut.Load())
	}
	eventually(t, "nothing is under way", func() bool {
		return front.Stats().Streams == 0 && back.Stats().Streams == 0 && outer.Stats().InFlight == 0 && inner.Stats().InFlight == 0
	})
	for _, c := range []*Client{front, back} {
		c.pool.mu.Lock()
		for _, cc := range c.pool.conns {
			cc.mu.Lock()
			if cc.buffered != 0 || cc.waiting.first != nil {
				t.Errorf("client holds %d octets, or somebody in the queue", cc.buffered)
			}
			cc.mu.Unlock()
		}
		c.pool.mu.Unlock()
	}
	for _, s := range []*Server{outer, inner} {
		eventually(t, "the server holds nothing", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			for c := s.first; c != nil; c = c.next {
				c.mu.Lock()
				clean := c.buffered == 0 && c.running == 0 && len(c.streams) == 0 && c.waiting.first == nil
				c.mu.Unlock()
				if !clean {
					return false
				}
			}
			return true
		})
	}
}

// chaos does one exchange and reports whether it came to its end.
func chaos(t *testing.T, c *Client, rng *rand.Rand) (whole bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	size := []int{0, 10, 1000, 20000, 100000, 600000}[rng.IntN(6)]
	body := bytes.Repeat([]byte{byte('a' + rng.IntN(26))}, size)
	path := []string{"/echo", "/read", "/echo", "/read", "/early", "/error", "/panic", "/wait"}[rng.IntN(8)]
	req := newRequest("POST", path, body)
	if rng.IntN(2) == 0 {
		req.Body, req.ContentLength = &slowBody{rest: body, rng: rand.New(rand.NewPCG(rng.Uint64(), 1))}, protocol.UnknownLength
	}
	short := path == "/wait" || rng.IntN(5) == 0
	if short {
		switch rng.IntN(2) {
		case 0:
			req.NarrowDeadline(int64(rng.IntN(20)+1) * int64(time.Millisecond))
		case 1:
			req.NarrowDeadline(int64(5 * time.Second))
			time.AfterFunc(time.Duration(rng.IntN(5000))*time.Microsecond, cancel)
		}
	}
	resp, err := c.Serve(ctx, req)
	if err != nil {
		// Those that were cut short may be cleaning up still, which counts: then the server has no room.
		busy := protocol.AsError(err).Code == protocol.CodeUpstreamBusy
		if !short && !busy {
			t.Errorf("%s of %d: %v", path, size, err)
		}
		return false
	}
	defer resp.Close()
	if rng.IntN(10) == 0 {
		return false // not read
	}
	got, err := protocol.ReadAll(nil, resp.Body, 64<<20)
	switch {
	case err != nil && !short:
		t.Errorf("%s of %d: read: %v", path, size, err)
	case err != nil:
		return false
	case (path == "/echo" || path == "/read") && resp.Status == 200 && !bytes.Equal(got, body):
		t.Errorf("%s: %d octets came back as %d", path, size, len(got))
	case path == "/read" && resp.Status == 200 && size > 0 && resp.Trailer.Get("x-sum") != fmt.Sprint(size):
		t.Errorf("%s: trailer %q", path, resp.Trailer.Get("x-sum"))
	case path == "/early" && string(got) != "early":
		t.Errorf("%s: %q", path, got)
	case path == "/error" && resp.Status != 503, path == "/panic" && resp.Status != 500:
		t.Errorf("%s: %d", path, resp.Status)
	}
	return true
}
