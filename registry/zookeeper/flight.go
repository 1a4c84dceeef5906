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
	seen    []uint32 // each node's changes at the start
	orders  []order
	left    int           // nodes without an answer; of the tree's mutex
	failed  atomic.Bool   // the session gave no answer
	done    chan struct{} // closed with the last answer
}

// values makes every node known and returns what was read. A change that comes meanwhile has woken the follower.
func (t *tree) values(ctx context.Context, nodes []*node) ([]*value, error) {
	var start map[*node]uint32 // reads of those that were not fresh
	for {
		values, mine, others, err := t.plan(nodes, &start)
		if err != nil || values != nil {
			return values, err
		}
		if mine != nil {
			if !mine.session.submit(mine.orders) {
				t.abandon(mine)
				return nil, errLost
			}
			others = append(others, mine)
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
func (t *tree) plan(nodes []*node, start *map[*node]uint32) (values []*value, mine *flight, others []*flight, err error) {
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
				*start = make(map[*node]uint32)
			}
			(*start)[n] = n.reads
		}
		switch {
		case n.flight == nil:
			if mine == nil {
				mine = &flight{session: t.session, done: make(chan struct{})}
			}
			t.board(mine, n)
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

// board adds a node to what a flight reads.
func (t *tree) board(f *flight, n *node) {
	i := len(f.nodes)
	n.flight = f
	f.nodes = append(f.nodes, n)
	f.seen = append(f.seen, n.changes)
	f.left++
	f.orders = append(f.orders, order{key: n.key, old: n.value, done: func(v *value, err error) { t.land(f, i, v, err) }})
}

// land takes the answer to one read.
func (t *tree) land(f *flight, i int, v *value, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := f.nodes[i]
	n.flight = nil
	if err != nil {
		f.failed.Store(true)
	} else {
		n.value = v
		n.reads++
		n.fresh = v.armed && n.changes == f.seen[i] && t.session == f.session
	}
	t.drop(n)
	if f.left--; f.left == 0 {
		close(f.done)
	}
}

// abandon ends a flight that never began.
func (t *tree) abandon(f *flight) {
	for i := range f.nodes {
		t.land(f, i, nil, errLost)
	}
}
