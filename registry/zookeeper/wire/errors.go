package wire

import (
	"errors"
	"fmt"
)

// ErrLost says that the connection ended before an answer came.
var ErrLost = errors.New("connection lost")

// ErrRefused says that a server closed the connection instead of answering the handshake. ZooKeeper does that while it
// does not serve (it starts, or has no quorum), when it has too many connections from one address, and to clients that
// have seen a later state than it has.
var ErrRefused = errors.New("closed the connection at the handshake: it does not serve yet, has no quorum, has too many connections, has lost data that was seen before, or expects TLS")

// ErrTooLarge says that an answer was longer than MaxFrame.
var ErrTooLarge = errors.New("answer is too large")

// Error is a code with which a server answers a request (org.apache.zookeeper.KeeperException.Code).
type Error int32

// The codes that somebody asks for by name.
const (
	ErrUnimplemented Error = -6
	ErrNoNode        Error = -101
	ErrNoAuth        Error = -102
	ErrBadVersion    Error = -103
	ErrNodeExists    Error = -110
	ErrNotEmpty      Error = -111
	ErrExpired       Error = -112
	ErrAuthFailed    Error = -115
	ErrMoved         Error = -118
)

// Error says it in words, with ZooKeeper's own name for whoever searches.
func (e Error) Error() string {
	switch e {
	case ErrUnimplemented:
		return "the server does not know this request (Unimplemented)"
	case ErrNoNode:
		return "no such node (NoNode)"
	case ErrNoAuth:
		return "no permission (NoAuth)"
	case ErrBadVersion:
		return "changed meanwhile (BadVersion)"
	case ErrNodeExists:
		return "it exists already (NodeExists)"
	case ErrNotEmpty:
		return "it has children (NotEmpty)"
	case ErrExpired:
		return "session expired (SessionExpired)"
	case ErrAuthFailed:
		return "authentication failed (AuthFailed)"
	case ErrMoved:
		return "session moved to another server (SessionMoved)"
	}
	return fmt.Sprintf("ZooKeeper's error %d", int32(e))
}

// failure is the error of a code: nil for 0.
func failure(code int32) error {
	if code == 0 {
		return nil
	}
	return Error(code)
}
