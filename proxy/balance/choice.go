package balance

import (
	"slices"
	"strings"
)

// Choice is what one pick may go by.
type Choice struct {
	// Now is protocol.Now's.
	Now int64
	// Tried lists the targets that the request has been to already: they are chosen only when nothing else is left.
	Tried []*Load
	// Key is a hash, such as Hash's, of what the policy looks at in the request. Keyed is false when the request has nothing
	// of it. Only ringHash and maglev read it.
	Key   uint64
	Keyed bool
}

func (c *Choice) tried(l *Load) bool { return len(c.Tried) > 0 && slices.Contains(c.Tried, l) }

// Flags are reasons not to pick an instance while there are others.
type Flags uint32

const (
	// Draining: it said that it is leaving (Dubbo's READONLY, HTTP/2's GOAWAY).
	Draining Flags = 1 << iota
	// Unhealthy: it fails active health checks.
	Unhealthy
	// Ejected: its answers were worse than those of the others (outlier ejection).
	Ejected
	// Full: it has as many requests as it may have.
	Full
)

// doubtful are the flags that are opinions, and wrong ones when most instances have them.
const doubtful = Unhealthy | Ejected

// String lists the flags by name.
func (f Flags) String() string {
	var names []string
	for i, name := range []string{"draining", "unhealthy", "ejected", "full"} {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
