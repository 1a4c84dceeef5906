package http1

import (
	"sync"

	"github.com/sluice-gateway/sluice/protocol"
)

// workers lends goroutines to request bodies that are sent while the answer is read. They are kept warm, last in, first
// out: a fresh goroutine pays for the growth of its stack on its first write.
type workers struct {
	mu     sync.Mutex
	idle   []*worker // newest last
	closed bool
}

type worker struct {
	jobs  chan *pump // buffered: an idle worker's holds nothing
	ended chan struct{}
	since int64
}

// run sends p's body on a worker.
func (w *workers) run(p *pump) {
	w.mu.Lock()
	if n := len(w.idle); n > 0 {
		k := w.idle[n-1]
		w.idle[n-1] = nil
		w.idle = w.idle[:n-1]
		w.mu.Unlock()
		k.jobs <- p
		return
	}
	w.mu.Unlock()
	k := &worker{jobs: make(chan *pump, 1), ended: make(chan struct{})}
	go w.serve(k, p)
}

func (w *workers) serve(k *worker, p *pump) {
	defer close(k.ended)
	for p != nil {
		// The worker is idle before the exchange learns that its body is sent: the next exchange finds it then.
		p.send()
		again := w.park(k, protocol.Now())
		p.done <- struct{}{}
		if !again {
			return
		}
		p = <-k.jobs // nil when closed
	}
}

func (w *workers) park(k *worker, now int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	k.since = now
	w.idle = append(w.idle, k)
	return true
}

// sweep ends workers that have been idle since before.
func (w *workers) sweep(before int64) {
	w.mu.Lock()
	n := 0
	for n < len(w.idle) && w.idle[n].since < before {
		close(w.idle[n].jobs)
		n++
	}
	w.idle = append(w.idle[:0], w.idle[n:]...)
	clear(w.idle[len(w.idle):cap(w.idle)])
	w.mu.Unlock()
}

// close ends the idle workers and waits for them. Each busy one ends with its exchange, which waits for it.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	idle := w.idle
	w.idle = nil
	w.mu.Unlock()
	for _, k := range idle {
		close(k.jobs)
	}
	for _, k := range idle {
		<-k.ended
	}
}
