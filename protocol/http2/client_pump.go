package http2

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/sluice-gateway/sluice/protocol"
)

// pump sends the rest of a request's body, on a worker, while the exchange reads the answer.
type pump struct {
	s      *clientStream
	active bool // prepared and not yet stopped
	held   bool // prepared, but the instance has not said 100 (Continue) yet
	done   chan struct{}

	// Set before the worker starts, and then the worker's.
	body    protocol.Body
	trailer *protocol.Header
	length  int64
	sent    int64
	rest    []byte // of the piece that was handed over last
	more    bool

	waits bool // its body may make it wait; under conn.mu
	left  bool // the stream ended before the body was read; the worker's
}

func (p *pump) reset() {
	p.active, p.held, p.body, p.trailer, p.rest, p.sent, p.waits, p.left = false, false, nil, nil, nil, 0, false, false
}

func (p *pump) prepare(rest []byte, more bool) {
	req := p.s.req
	p.active = true
	p.body, p.trailer, p.length, p.rest, p.more = req.Body, &req.Trailer, req.ContentLength, rest, more
}

// release lets a held body go.
func (p *pump) release() {
	if p.held {
		p.held = false
		p.s.conn.client.workers.run(p)
	}
}

// count checks a piece against the announced length.
func (p *pump) count(piece []byte, more bool) error {
	p.sent += int64(len(piece))
	if n := p.s.req.ContentLength; n >= 0 && (p.sent > n || !more && p.sent != n) {
		return errLength
	}
	return nil
}

// send runs on the worker. A body that panics (filters may have wrapped it) ends its exchange and nothing else.
func (p *pump) send() {
	s := p.s
	defer func() {
		if v := recover(); v != nil {
			s.fail(&bodyError{s.conn.client.failure(500, protocol.CodeInternal, "the gateway failed to handle the request",
				"send body", false, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))})
		}
	}()
	readErr, writeErr := p.transfer()
	switch {
	case readErr != nil:
		s.fail(&bodyError{readErr})
	case errors.Is(writeErr, errWriteStalled):
		s.fail(&bodyError{writeErr})
	}
	s.sentAt.Store(protocol.Now()) // other errors of the stream are its reader's to find
}

func (p *pump) transfer() (readErr, writeErr error) {
	s := p.s
	c := s.c
	piece, more := p.rest, p.more
	for {
		end := !more && p.trailer.Len() == 0
		if len(piece) > 0 || end {
			if err := s.sendData(piece, end, s); err != nil {
				return nil, err
			}
		}
		c.mu.Lock()
		if !more {
			if !end && s.listed && !s.sendEnd {
				s.endWithTrailers(p.trailer)
			}
			c.commit()
			return nil, nil
		}
		c.mu.Unlock()
		var wanted bool
		var err error
		if piece, more, wanted, err = p.next(); err != nil || !wanted {
			return err, nil
		}
		p.sent += int64(len(piece))
		if p.length >= 0 && (p.sent > p.length || !more && p.sent != p.length) {
			return errLength, nil
		}
	}
}

// next takes the body's next piece. When the stream has ended, it leaves the body as it is: a request that was not processed
// may be sent again.
func (p *pump) next() (piece []byte, more, wanted bool, err error) {
	s := p.s
	c := s.c
	waits := p.body.Buffered() == 0 && !p.body.Done()
	c.mu.Lock()
	if over := s.err != nil || s.sendEnd || !s.listed; over {
		c.mu.Unlock()
		p.left = true
		return nil, false, false, nil
	}
	if waits {
		p.waits = true
		c.commit()
	} else {
		c.mu.Unlock()
	}
	piece, more, err = p.body.Next()
	if waits {
		c.mu.Lock()
		p.waits = false
		c.mu.Unlock()
	}
	return piece, more, true, err
}

// stop sees to it that nobody reads the request's body any more. The stream has ended. Without an answer the body is closed
// only if its reader may have to be woken: else the reader finds out by itself, and what it has read can be rewound.
func (p *pump) stop() {
	if !p.active {
		return
	}
	p.active = false
	if p.held {
		return
	}
	s := p.s
	s.c.mu.Lock()
	waits, answered := p.waits, s.status != 0
	s.c.mu.Unlock()
	if waits || answered && s.sentAt.Load() == 0 {
		_ = p.body.Close()
	}
	<-p.done
	if answered && p.left {
		_ = p.body.Close() // the rest is not wanted
	}
}

func hasTrailers(te string) bool {
	for token := range strings.SplitSeq(te, ",") {
		if protocol.EqualFold(strings.Trim(token, " \t"), "trailers") {
			return true
		}
	}
	return false
}

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
	defer w.mu.Unlock()
	n := 0
	for n < len(w.idle) && w.idle[n].since < before {
		close(w.idle[n].jobs)
		n++
	}
	w.idle = append(w.idle[:0], w.idle[n:]...)
	clear(w.idle[len(w.idle):cap(w.idle)])
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
