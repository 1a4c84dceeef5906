package upstream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
)

// limits bound how many requests a service and its instances have at once. What is over them waits in a short queue for
// the next request that ends, and is refused when that is full or takes too long: work that nobody will wait for any more
// must not be begun.
type limits struct {
	rule     config.RequestLimits
	inflight atomic.Int64 // of the service; counted only when there is a limit for it
	waiting  atomic.Int32

	mu    sync.Mutex
	queue []*waiter // the oldest first
}

type waiter struct {
	turn chan struct{}
}

// newLimits is nil for a service without limits, whose requests then pay nothing.
func newLimits(rule config.RequestLimits) *limits {
	if rule.Service == 0 && rule.Instance == 0 && !rule.Adaptive {
		return nil
	}
	return &limits{rule: rule}
}

// enter reserves a place for a request, waiting for one if need be, and returns the instance that has it.
func (l *limits) enter(ctx context.Context, req *protocol.Request, st *state, tried []*balance.Load) (*instance, *protocol.Error) {
	patience := int64(l.rule.QueueTimeout)
	var deadline int64
	for {
		now := protocol.Now()
		if i := l.reserve(req, st, now, tried); i != nil {
			return i, nil
		}
		if deadline == 0 {
			deadline = now + patience
			if req.Deadline != 0 {
				deadline = min(deadline, req.Deadline)
			}
		}
		if !l.wait(ctx, req, time.Duration(deadline-now), st, tried) {
			return nil, st.overloaded()
		}
	}
}

// reserve takes a place of the service and of one of its instances, or none.
func (l *limits) reserve(req *protocol.Request, st *state, now int64, tried []*balance.Load) *instance {
	if l.rule.Service > 0 && l.inflight.Add(1) > int64(l.rule.Service) {
		l.inflight.Add(-1)
		return nil
	}
	// A pick avoids those that are full. It may race with others for the last place of one; then the next pick avoids it.
	for range 3 {
		i := st.choose(now, req, tried)
		if i.load.Reserve(l.limit(i)) {
			return i
		}
	}
	if l.rule.Service > 0 {
		l.inflight.Add(-1)
	}
	return nil
}

func (l *limits) limit(i *instance) int64 {
	if l.rule.Adaptive {
		return i.load.Limit(int64(l.rule.Instance))
	}
	if l.rule.Instance > 0 {
		return int64(l.rule.Instance)
	}
	return 1 << 40
}

// wait queues until a place may be free. It reports false when there is no room, or the time is over.
func (l *limits) wait(ctx context.Context, req *protocol.Request, patience time.Duration, st *state, tried []*balance.Load) bool {
	if patience <= 0 {
		return false
	}
	w := &waiter{turn: make(chan struct{}, 1)}
	l.mu.Lock()
	if len(l.queue) >= l.rule.Queue {
		l.mu.Unlock()
		return false
	}
	l.queue = append(l.queue, w)
	l.waiting.Store(int32(len(l.queue)))
	l.mu.Unlock()
	// A request that ended before it could see the queue has woken nobody.
	if i := l.reserve(req, st, protocol.Now(), tried); i != nil {
		l.release(i)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-w.turn:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	if l.leave(w) {
		return false
	}
	l.wake() // a turn that came too late for this one is another's
	return false
}

// leave takes a waiter out of the queue; false means that its turn has come meanwhile.
func (l *limits) leave(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n, other := range l.queue {
		if other == w {
			l.queue = append(l.queue[:n], l.queue[n+1:]...)
			l.waiting.Store(int32(len(l.queue)))
			return true
		}
	}
	return false
}

// release gives a request's places back, and its turn to the next.
func (l *limits) release(i *instance) {
	i.load.End()
	i.load.Relieve(l.limit(i))
	if l.rule.Service > 0 {
		l.inflight.Add(-1)
	}
	if l.waiting.Load() > 0 {
		l.wake()
	}
}

// wake lets one waiter try: the oldest, and under overload (more than half of the queue is taken) the newest, since the
// oldest will hardly be served before its client gives up, and serving them all late helps nobody.
func (l *limits) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.queue)
	if n == 0 {
		return
	}
	next := 0
	if 2*n > l.rule.Queue {
		next = n - 1
	}
	w := l.queue[next]
	l.queue = append(l.queue[:next], l.queue[next+1:]...)
	l.waiting.Store(int32(len(l.queue)))
	w.turn <- struct{}{}
}
