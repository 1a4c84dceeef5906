package zookeeper

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/go-zookeeper/zk"
)

// kind is what is wanted of a node.
type kind uint8

const (
	children kind = iota // the names below it; it may appear later
	content              // its bytes; it may appear later
	instance             // its bytes, parsed as an application's instance; its parent's list says whether it exists
)

// key names something that can be read and watched.
type key struct {
	kind kind
	path string
}

// value is what a reading found. It never changes.
type value struct {
	found bool
	names []string      // of children, sorted
	data  []byte        // of content
	node  *instanceNode // of an instance
	stamp stamp         // of content and instance
	err   error         // why the server or the parser refused it
	// armed is true when the server tells us of the next change.
	armed bool
}

// stamp tells one state of a node from every other one: the transactions that created and last changed it.
type stamp struct{ created, changed int64 }

// read reads a node and leaves a watch on it. old is what was known of it, or nil. The error is errLost, or none: a
// refusal is a value.
func (s *session) read(k key, old *value) (*value, error) {
	v, err := s.readOnce(k, old)
	for tries := 0; errors.Is(err, zk.ErrNodeExists) && tries < 3; tries++ {
		v, err = s.readOnce(k, old)
	}
	switch {
	case err == nil:
		return v, nil
	case s.isLost(), errors.Is(err, zk.ErrConnectionClosed), errors.Is(err, zk.ErrClosing), errors.Is(err, zk.ErrNoServer),
		errors.Is(err, zk.ErrSessionExpired), errors.Is(err, zk.ErrSessionMoved):
		return nil, errLost
	}
	return &value{err: err}, nil
}

// readOnce returns zk.ErrNodeExists when the node appeared while its absence was being noted.
func (s *session) readOnce(k key, old *value) (*value, error) {
	if k.kind == children {
		names, _, _, err := s.conn.ChildrenW(k.path)
		if err != nil {
			return s.absent(k, err)
		}
		slices.Sort(names)
		return &value{found: true, names: names, armed: true}, nil
	}
	data, stat, _, err := s.conn.GetW(k.path)
	if err != nil {
		return s.absent(k, err)
	}
	v := &value{found: true, armed: true, stamp: stamp{stat.Czxid, stat.Mzxid}}
	switch {
	case k.kind == content:
		v.data = data
	case old != nil && old.found && old.stamp == v.stamp:
		v.node, v.err = old.node, old.err
	default:
		v.node, v.err = parseInstance(data)
	}
	return v, nil
}

func (s *session) absent(k key, err error) (*value, error) {
	if !errors.Is(err, zk.ErrNoNode) {
		return nil, err
	}
	if k.kind == instance {
		return &value{}, nil
	}
	exists, _, _, err := s.conn.ExistsW(k.path)
	switch {
	case err != nil:
		return nil, err
	case exists:
		return nil, zk.ErrNodeExists
	}
	return &value{armed: true}, nil
}

// peek reads a node's bytes without watching it; nil if there is no such node.
func (s *session) peek(path string) ([]byte, error) {
	data, _, err := s.conn.Get(path)
	return data, s.unwatched(err)
}

// newest reads, of the revisions of an application below dir, the one that an instance most likely runs that registered
// at the given time, in milliseconds: the newest that was there within a minute of it. nil if there is none.
func (s *session) newest(dir, since string) ([]byte, error) {
	names, _, err := s.conn.Children(dir)
	if err != nil {
		return nil, s.unwatched(err)
	}
	registered, err := strconv.ParseInt(since, 10, 64)
	if err != nil {
		registered = math.MaxInt64 - time.Minute.Milliseconds()
	}
	var best []byte
	var created int64
	for _, name := range names {
		data, stat, err := s.conn.Get(dir + "/" + name)
		if err := s.unwatched(err); err != nil {
			return nil, err
		}
		if stat != nil && len(data) > 0 && stat.Ctime > created && stat.Ctime <= registered+time.Minute.Milliseconds() {
			best, created = data, stat.Ctime
		}
	}
	return best, nil
}

// unwatched is the error of a request that sets no watch: none if there is only no such node.
func (s *session) unwatched(err error) error {
	switch {
	case err == nil, errors.Is(err, zk.ErrNoNode):
		return nil
	case s.isLost(), errors.Is(err, zk.ErrConnectionClosed):
		return errLost
	}
	return err
}
