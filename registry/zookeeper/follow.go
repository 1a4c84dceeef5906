package zookeeper

import (
	"context"
	"errors"
	"maps"
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

// follow runs build whenever something that it read has changed, until ctx ends. trouble takes its errors; it runs again
// after each.
func (z *zooKeeper) follow(ctx context.Context, trouble func(error), build func(*view) error) error {
	f := z.tree.join()
	defer func() {
		z.tree.leave(f)
		z.metadata.unwant(f, swap(&f.wanted, nil))
	}()
	retry := firstRetry
	for ctx.Err() == nil {
		_, epoch := z.tree.current()
		f.round++
		old := swap(&f.wanted, make(map[revision]*info))
		v := &view{ctx: ctx, tree: z.tree, follower: f, epoch: epoch, wanted: old}
		err := build(v)
		var again <-chan time.Time
		var timer *time.Timer
		switch {
		case ctx.Err() != nil:
			maps.Copy(f.wanted, old)
			return nil
		case err == nil:
			if !v.partial {
				z.tree.sweep(f)
			}
			z.metadata.unwant(f, old)
			retry = firstRetry
			if v.refused {
				timer = time.NewTimer(lastRetry)
				again = timer.C
			}
			rest(ctx, min(shortRest+time.Duration(v.looked)*restEach, longRest))
		case errors.Is(err, errLost): // the next session wakes everybody
			maps.Copy(f.wanted, old)
		default:
			maps.Copy(f.wanted, old)
			trouble(err)
			timer = time.NewTimer(retry)
			again = timer.C
			retry = min(2*retry, lastRetry)
		}
		select {
		case <-f.wake:
		case <-again:
		case <-ctx.Done():
		}
		if timer != nil {
			timer.Stop()
		}
	}
	return nil
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
