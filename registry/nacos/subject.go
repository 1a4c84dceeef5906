package nacos

import (
	"context"
	"errors"
	"time"
)

// subject is one thing that a server is asked for, kept once for all who read it. The methods but readers and String are
// called by one goroutine at a time, without the client's lock.
type subject interface {
	// sync asks the server for the current state and, where the server pushes it, to be told of changes.
	sync(ctx context.Context, s *session) error
	// leave tells the server that nobody reads the subject any more.
	leave(ctx context.Context, s *session) error
	// state is what all subjects have.
	state() *subjectState
	// String names the subject in errors.
	String() string
}

// subjectState is guarded by the client's lock.
type subjectState struct {
	readers map[*scope]struct{}
	busy    bool     // a worker is at it
	again   bool     // and must look once more
	fails   int      // in a row
	doubts  *session // will look again when it has settled
	forget  func()
}

func (s *subjectState) state() *subjectState { return s }

// notify wakes the readers.
func (s *subjectState) notify() {
	for r := range s.readers {
		r.poke()
	}
}

// kickLocked makes a worker bring a subject up to date. The client's lock is held.
func (s *session) kickLocked(sub subject) {
	st := sub.state()
	if st.busy {
		st.again = true
		return
	}
	if s.closed {
		return
	}
	st.busy = true
	p := &s.pool
	if _, elsewhere := sub.(*appMetadata); elsewhere {
		p = &s.askers
	}
	p.submit(func() { s.work(sub) })
}

// kickAfter is kickLocked, later; if the session has ended by then the next one has asked already.
func (s *session) kickAfter(d time.Duration, sub subject) *time.Timer {
	return time.AfterFunc(d, func() {
		s.client.mu.Lock()
		defer s.client.mu.Unlock()
		if !s.closed && len(sub.state().readers) > 0 {
			s.kickLocked(sub)
		}
	})
}

// kickSettledLocked is kickLocked, once, when a server that has just come up has had the time to hear from its providers. The
// client's lock is held.
func (s *session) kickSettledLocked(sub subject) {
	if st := sub.state(); st.doubts != s {
		st.doubts = s
		s.kickAfter(s.untilSettled()+time.Millisecond, sub)
	}
}

// work brings one subject to what its readers want. Only one worker is at one subject, so asking for it and leaving it can
// never overtake each other.
func (s *session) work(sub subject) {
	c, st := s.client, sub.state()
	for {
		c.mu.Lock()
		if s.closed {
			st.busy = false
			c.mu.Unlock()
			return
		}
		st.again = false
		wanted := len(st.readers) > 0
		c.mu.Unlock()

		var err error
		if wanted {
			err = sub.sync(s.ctx, s)
		} else {
			err = sub.leave(s.ctx, s)
		}

		c.mu.Lock()
		still := len(st.readers) > 0
		if !wanted && !still {
			st.busy = false
			st.forget()
			c.mu.Unlock()
			return
		}
		if st.again || wanted != still {
			c.mu.Unlock()
			continue
		}
		st.busy = false
		if err == nil {
			st.fails = 0
			c.mu.Unlock()
			return
		}
		st.fails++
		fails := st.fails
		c.mu.Unlock()
		s.failed(sub, err, fails)
		return
	}
}

// failed reports what went wrong with one subject, and has it tried again.
func (s *session) failed(sub subject, err error, fails int) {
	if s.ctx.Err() != nil {
		return // the session's own end says it better
	}
	var r *refusal
	if errors.As(err, &r) && r.code == codeUnregistered {
		s.end(err)
		return
	}
	s.client.troubled(sub, err, fails == 1)
	s.kickAfter(backoff(fails, askPause), sub)
}
