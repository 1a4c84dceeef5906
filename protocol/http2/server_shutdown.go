package http2

import (
	"context"
	"time"
)

// cutGrace is how long goroutines of connections that were cut may take to notice.
const cutGrace = 3 * time.Second

// Shutdown stops accepting, tells clients to go away, lets requests in flight finish, and returns when the last connection
// has gone. When ctx ends first, what is left is cut and ctx's error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	empty := s.drain()
	var err error
	select {
	case <-empty:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.cut()
	return err
}

// Close cuts everything at once. Handlers that run learn it from their context.
func (s *Server) Close() error {
	s.drain()
	s.cut()
	return nil
}

// drain makes the server accept nothing new and returns a channel that is closed when no connection is left.
func (s *Server) drain() <-chan struct{} {
	s.mu.Lock()
	if !s.draining.Swap(true) {
		close(s.stopping)
	}
	for ln := range s.listeners {
		_ = ln.Close()
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
		if s.first == nil {
			close(s.empty)
		}
	}
	empty := s.empty
	for c := s.first; c != nil; c = c.next {
		c.sock.Interrupt() // its reading goroutine looks at draining; one that is parked is told by the parker
	}
	s.mu.Unlock()
	if s.parker != nil {
		s.parker.Close() // from now on connections keep their goroutines
	}
	return empty
}

// cut closes the connections that are left and stops the server's goroutines.
func (s *Server) cut() {
	s.mu.Lock()
	for c := s.first; c != nil; c = c.next {
		_ = c.sock.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		close(done)
	}()
	timer := time.NewTimer(cutGrace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		cfg := s.settings.Load()
		cfg.Logger.Warn("requests still run after their connections were cut", "listener", cfg.Name, "requests", s.inFlight.Load())
	}
}
