package zookeeper

import (
	"context"
	"errors"
	"sync"
	"time"
)

// How long a follower rests after a run, so that a storm of changes costs little: longer for those that looked at more.
// A change that comes alone is handled at once. What a run took is no measure: on a busy machine that is mostly waiting.
const (
	shortRest = 10 * time.Millisecond
	restEach  = 10 * time.Microsecond // for every name or node looked at
	longRest  = 200 * time.Millisecond
)

// How long a follower waits after a refusal (a node that may not be read) before it asks again.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// runner runs a follower's function whenever something that it read has changed. It does so in a goroutine that lives only
// while there is something to do: whoever waits for the next change keeps the stack that the deepest call needed, and there
// may be thousands who wait.
type runner struct {
	ctx     context.Context //nolint:containedctx // follow's, which waits for the runs
	z       *zooKeeper
	f       *follower
	trouble func(error)
	build   func(*view) error

	// Of the runs.
	retry time.Duration // after the next refusal
	timer *time.Timer   // of the next run that nothing else asks for; nil for none

	mu      sync.Mutex
	wanted  bool
	running bool
	idle    chan struct{} // closed with the last run; nil until ctx has ended
}

// follow runs build whenever something that it read has changed, until ctx ends. trouble takes its errors; it runs again
// after each.
func (z *zooKeeper) follow(ctx context.Context, trouble func(error), build func(*view) error) error {
	return z.newRunner(ctx, trouble, build).follow()
}

func (z *zooKeeper) newRunner(ctx context.Context, trouble func(error), build func(*view) error) *runner {
	return &runner{ctx: ctx, z: z, trouble: trouble, build: build, retry: firstRetry}
}

func (r *runner) follow() error {
	r.want()
	<-r.ctx.Done()
	r.end()
	return nil
}

// want asks for a run, at once or after the one that is under way.
func (r *runner) want() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted = true
	if !r.running && r.idle == nil {
		r.running = true
		go r.runs() // end waits for it
	}
}

func (r *runner) runs() {
	if r.f == nil {
		r.f = r.z.tree.join(r.want)
	}
	for r.next() {
		r.run()
	}
}

// next takes the wish for a run, if there is one and ctx has not ended.
func (r *runner) next() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wanted && r.ctx.Err() == nil {
		r.wanted = false
		return true
	}
	r.running = false
	if r.idle != nil {
		close(r.idle)
	}
	return false
}

// end waits for the run that is under way, which is the last one, and forgets what the follower read.
func (r *runner) end() {
	r.mu.Lock()
	r.idle = make(chan struct{})
	if !r.running {
		close(r.idle)
	}
	r.mu.Unlock()
	<-r.idle
	if r.f == nil {
		return
	}
	r.stopTimer()
	r.z.tree.leave(r.f)
	r.z.metadata.unwant(r.f, swap(&r.f.wanted, nil))
}

// run runs the function once, and rests.
func (r *runner) run() {
	r.stopTimer()
	f, tree := r.f, r.z.tree
	_, epoch := tree.current()
	f.round++
	old := swap(&f.wanted, nil)
	v := &view{ctx: r.ctx, tree: tree, follower: f, epoch: epoch, wanted: old}
	err := r.build(v)
	if err != nil || r.ctx.Err() != nil { // what it wanted before it wants still
		for rev, i := range old {
			f.want(rev, i)
		}
	}
	switch {
	case r.ctx.Err() != nil:
	case err == nil:
		if !v.partial {
			tree.sweep(f)
		}
		r.z.metadata.unwant(f, old)
		r.retry = firstRetry
		if v.refused {
			r.timer = time.AfterFunc(lastRetry, r.want)
		}
		rest(r.ctx, min(shortRest+time.Duration(v.looked)*restEach, longRest))
	case errors.Is(err, errLost): // the next session wakes everybody
	default:
		r.trouble(err)
		r.timer = time.AfterFunc(r.retry, r.want)
		r.retry = min(2*r.retry, lastRetry)
	}
}

func (r *runner) stopTimer() {
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
}

func swap[T any](place *T, with T) (old T) {
	old, *place = *place, with
	return old
}

func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
