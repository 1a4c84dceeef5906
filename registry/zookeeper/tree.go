package zookeeper

import (
	"slices"
	"strings"
	"sync"

	"github.com/sluice-gateway/sluice/registry/zookeeper/wire"
)

// tree remembers the nodes that followers read, as long as their watches say that they have not changed, and wakes the
// followers of those that did.
type tree struct {
	mu        sync.Mutex
	session   *session // nil while there is none
	epoch     uint64   // counts sessions
	nodes     map[key]*node
	followers map[*follower]struct{}
	ended     chan struct{} // closed when there will be no session any more
	ending    sync.Once
}

// node is what is known of one key. Once nobody follows it, it goes; but at an old server it stays while its watch is
// armed, which nothing takes back, so that whoever comes again does not set another one.
type node struct {
	key   key
	value *value
	// changes counts the server's events, reads the readings; both only to tell whether there was one meanwhile.
	changes, reads uint32
	// fresh is true while value is what the server has.
	fresh     bool
	flight    *flight // the reading under way, or nil
	followers []*follower
}

// follower is one function that reads nodes, and wants to run again when one of them changes.
type follower struct {
	poke  func()           // wakes it, at once or after what it is doing; does not block
	round uint64           // counts runs
	nodes map[*node]uint64 // what it read, with the last round that did
	// wanted is the metadata that it asked for in its last run; nil for none.
	wanted map[revision]*info
	// marked, if not nil, gathers the nodes that changed since it was last asked for; all says that everything did.
	marked map[*node]struct{}
	all    bool
}

func newTree() *tree {
	return &tree{nodes: make(map[key]*node), followers: make(map[*follower]struct{}), ended: make(chan struct{})}
}

func (t *tree) join(poke func()) *follower {
	f := &follower{poke: poke}
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

// drop removes a node that nobody follows.
func (t *tree) drop(n *node) {
	lingers := n.fresh && t.session != nil && t.session.old
	if len(n.followers) == 0 && n.flight == nil && !lingers {
		delete(t.nodes, n.key)
	}
}

// bell wakes somebody who waits for it.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

// ring never waits; a bell that has not been heard yet is not rung twice.
func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// want notes that the follower wants a revision's metadata.
func (f *follower) want(rev revision, i *info) {
	if f.wanted == nil {
		f.wanted = make(map[revision]*info, 1)
	}
	f.wanted[rev] = i
}

// attach begins a session: everybody must read again.
func (t *tree) attach(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.session = s
	t.epoch++
	for f := range t.followers {
		f.all = true
		f.poke()
	}
}

// news returns what has changed since the last call, which must have read it all. The first time it is everything.
func (t *tree) news(f *follower) (marked map[*node]struct{}, all bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	marked, all = f.marked, f.all || f.marked == nil
	f.marked, f.all = make(map[*node]struct{}), false
	return marked, all
}

// forget ends a follower's interest in some keys.
func (t *tree) forget(f *follower, keys []key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range keys {
		if n := t.nodes[k]; n != nil {
			t.release(f, n)
		}
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

// end says that the last session has ended.
func (t *tree) end() { t.ending.Do(func() { close(t.ended) }) }

func (t *tree) current() (*session, uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.session, t.epoch
}

// changed takes a watch's event. It comes before every answer that was made after it, so this only marks and wakes.
func (t *tree) changed(s *session, e wire.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.session != s {
		return // everybody reads again when s is attached, or s is gone
	}
	switch e.Type {
	case wire.NodeChildrenChanged:
		t.mark(key{children, e.Path})
		t.mark(key{providers, e.Path})
	case wire.NodeDataChanged:
		t.mark(key{content, e.Path})
		t.mark(key{instance, e.Path})
	case wire.NodeCreated, wire.NodeDeleted:
		for k := children; k <= instance; k++ {
			t.mark(key{k, e.Path})
		}
		if slash := strings.LastIndexByte(e.Path, '/'); slash > 0 { // a watch on a subtree says nothing of the parent
			t.mark(key{children, e.Path[:slash]}) // lists of providers have watches of their own
		}
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
		if f.marked != nil {
			f.marked[n] = struct{}{}
		}
		f.poke()
	}
	t.drop(n)
}

// touch notes that f reads these keys, and returns their nodes.
func (t *tree) touch(f *follower, keys []key) []*node {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.nodes == nil {
		f.nodes = make(map[*node]uint64, len(keys))
	}
	nodes := make([]*node, len(keys))
	for i, k := range keys {
		n := t.nodes[k]
		if n == nil {
			n = &node{key: k}
			t.nodes[k] = n
		}
		if _, known := f.nodes[n]; !known {
			n.followers = append(n.followers, f)
		}
		f.nodes[n] = f.round
		nodes[i] = n
	}
	return nodes
}
