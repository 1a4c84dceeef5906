//go:build !linux

package socket

// Gone is always false here: the end shows at the next read.
func (c *Conn) Gone() bool { return false }

// State is what Peek saw.
type State uint8

// See the Linux file; here connections are always Quiet.
const (
	Quiet State = iota
	Data
	Ended
)

// Peek cannot look without reading here.
func (c *Conn) Peek() State { return Quiet }

// PollFd is scratch memory for Sweep.
type PollFd struct{}

// Sweep finds nothing here.
func Sweep([]*Conn, []PollFd, func(int)) []PollFd { return nil }

// SweepGone finds nothing here.
func SweepGone([]*Conn, []PollFd, func(int)) []PollFd { return nil }

type peeker struct{}
