package discovery

import (
	"sync"
	"time"
)

const (
	// coalesce is the least time between two notices of one subject: a storm of pushes costs its subscribers ten a second.
	coalesce = 100 * time.Millisecond
	// tellers is how many callbacks may run at once, so that a slow one delays a part of the others only.
	tellers = 4
)

// dispatcher calls subscribers in its own goroutines, for all feeds. The first change of a feed is told at once, the next
// not before coalesce has passed; what is told is what is newest then.
type dispatcher struct {
	clock *clock
	tasks sync.WaitGroup

	mu     sync.Mutex
	more   *sync.Cond
	ready  []told
	begun  bool
	closed bool
}

// told is a feed as the dispatcher sees it.
type told interface {
	// deliver tells every subscriber the newest value that it does not know yet. It runs in one goroutine at a time.
	deliver()
	place() *turn
}

// turn is a feed's place at the dispatcher, guarded by its lock.
type turn struct {
	phase phase
	again bool      // changed while it was being told
	next  time.Time // not before
}

type phase uint8

const (
	idle    phase = iota
	delayed       // waits for the clock
	queued        // waits for a teller
	telling
)

func newDispatcher(c *clock) *dispatcher {
	d := &dispatcher{clock: c}
	d.more = sync.NewCond(&d.mu)
	return d
}

// mark says that f has changed. It never waits for a subscriber.
func (d *dispatcher) mark(f told) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch t := f.place(); t.phase {
	case idle:
		d.enqueue(f, t)
	case telling:
		t.again = true
	case delayed, queued: // it will be told anyway, and what is newest then
	}
}

func (d *dispatcher) enqueue(f told, t *turn) {
	if d.closed {
		return
	}
	if wait := time.Until(t.next); wait > 0 {
		t.phase = delayed
		d.clock.after(wait, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.push(f, t)
		})
		return
	}
	d.push(f, t)
}

func (d *dispatcher) push(f told, t *turn) {
	t.phase = queued
	d.ready = append(d.ready, f)
	if !d.begun && !d.closed {
		d.begun = true
		for range tellers {
			d.tasks.Go(d.tell)
		}
	}
	d.more.Signal()
}

func (d *dispatcher) tell() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		for len(d.ready) == 0 && !d.closed {
			d.more.Wait()
		}
		if d.closed {
			return
		}
		f := d.ready[0]
		d.ready[0] = nil
		d.ready = d.ready[1:]
		t := f.place()
		t.phase, t.next = telling, time.Now().Add(coalesce)
		d.mu.Unlock()
		f.deliver()
		d.mu.Lock()
		t.phase = idle
		if t.again {
			t.again = false
			d.enqueue(f, t)
		}
	}
}

// close ends the tellers and waits for the callbacks that run. Nothing is told any more.
func (d *dispatcher) close() {
	d.mu.Lock()
	d.closed = true
	d.ready = nil
	d.more.Broadcast()
	d.mu.Unlock()
	d.tasks.Wait()
}
