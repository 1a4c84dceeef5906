package dubbo

import (
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
)

// call is one request in flight. Whoever removes it from the pending calls of its connection, and nobody else, completes
// it; so it is free for use again as soon as its waiter has either removed it itself or been told that it is done.
type call struct {
	id uint64
	// start is where the request's frame begins in all that the connection was ever given to write.
	start uint64
	// size is the length of the request's body.
	size int
	// done holds one token when the fields below are set.
	done  chan struct{}
	timer *time.Timer

	header frame.Header
	body   []byte
	err    error
	// notSent goes with err: no byte of the request was handed to the system.
	notSent bool
}

// calls pools calls of every connection. A call is put back only when no connection can reach it any more.
type calls struct{ pool sync.Pool }

func (p *calls) get() *call {
	if c, ok := p.pool.Get().(*call); ok {
		return c
	}
	c := &call{done: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	c.timer.Stop()
	return c
}

func (p *calls) put(c *call) {
	if protocol.Poisoning {
		for i := range c.body {
			c.body[i] = '#'
		}
	}
	if cap(c.body) > frame.KeptBody {
		c.body = nil
	}
	c.body = c.body[:0]
	c.err, c.notSent = nil, false
	p.pool.Put(c)
}

// pendingShards is a power of two. Calls are spread by number so that writers and the reader seldom meet at a lock.
const pendingShards = 8

// pending are the calls that wait for a frame with their number.
type pending struct {
	shards [pendingShards]struct {
		mu    sync.Mutex
		calls map[uint64]*call
		_     [40]byte // a shard to a cache line
	}
}

func newPending() *pending {
	p := &pending{}
	for i := range p.shards {
		p.shards[i].calls = map[uint64]*call{}
	}
	return p
}

func (p *pending) add(c *call) {
	s := &p.shards[c.id%pendingShards]
	s.mu.Lock()
	s.calls[c.id] = c
	s.mu.Unlock()
}

// take removes and returns the call of this number, or nil if it has been taken before.
func (p *pending) take(id uint64) *call {
	s := &p.shards[id%pendingShards]
	s.mu.Lock()
	c := s.calls[id]
	if c != nil {
		delete(s.calls, id)
	}
	s.mu.Unlock()
	return c
}

// takeAll empties p.
func (p *pending) takeAll() []*call {
	var all []*call
	for i := range p.shards {
		s := &p.shards[i]
		s.mu.Lock()
		for id, c := range s.calls {
			all = append(all, c)
			delete(s.calls, id)
		}
		s.mu.Unlock()
	}
	return all
}
