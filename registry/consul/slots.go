package consul

import (
	"context"
	"sync"
)

// slots bound how many things go on at a time.
type slots struct {
	free chan struct{}

	mu   sync.Mutex
	all  int
	owed int // slots to be taken away when they are given back
}

func newSlots(n int) *slots {
	s := &slots{free: make(chan struct{}, n), all: n}
	for range n {
		s.free <- struct{}{}
	}
	return s
}

// take waits for a slot.
func (s *slots) take(ctx context.Context) error {
	select {
	case <-s.free:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// give gives a slot back.
func (s *slots) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owed > 0 {
		s.owed--
		return
	}
	s.free <- struct{}{}
}

// shrink takes a quarter of the slots away; two always stay.
func (s *slots) shrink() {
	s.mu.Lock()
	defer s.mu.Unlock()
	less := max(0, min(max(1, s.all/4), s.all-2))
	s.all -= less
	for range less {
		select {
		case <-s.free:
		default:
			s.owed++
		}
	}
}
