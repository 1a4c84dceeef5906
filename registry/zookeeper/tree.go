package zookeeper

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/go-zookeeper/zk"
)

// tree remembers the nodes that followers read, as long as their watches say that they have not changed, and wakes the
// followers of those that did.
type tree struct {
	mu        sync.Mutex
	session   *session // nil while there is none
	epoch     uint64   // counts sessions
	nodes     map[key]*node
	followers map[*follower]struct{}
}

// node is what is known of one key. Once nobody follows it, it stays while its watch is armed: the library cannot take a
// watch back, so whoever comes again finds it, instead of setting another one.
type node struct {
	key   key
	value *value
	// fresh is true while value is what the server has.
	fresh bool
	// changes counts the server's events, reads the readings; both only to tell whether there was one meanwhile.
	changes, reads uint64
	flight         *flight // the reading under way, or nil
	followers      []*follower
}

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

// follower is one function that reads nodes, and wants to run again when one of them changes.
type follower struct {
	wake  chan struct{}    // holds at most one token
	round uint64           // counts runs
	nodes map[*node]uint64 // what it read, with the last round that did
	// wanted is the metadata that it asked for in its last run.
	wanted map[revision]*info
}

func newTree() *tree {
	return &tree{nodes: make(map[key]*node), followers: make(map[*follower]struct{})}
}

func (t *tree) join() *follower {
	f := &follower{wake: make(chan struct{}, 1), nodes: make(map[*node]uint64)}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.followers[f] = struct{}{}
	return f
}

func (t *tree) leave(f *follower) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.followers, f)
	for n := range f.nodes {
		t.release(f, n)
	}
}

// sweep forgets what f did not read in its last run.
func (t *tree) sweep(f *follower) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n, round := range f.nodes {
		if round != f.round {
			t.release(f, n)
		}
	}
}

func (t *tree) release(f *follower, n *node) {
	delete(f.nodes, n)
	if i := slices.Index(n.followers, f); i >= 0 {
		n.followers = slices.Delete(n.followers, i, i+1)
	}
	t.drop(n)
}

// drop removes a node that nobody follows and that would have to be read anew anyway.
func (t *tree) drop(n *node) {
	if len(n.followers) == 0 && !n.fresh && n.flight == nil {
		delete(t.nodes, n.key)
	}
}

// poke wakes a follower, at once or after what it is doing.
func (f *follower) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// attach begins a session: everybody must read again.
func (t *tree) attach(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.session = s
	t.epoch++
	for f := range t.followers {
		f.poke()
	}
}

// detach ends the session: nothing is known for sure any more. Values stay, to be compared with what is read next.
func (t *tree) detach() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.session = nil
	for _, n := range t.nodes {
		n.fresh = false
		n.changes++
		t.drop(n)
	}
}

func (t *tree) current() (*session, uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.session, t.epoch
}

// changed takes a watch event. The library calls it before it hands out what it reads next, so it only marks and wakes.
func (t *tree) changed(s *session, e zk.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.session != s {
		return
	}
	switch e.Type {
	case zk.EventNodeChildrenChanged:
		t.mark(key{children, e.Path})
	case zk.EventNodeDataChanged:
		t.mark(key{content, e.Path})
		t.mark(key{instance, e.Path})
	case zk.EventNodeCreated, zk.EventNodeDeleted:
		t.mark(key{children, e.Path})
		t.mark(key{content, e.Path})
		t.mark(key{instance, e.Path})
	}
}

func (t *tree) mark(k key) {
	n := t.nodes[k]
	if n == nil {
		return
	}
	n.fresh = false
	n.changes++
	for _, f := range n.followers {
		f.poke()
	}
	t.drop(n)
}

// touch notes that f reads these keys, and returns their nodes.
func (t *tree) touch(f *follower, k kind, paths []string) []*node {
	t.mu.Lock()
	defer t.mu.Unlock()
	nodes := make([]*node, len(paths))
	for i, path := range paths {
		n := t.nodes[key{k, path}]
		if n == nil {
			n = &node{key: key{k, path}}
			t.nodes[n.key] = n
		}
		if _, known := f.nodes[n]; !known {
			n.followers = append(n.followers, f)
		}
		f.nodes[n] = f.round
		nodes[i] = n
	}
	return nodes
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
