package wire

import (
	"context"
	"encoding/binary"
	"fmt"
)

// Requests (org.apache.zookeeper.ZooDefs.OpCode).
const (
	opCreate          int32 = 1
	opDelete          int32 = 2
	opExists          int32 = 3
	opGetData         int32 = 4
	opGetChildren     int32 = 8
	opPing            int32 = 11
	opMulti           int32 = 14
	opCreateContainer int32 = 19
	opMultiRead       int32 = 22
	opAuth            int32 = 100
	opAddWatch        int32 = 106
	opClose           int32 = -11
)

// Numbers of answers that are not to a numbered request.
const (
	xidEvent int32 = -1
	xidPing  int32 = -2
	xidAuth  int32 = -4
)

// EventType is what happened to a node.
type EventType int32

// The events of watches. A watch on a subtree never says NodeChildrenChanged, but NodeCreated and NodeDeleted of the
// children themselves.
const (
	NodeCreated         EventType = 1
	NodeDeleted         EventType = 2
	NodeDataChanged     EventType = 3
	NodeChildrenChanged EventType = 4
)

// Event is one of a watch.
type Event struct {
	Type EventType
	Path string
}

// seal writes the length of the frame that begins at a place.
func seal(b []byte, at int) { binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4)) }

func (c *Conn) authenticate(ctx context.Context, scheme string, secret []byte) error {
	_, err := c.call(ctx, opAuth, func(e *encoder) {
		e.int32(0)
		e.string(scheme)
		e.buffer(secret)
	})
	return err
}

// WatchNode leaves a watch on a node, whether it exists or not, and on the list of its children, for as long as the session
// lasts. It does not wait for the answer: requests are carried out in their order, so it holds for all that follow.
//
// Unlike one of WatchTree it tells also of children that the session may not read: since the fix of CVE-2024-23944 servers
// keep the events of nodes to themselves that may not be read.
func (c *Conn) WatchNode(path string) error {
	const persistent = 0
	return c.send(&call{done: make(chan struct{})}, opAddWatch, func(e *encoder) {
		e.string(path)
		e.int32(persistent)
	})
}

// WatchTree leaves a watch on a node, whether it exists or not, and on everything below it, for as long as the session
// lasts. Servers before 3.6 answer ErrUnimplemented and close the connection.
func (c *Conn) WatchTree(ctx context.Context, path string) error {
	const persistentRecursive = 1
	_, err := c.call(ctx, opAddWatch, func(e *encoder) {
		e.string(path)
		e.int32(persistentRecursive)
	})
	return err
}

// Read is one read of a MultiRead: of the names below a node, or of its content.
type Read struct {
	Path     string
	Children bool
}

// Result is what one read found. Data is a part of the answer's frame, which it keeps in memory.
type Result struct {
	Names []string
	Data  []byte
	Stat  Stat // of the content only
	Err   error
}

// MultiRead makes several reads in one request; each succeeds or fails by itself. Since ZooKeeper 3.6.
func (c *Conn) MultiRead(ctx context.Context, reads []Read) ([]Result, error) {
	body, err := c.call(ctx, opMultiRead, func(e *encoder) {
		for _, r := range reads {
			op := opGetData
			if r.Children {
				op = opGetChildren
			}
			e.multiHeader(op, false)
			e.string(r.Path)
			e.bool(false)
		}
		e.multiHeader(-1, true)
	})
	if err != nil {
		return nil, err
	}
	return parseMultiRead(body, reads)
}

func parseMultiRead(body []byte, reads []Read) ([]Result, error) {
	d := decoder{b: body}
	results := make([]Result, len(reads))
	for i, r := range reads {
		op, done, _ := d.int32(), d.bool(), d.int32()
		switch {
		case d.err != nil:
			return nil, fmt.Errorf("read several nodes: %w", d.err)
		case done:
			return nil, fmt.Errorf("read several nodes: %d answers for %d reads", i, len(reads))
		case op == -1:
			code := d.int32()
			if code == 0 {
				return nil, fmt.Errorf("read several nodes: an error without a code for %s", r.Path)
			}
			results[i].Err = Error(code)
		case r.Children && op == opGetChildren:
			results[i].Names = d.strings()
		case !r.Children && op == opGetData:
			results[i].Data = d.buffer()
			results[i].Stat = d.stat()
		default:
			return nil, fmt.Errorf("read several nodes: an answer of type %d for %s", op, r.Path)
		}
	}
	if _, done := d.int32(), d.bool(); d.err != nil || !done {
		return nil, fmt.Errorf("read several nodes: more answers than the %d reads", len(reads))
	}
	return results, nil
}

// multiHeader goes before each part of a request that has several, and after the last one.
func (e *encoder) multiHeader(op int32, done bool) {
	e.int32(op)
	e.bool(done)
	e.int32(-1)
}

// Children returns the names below a node, and leaves a watch on them that speaks once.
func (c *Conn) Children(ctx context.Context, path string, watch bool) ([]string, error) {
	body, err := c.call(ctx, opGetChildren, pathAndWatch(path, watch))
	if err != nil {
		return nil, err
	}
	d := decoder{b: body}
	names := d.strings()
	return names, d.err
}

// Data returns a node's content, and leaves a watch on it that speaks once.
func (c *Conn) Data(ctx context.Context, path string, watch bool) ([]byte, Stat, error) {
	body, err := c.call(ctx, opGetData, pathAndWatch(path, watch))
	if err != nil {
		return nil, Stat{}, err
	}
	d := decoder{b: body}
	data, stat := d.buffer(), d.stat()
	return data, stat, d.err
}

// Exists looks for a node, and leaves a watch on its coming, changing and going that speaks once.
func (c *Conn) Exists(ctx context.Context, path string, watch bool) (bool, error) {
	_, err := c.call(ctx, opExists, pathAndWatch(path, watch))
	if err == ErrNoNode { //nolint:errorlint // what call returns is the code itself
		return false, nil
	}
	return err == nil, err
}

func pathAndWatch(path string, watch bool) func(*encoder) {
	return func(e *encoder) {
		e.string(path)
		e.bool(watch)
	}
}
