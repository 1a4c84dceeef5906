package discovery

import (
	"container/heap"
	"sync"
	"time"
)

// clock runs short functions later, all in one goroutine, which begins with the first of them.
type clock struct {
	mu     sync.Mutex
	due    alarms
	wake   chan struct{}
	begun  bool
	closed bool
	task   sync.WaitGroup
}

// alarm is one function that waits for its time.
type alarm struct {
	at    time.Time
	do    func()
	index int // in the heap; -1 when it is not in it
}

func newClock() *clock { return &clock{wake: make(chan struct{}, 1)} }

// after runs do once d has passed, unless the clock is closed by then. do must not block.
func (c *clock) after(d time.Duration, do func()) *alarm {
	a := &alarm{at: time.Now().Add(d), do: do, index: -1}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return a
	}
	heap.Push(&c.due, a)
	if !c.begun {
		c.begun = true
		c.task.Go(c.run)
	}
	if a.index == 0 {
		c.poke()
	}
	return a
}

// stop forgets an alarm that has not come yet. One that is running is not waited for.
func (c *clock) stop(a *alarm) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a != nil && a.index >= 0 {
		heap.Remove(&c.due, a.index)
	}
}

func (c *clock) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *clock) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next, wait, ok := c.next()
		if !ok {
			return
		}
		if next != nil {
			next.do()
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-c.wake:
		}
	}
}

// next is the alarm whose time has come, or how long to wait.
func (c *clock) next() (next *alarm, wait time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, 0, false
	}
	if len(c.due) == 0 {
		return nil, time.Hour, true
	}
	if wait = time.Until(c.due[0].at); wait > 0 {
		return nil, wait, true
	}
	next, _ = heap.Pop(&c.due).(*alarm)
	return next, 0, true
}

// close forgets all alarms, and waits for the one that runs.
func (c *clock) close() {
	c.mu.Lock()
	c.closed = true
	c.due = nil
	c.poke()
	c.mu.Unlock()
	c.task.Wait()
}

// alarms is a heap by time.
type alarms []*alarm

func (h *alarms) Len() int           { return len(*h) }
func (h *alarms) Less(i, j int) bool { return (*h)[i].at.Before((*h)[j].at) }
func (h *alarms) Swap(i, j int) {
	a := *h
	a[i], a[j] = a[j], a[i]
	a[i].index, a[j].index = i, j
}

func (h *alarms) Push(x any) {
	a, _ := x.(*alarm)
	a.index = len(*h)
	*h = append(*h, a)
}

func (h *alarms) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	last.index = -1
	return last
}
