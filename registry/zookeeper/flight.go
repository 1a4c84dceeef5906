package zookeeper

import (
	"context"
	"slices"
	"sync/atomic"
)

// flight is one batch of nodes being read.
type flight struct {
	session *session
	nodes   []*node
	seen    []uint64 // each node's changes at the start
	next    atomic.Int64
	stop    atomic.Bool
	failed  atomic.Bool // the session gave no answer
	workers atomic.Int64
	done    chan struct{} // closed by the last worker
}

// values makes every node known and returns what was read. A change that comes meanwhile has woken the follower.
func (t *tree) values(ctx context.Context, nodes []*node) ([]*value, error) {
	var start map[*node]uint64 // reads of those that were not fresh
	for {
		values, mine, others, err := t.plan(nodes, &start)
		if err != nil || values != nil {
			return values, err
		}
		if mine != nil {
			if err := t.fly(ctx, mine); err != nil {
				return nil, err
			}
		}
		for _, o := range others {
			select {
			case <-o.done:
				if o.failed.Load() {
					return nil, errLost
				}
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
}

// plan returns the values if all are there, or else the reading to do and those to wait for.
func (t *tree) plan(nodes []*node, start *map[*node]uint64) (values []*value, mine *flight, others []*flight, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.session == nil {
		return nil, nil, nil, errLost
	}
	for _, n := range nodes {
		if n.fresh {
			continue
		}
		if reads, seen := (*start)[n]; seen && n.reads > reads {
			continue // read by this call, and changed again since
		} else if !seen {
			if *start == nil {
				*start = make(map[*node]uint64)
			}
			(*start)[n] = n.reads
		}
		switch {
		case n.flight == nil:
			if mine == nil {
				mine = &flight{session: t.session, done: make(chan struct{})}
			}
			n.flight = mine
			mine.nodes = append(mine.nodes, n)
			mine.seen = append(mine.seen, n.changes)
		case n.flight != mine && !slices.Contains(others, n.flight):
			others = append(others, n.flight)
		}
	}
	if mine != nil || others != nil {
		return nil, mine, others, nil
	}
	values = make([]*value, len(nodes))
	for i, n := range nodes {
		values[i] = n.value
	}
	return values, nil, nil, nil
}

// fly reads a batch with several requests under way, and returns when it is done or ctx ends.
func (t *tree) fly(ctx context.Context, f *flight) error {
	workers := min(len(f.nodes), pipeline)
	f.workers.Store(int64(workers))
	for range workers {
		if !f.session.run(func() { t.work(f) }) {
			f.fail()
			t.leaveFlight(f)
		}
	}
	select {
	case <-f.done:
		if f.failed.Load() {
			return errLost
		}
		return nil
	case <-ctx.Done():
		f.stop.Store(true)
		return ctx.Err()
	}
}

func (f *flight) fail() {
	f.failed.Store(true)
	f.stop.Store(true)
}

func (t *tree) work(f *flight) {
	defer t.leaveFlight(f)
	for !f.stop.Load() {
		i := int(f.next.Add(1)) - 1
		if i >= len(f.nodes) {
			return
		}
		select {
		case f.session.slots <- struct{}{}:
		case <-f.session.lost:
			f.fail()
			return
		}
		n := f.nodes[i]
		t.mu.Lock()
		old := n.value
		t.mu.Unlock()
		v, err := f.session.read(n.key, old)
		<-f.session.slots
		if err != nil {
			f.fail()
			return
		}
		t.store(f, i, v)
	}
}

func (t *tree) store(f *flight, i int, v *value) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := f.nodes[i]
	n.value = v
	n.reads++
	n.fresh = v.armed && n.changes == f.seen[i] && t.session == f.session
}

// leaveFlight ends one worker; the last one ends the flight.
func (t *tree) leaveFlight(f *flight) {
	if f.workers.Add(-1) > 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range f.nodes {
		n.flight = nil
		t.drop(n)
	}
	close(f.done)
}
