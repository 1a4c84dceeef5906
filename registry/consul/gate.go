package consul

import (
	"context"
	"slices"
	"sync"
	"time"
)

// How often a watch without a seat looks.
const (
	leastSample = time.Second
	samplePace  = 5 * time.Millisecond // for each watch that waits: at most 200 reads a second
)

// gate hands out the seats, each of which is one blocking query at a time. When there are more watches than seats, those without
// look now and then by plain reads, and each gets its turn of a seat: whoever was answered while others wait goes to the end of
// the line.
type gate struct {
	mu    sync.Mutex
	seats int // all of them
	free  int
	line  []*seat
	full  func(watches int, every time.Duration) // told once
	told  bool
	users int

	shrunk time.Time
}

func newGate(seats int, full func(int, time.Duration)) *gate {
	return &gate{seats: seats, free: seats, full: full}
}

// seat is a watch's claim.
type seat struct {
	gate    *gate
	held    bool
	waiting bool
	grant   chan struct{}
}

func (g *gate) seat() *seat {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users++
	return &seat{gate: g, grant: make(chan struct{}, 1)}
}

// interval is how often a watch without a seat looks now.
func (g *gate) interval() time.Duration {
	return max(leastSample, time.Duration(len(g.line))*samplePace)
}

// wait returns true when the watch may ask a blocking query, and false when it is time to look by a plain read. last is when
// it was answered last.
func (s *seat) wait(ctx context.Context, last time.Time) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	g := s.gate
	g.mu.Lock()
	if s.held { // perhaps given while the watch looked by a plain read
		select {
		case <-s.grant:
		default:
		}
		g.mu.Unlock()
		return true, nil
	}
	if !s.waiting && g.free > 0 {
		g.free--
		s.held = true
		g.mu.Unlock()
		return true, nil
	}
	if !s.waiting {
		s.waiting = true
		g.line = append(g.line, s)
	}
	every := g.interval()
	tell := !g.told && g.full != nil
	g.told = true
	users := g.users
	g.mu.Unlock()
	if tell {
		g.full(users, every)
	}
	timer := time.NewTimer(time.Until(last.Add(every)))
	defer timer.Stop()
	select {
	case <-s.grant:
		return true, nil
	case <-timer.C:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// pass gives the seat to who waits longest, and keeps it when nobody does.
func (s *seat) pass() {
	g := s.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.held && (len(g.line) > 0 || g.free < 0) {
		s.held = false
		g.giveBack()
	}
}

// leave ends the claim.
func (s *seat) leave() {
	g := s.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users--
	if at := slices.Index(g.line, s); at >= 0 {
		g.line = slices.Delete(g.line, at, at+1)
	}
	if s.held {
		s.held = false
		g.giveBack()
	}
}

// giveBack takes a seat that is held no more. The lock is held.
func (g *gate) giveBack() {
	if len(g.line) == 0 || g.free < 0 {
		g.free++
		return
	}
	next := g.line[0]
	g.line = slices.Delete(g.line, 0, 1)
	next.waiting, next.held = false, true
	next.grant <- struct{}{}
}

// shrink takes a quarter of the seats away, since the server said that they are too many. It does so once a second: many
// questions are refused together, and a seat is free only when its answer has come. It reports whether it did.
func (g *gate) shrink() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.shrunk) < time.Second {
		return false
	}
	g.shrunk = time.Now()
	less := min(max(1, g.seats/4), g.seats-1)
	g.seats -= less
	g.free -= less
	return true
}
