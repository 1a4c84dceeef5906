package consul

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/consul/api"
)

// How long to wait after a failure: the first delay, doubling up to the last one, each shortened by up to a half at random.
const (
	firstDelay = 50 * time.Millisecond
	lastDelay  = 5 * time.Second
)

// question is what a watch asks again and again.
type question[T any] struct {
	what string
	// least and most are the pause between two answers: the least one after an answer that was worth it, doubling up to the
	// most while answers are not.
	least, most time.Duration
	// reserved questions take no turns: they always have a blocking query.
	reserved bool
	ask      func(*session, *api.QueryOptions) (T, *api.QueryMeta, error)
	// accept takes an answer, and reports whether it was worth being woken for. first says that it is the first of this
	// session, which is to be pushed even if it says nothing new. An error says why it is no state.
	accept func(ctx context.Context, s *session, answer T, meta *api.QueryMeta, first bool) (worth bool, err error)
}

// follow asks until ctx ends, in one session after the other.
func follow[T any](ctx context.Context, c *consul, q *question[T]) error {
	for {
		s := c.await(ctx)
		if s == nil {
			return nil
		}
		f := &following[T]{question: q, session: s, pause: q.least}
		f.run(ctx)
	}
}

// following is a question in one session.
type following[T any] struct {
	*question[T]
	session *session
	index   uint64 // of the newest answer; 0 asks for a plain read
	known   bool   // answered in this session

	filtered bool // the newest answer was
	last     time.Time
	pause    time.Duration
	delay    time.Duration
}

// run asks until ctx or the session ends.
func (f *following[T]) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(f.session.ctx, cancel)
	defer stop()
	seat := f.session.gate.seat()
	defer seat.leave()
	for ctx.Err() == nil {
		err := f.turn(ctx, seat)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			f.fail(ctx, err)
		default:
			f.delay = 0
			sleep(ctx, time.Until(f.last.Add(f.pause)))
		}
	}
}

// turn is one question and its answer.
func (f *following[T]) turn(ctx context.Context, seat *seat) error {
	blocking := false
	if f.index > 0 {
		blocking = f.reserved
		if !blocking {
			var err error
			if blocking, err = seat.wait(ctx, f.last); err != nil {
				return err
			}
		}
	}
	answer, meta, err := f.exchange(ctx, blocking)
	if blocking {
		seat.pass()
	}
	if err != nil {
		return err
	}
	f.last = time.Now()
	index := meta.LastIndex
	// Consul does not count a change of what the token may see.
	if f.known && f.index != 0 && index == f.index && meta.ResultsFilteredByACLs == f.filtered {
		return nil // nothing new
	}
	// Consul's own rule: an index that goes back, or is none, begins anew.
	if index < f.index {
		index = 0
	}
	worth, err := f.accept(ctx, f.session, answer, meta, !f.known)
	if err != nil {
		return err
	}
	f.index, f.known, f.filtered = index, true, meta.ResultsFilteredByACLs
	if worth {
		f.pause = f.least
	} else {
		f.pause = min(2*f.pause, f.most)
	}
	return nil
}

// exchange sends the question, as a blocking query or a plain read.
func (f *following[T]) exchange(ctx context.Context, blocking bool) (answer T, meta *api.QueryMeta, err error) {
	s := f.session
	limit := s.consul.config.Timeouts.Request
	if blocking {
		// The server adds up to a sixteenth of the wait, and an election makes it answer seconds late.
		wait := s.consul.config.Wait
		limit = wait + wait/16 + 7*time.Second
	} else {
		if err := s.read.take(ctx); err != nil {
			return answer, nil, err
		}
		defer s.read.give()
	}
	ctx, done := s.begin(ctx, limit)
	defer done()
	options := s.options(ctx)
	if blocking {
		options.WaitIndex, options.WaitTime = f.index, s.consul.config.Wait
	}
	answer, meta, err = f.ask(s, options)
	if err == nil && meta == nil {
		err = errors.New("no answer")
	}
	return answer, meta, err
}

// fail reports a failure, has the server looked at if it may be its own, and waits.
func (f *following[T]) fail(ctx context.Context, err error) {
	s := f.session
	reach, err := s.consul.config.advise(err)
	err = fmt.Errorf("%s: %s: %w", s.at, f.what, err)
	f.index = 0 // begin with a plain read: the server may have lost its data
	f.known = false
	switch reach {
	case ofServer, ofToken:
		s.suspect(err)
	case ofLimit:
		s.fewer()
		s.consul.complain(err)
	case ofQuestion:
		s.consul.complain(err)
	}
	f.delay = min(max(2*f.delay, firstDelay), lastDelay)
	sleep(ctx, f.delay/2+rand.N(f.delay/2))
}

// sleep returns when the time is over or ctx has ended.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
