package zookeeper

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/sluice-gateway/sluice/registry/zookeeper/wire"
)

const (
	// batchOf is how many reads go in one request. More give no more speed.
	batchOf = 256
	// fewLanes is how many such requests are under way, manyLanes how many of one read each with an old server.
	fewLanes, manyLanes = 4, 64
)

// kind is what is wanted of a node.
type kind uint8

const (
	children  kind = iota // the names below it
	providers             // the names below it, parsed as Dubbo's URLs of the interface above it
	content               // its bytes
	instance              // its bytes, parsed as an application's instance; its parent's list says whether it exists
)

// key names something that can be read and watched.
type key struct {
	kind kind
	path string
}

func (k kind) isList() bool { return k == children || k == providers }

// value is what a reading found. It never changes.
type value struct {
	found bool
	// armed is true when the server tells us of the next change.
	armed     bool
	names     []string // of children, sorted
	providers *providerList
	data      []byte        // of content
	owner     int64         // of content: the session that it ends with, or 0
	node      *instanceNode // of an instance
	stamp     stamp         // of content and instance
	err       error         // why the server or the parser refused it
}

// stamp tells one state of a node from every other one: the transactions that created and last changed it.
type stamp struct{ created, changed int64 }

// order is a read that somebody waits for.
type order struct {
	key  key
	old  *value // what was known of it, or nil
	done func(*value, error)
}

// submit has reads made, together with those of others: whoever comes while all lanes are busy goes in the next request.
// done is called for each, with errLost or a value: a refusal is one. It reports false if the session has ended.
func (s *session) submit(orders []order) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.queue = append(s.queue, orders...)
	for s.busy < min(s.lanes, (len(s.queue)+s.batch-1)/s.batch) {
		s.busy++
		s.tasks.Go(s.lane)
	}
	return true
}

// lane makes requests until there is nothing to read.
func (s *session) lane() {
	for {
		s.mu.Lock()
		n := min(len(s.queue), s.batch)
		if n == 0 {
			s.busy--
			s.queue = nil
			s.mu.Unlock()
			return
		}
		batch := s.queue[:n:n]
		s.queue = s.queue[n:]
		s.mu.Unlock()
		if s.old {
			s.readOld(batch[0])
		} else {
			s.readBatch(batch)
		}
	}
}

func (s *session) readBatch(batch []order) {
	reads := make([]wire.Read, len(batch))
	for i, o := range batch {
		reads[i] = wire.Read{Path: o.key.path, Children: o.key.kind.isList()}
		if o.key.kind == providers {
			s.watchList(o.key.path)
		}
	}
	results, err := s.conn.MultiRead(context.Background(), reads)
	for i, o := range batch {
		if err != nil {
			o.done(nil, errLost)
			continue
		}
		o.done(o.take(results[i], s.shelf))
	}
}

// watchList leaves a watch on a list of providers, once in the session: the nodes in it say everything by their names, so
// those count too that may not be read, of which the watch on the tree does not tell.
func (s *session) watchList(path string) {
	s.mu.Lock()
	_, watched := s.watched[path]
	s.watched[path] = struct{}{}
	s.mu.Unlock()
	if !watched {
		_ = s.conn.WatchNode(path) // fails only when the connection is lost, as the reading will
	}
}

// readOld reads one node of a server without multiRead, and leaves watches that speak once.
func (s *session) readOld(o order) {
	ctx := context.Background()
	for range 3 {
		var r wire.Result
		if o.key.kind.isList() {
			r.Names, r.Err = s.conn.Children(ctx, o.key.path, true)
		} else {
			r.Data, r.Stat, r.Err = s.conn.Data(ctx, o.key.path, true)
		}
		if errors.Is(r.Err, wire.ErrNoNode) && o.key.kind != instance {
			exists, err := s.conn.Exists(ctx, o.key.path, true)
			if exists {
				continue // it appeared while its absence was being noted
			}
			if err != nil {
				r.Err = err
			}
		}
		o.done(o.take(r, s.shelf))
		return
	}
	o.done(&value{}, nil) // not armed: it is read again at the next run
}

// take makes a value of what the server said.
func (o *order) take(r wire.Result, shared *shelf) (*value, error) {
	var code wire.Error
	switch {
	case errors.Is(r.Err, wire.ErrNoNode):
		return &value{armed: true}, nil
	case errors.Is(r.Err, wire.ErrExpired), errors.Is(r.Err, wire.ErrMoved), r.Err != nil && !errors.As(r.Err, &code):
		return nil, errLost
	case r.Err != nil:
		return &value{err: r.Err}, nil //nolint:nilerr // a refusal is a value
	}
	v := &value{found: true, armed: true, stamp: stamp{r.Stat.Czxid, r.Stat.Mzxid}}
	switch o.key.kind {
	case children:
		slices.Sort(r.Names)
		v.names = r.Names
	case providers:
		var before *providerList
		if o.old != nil {
			before = o.old.providers
		}
		v.providers = parseProviders(interfaceAbove(o.key.path), r.Names, before)
	case content:
		v.data, v.owner = bytes.Clone(r.Data), r.Stat.EphemeralOwner
	case instance:
		if o.old != nil && o.old.found && o.old.stamp == v.stamp {
			v.node, v.err = o.old.node, o.old.err
		} else {
			v.node, v.err = parseInstance(r.Data, shared)
		}
	}
	return v, nil
}

// isRefusal reports whether it was the server that refused a reading, which no event takes back.
func isRefusal(err error) bool {
	var code wire.Error
	return errors.As(err, &code)
}

// peek reads a node's bytes without watching it; nil if there is no such node.
func (s *session) peek(ctx context.Context, path string) ([]byte, error) {
	data, _, err := s.conn.Data(ctx, path, false)
	if errors.Is(err, wire.ErrNoNode) {
		return nil, nil
	}
	return data, err
}

// newest reads, of the revisions of an application below dir, the one that an instance most likely runs that registered
// at the given time, in milliseconds: the newest that was there within a minute of it. nil if there is none.
func (s *session) newest(ctx context.Context, dir, since string) ([]byte, error) {
	names, err := s.conn.Children(ctx, dir, false)
	if errors.Is(err, wire.ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	registered, err := strconv.ParseInt(since, 10, 64)
	if err != nil {
		registered = math.MaxInt64 - time.Minute.Milliseconds()
	}
	var best []byte
	var created int64
	for _, name := range names {
		data, stat, err := s.conn.Data(ctx, dir+"/"+name, false)
		if errors.Is(err, wire.ErrNoNode) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(data) > 0 && stat.Ctime > created && stat.Ctime <= registered+time.Minute.Milliseconds() {
			best, created = data, stat.Ctime
		}
	}
	return best, nil
}
