package nacos

import "context"

// scope is what one watch reads. Its step is run again whenever something that it has read has changed; what a run does
// not read any more is given back.
type scope struct {
	client *client
	wake   chan struct{}
	round  uint64
	reads  map[subject]uint64 // the round in which it was read last
}

// follow runs step now and after each change of what it read, until ctx ends.
func (c *client) follow(ctx context.Context, step func(*scope)) {
	sc := &scope{client: c, wake: make(chan struct{}, 1), reads: map[subject]uint64{}}
	defer sc.release(func(uint64) bool { return true })
	for ctx.Err() == nil {
		sc.round++
		step(sc)
		sc.release(func(round uint64) bool { return round != sc.round })
		select {
		case <-ctx.Done():
		case <-sc.wake:
		}
	}
}

// poke has the step run again. It never blocks: one pending run is enough, it will see the newest of everything.
func (sc *scope) poke() {
	select {
	case sc.wake <- struct{}{}:
	default:
	}
}

// read notes that sub is read. The client's lock is held.
func (sc *scope) read(sub subject) {
	if _, ok := sc.reads[sub]; !ok {
		st := sub.state()
		if st.readers == nil {
			st.readers = map[*scope]struct{}{}
		}
		st.readers[sc] = struct{}{}
		if len(st.readers) == 1 && sc.client.session != nil {
			sc.client.session.kickLocked(sub)
		}
	}
	sc.reads[sub] = sc.round
}

// release gives back the subjects whose last round says so.
func (sc *scope) release(drop func(round uint64) bool) {
	c := sc.client
	c.mu.Lock()
	defer c.mu.Unlock()
	for sub, round := range sc.reads {
		if !drop(round) {
			continue
		}
		delete(sc.reads, sub)
		st := sub.state()
		delete(st.readers, sc)
		switch {
		case len(st.readers) > 0:
		case st.busy:
			st.again = true
		case c.session != nil:
			c.session.kickLocked(sub)
		default:
			st.forget()
		}
	}
}

// find returns the subject of this key, made if it is not there. The client's lock is held.
func find[K comparable, S subject](m map[K]S, key K, make func() S) S {
	s, ok := m[key]
	if !ok {
		s = make()
		s.state().forget = func() { delete(m, key) }
		m[key] = s
	}
	return s
}
