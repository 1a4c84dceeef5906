package grpc

import (
	"sync"

	"github.com/sluice-gateway/sluice/protocol"
)

// queue is a request body that is written while it is sent.
type queue struct {
	mu     sync.Mutex
	wake   sync.Cond
	queued []byte
	out    []byte // handed over
	ended  bool
	closed bool
}

func newQueue() *queue {
	q := new(queue)
	q.wake.L = &q.mu
	return q
}

func (q *queue) put(b []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queued = append(q.queued, b...)
	q.wake.Broadcast()
}

// end says that nothing follows.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.wake.Broadcast()
}

// Next implements protocol.Body.
func (q *queue) Next() ([]byte, bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.queued) == 0 && !q.ended && !q.closed {
		q.wake.Wait()
	}
	if q.closed {
		return nil, false, protocol.ErrBodyClosed
	}
	q.out, q.queued = q.queued, q.out[:0]
	return q.out, !q.ended, nil
}

// Buffered implements protocol.Body.
func (q *queue) Buffered() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queued)
}

// Done implements protocol.Body.
func (q *queue) Done() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ended && len(q.queued) == 0
}

// Rewind implements protocol.Body.
func (q *queue) Rewind() bool { return false }

// Close implements protocol.Body.
func (q *queue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake.Broadcast()
	return nil
}
