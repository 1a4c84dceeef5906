package wire

import (
	"context"
	"errors"
	"fmt"
)

// Permissions of an ACL (org.apache.zookeeper.ZooDefs.Perms).
const (
	permRead = 1
	permAll  = 31
)

// Access says who may do what with a node that is created.
type Access bool

const (
	// Everybody lets everybody do everything, which is what registrations usually have.
	Everybody Access = false
	// Owned lets everybody read, and whoever is authenticated on this connection do the rest.
	Owned Access = true
)

func (a Access) encode(e *encoder) {
	if a == Everybody {
		e.int32(1)
		e.acl(permAll, "world", "anyone")
		return
	}
	e.int32(2)
	e.acl(permRead, "world", "anyone")
	e.acl(permAll, "auth", "")
}

func (e *encoder) acl(perms int32, scheme, id string) {
	e.int32(perms)
	e.string(scheme)
	e.string(id)
}

// Flags of a node.
const (
	flagEphemeral = 1
	flagContainer = 4
)

func createRequest(path string, data []byte, a Access, flags int32) func(*encoder) {
	return func(e *encoder) {
		e.string(path)
		e.buffer(data)
		a.encode(e)
		e.int32(flags)
	}
}

// CreateFolder creates an empty node, one that goes by itself some time after its last child (a container) if the server
// is 3.6 or later.
func (c *Conn) CreateFolder(ctx context.Context, path string, container bool) error {
	op, flags := opCreate, int32(0)
	if container {
		op, flags = opCreateContainer, flagContainer
	}
	_, err := c.call(ctx, op, createRequest(path, nil, Everybody, flags))
	return err
}

// CreateEphemeral creates a node that ends with the session.
func (c *Conn) CreateEphemeral(ctx context.Context, path string, data []byte, a Access) error {
	_, err := c.call(ctx, opCreate, createRequest(path, data, a, flagEphemeral))
	return err
}

// ReplaceEphemeral puts a node of this session in the place of one that exists, without a moment between them in which
// there is none.
func (c *Conn) ReplaceEphemeral(ctx context.Context, path string, data []byte, a Access) error {
	body, err := c.call(ctx, opMulti, func(e *encoder) {
		e.multiHeader(opDelete, false)
		deleteRequest(path)(e)
		e.multiHeader(opCreate, false)
		createRequest(path, data, a, flagEphemeral)(e)
		e.multiHeader(-1, true)
	})
	if err != nil {
		return err
	}
	return parseMulti(body)
}

// parseMulti finds the first error among the answers to a transaction. Those after it say only that they were not tried.
func parseMulti(body []byte) error {
	d := decoder{b: body}
	for {
		op, done, _ := d.int32(), d.bool(), d.int32()
		switch {
		case d.err != nil:
			return fmt.Errorf("read the answer to a transaction: %w", d.err)
		case done:
			return nil
		case op == -1:
			if code := d.int32(); code != 0 {
				return Error(code)
			}
		case op == opCreate:
			_ = d.string()
		case op == opDelete:
		default:
			return fmt.Errorf("read the answer to a transaction: type %d", op)
		}
	}
}

// Delete removes a node; one that is not there is no error.
func (c *Conn) Delete(ctx context.Context, path string) error {
	_, err := c.call(ctx, opDelete, deleteRequest(path))
	if errors.Is(err, ErrNoNode) {
		return nil
	}
	return err
}

func deleteRequest(path string) func(*encoder) {
	return func(e *encoder) {
		e.string(path)
		e.int32(-1) // whatever its version
	}
}
