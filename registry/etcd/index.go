package etcd

import (
	"sync"

	"github.com/sluice-gateway/sluice/registry"
)

// index is what the registry knows, and who wants to hear of it.
type index struct {
	mu        sync.Mutex
	now       *state // nil before the first session
	live      bool   // now is followed by a session
	followers map[subject]map[*follower]struct{}
	lists     map[*follower]struct{} // those of the list of services
	ask       chan struct{}          // holds at most one token: there is something to learn
}

// subject is what a watch is about: a plain service, or an interface.
type subject struct {
	kind registry.Kind
	name string
}

// follower is one watch.
type follower struct {
	wake chan struct{} // holds at most one token
	// held is true while it waits for metadata before its first push. Guarded by the index.
	held bool
}

func (f *follower) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func newIndex() *index {
	return &index{followers: map[subject]map[*follower]struct{}{}, lists: map[*follower]struct{}{}, ask: make(chan struct{}, 1)}
}

func (x *index) poke() {
	select {
	case x.ask <- struct{}{}:
	default:
	}
}

// join adds a follower of a subject; nil means the list of services.
func (x *index) join(about *subject) *follower {
	f := &follower{wake: make(chan struct{}, 1)}
	x.mu.Lock()
	defer x.mu.Unlock()
	f.poke()
	if about == nil {
		x.lists[f] = struct{}{}
		return f
	}
	all := x.followers[*about]
	if all == nil {
		all = map[*follower]struct{}{}
		x.followers[*about] = all
	}
	all[f] = struct{}{}
	return f
}

func (x *index) leave(about *subject, f *follower) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if about == nil {
		delete(x.lists, f)
		return
	}
	all := x.followers[*about]
	if delete(all, f); len(all) == 0 {
		delete(x.followers, *about)
	}
}

// install makes next what is known: everybody hears of it, also where nothing has changed.
func (x *index) install(next *state) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.now != nil {
		next.inherit(x.now)
	}
	next.takeChanges()
	x.now, x.live = next, true
	for _, all := range x.followers {
		for f := range all {
			f.poke()
		}
	}
	for f := range x.lists {
		f.poke()
	}
	x.poke()
}

// detach says that nobody follows what is known any more. It is kept, to be compared, but pushed to nobody.
func (x *index) detach() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.live = false
}

// wake pokes the followers of what changed. The lock is held.
func (x *index) wake(c changes) {
	for about := range c.subjects {
		for f := range x.followers[about] {
			f.poke()
		}
	}
	if c.list {
		for f := range x.lists {
			f.poke()
		}
	}
	if c.ask {
		x.poke()
	}
	if c.tried {
		for _, all := range x.followers {
			for f := range all {
				if f.held {
					f.poke()
				}
			}
		}
	}
}
