package balance

import (
	"slices"
	"sync/atomic"
)

// Choice is what one pick may go by.
type Choice struct {
	// Now is protocol.Now's.
	Now int64
	// Tried lists the targets that the request has been to already: they are chosen only when nothing else is left.
	Tried []*Load
	// Key is a hash of what the policy looks at in the request. Keyed is false when the request has nothing of it.
	Key   uint64
	Keyed bool
}

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

// Pool is what the pickers of one service share, and what outlives them. The zero value is ready.
type Pool struct {
	turn    atomic.Uint64 // the round robin's place
	ignored atomic.Uint32
}

// Ignore makes picks take no notice of these flags, as when most instances have one of them and the flags are to be
// doubted. It replaces what was ignored before.
func (p *Pool) Ignore(flags Flags) { p.ignored.Store(uint32(flags)) }

// Ignored is what Ignore has set.
func (p *Pool) Ignored() Flags { return Flags(p.ignored.Load()) }

// avoids reports whether a target is to be picked only when nothing else is left.
func (p *Pool) avoids(l *Load) bool { return l.flags.Load()&^p.ignored.Load() != 0 }

// passes reports whether a request goes by a target: it is to be avoided, or the request has been there.
func (p *Pool) passes(l *Load, tried []*Load) bool {
	return p.avoids(l) || (len(tried) > 0 && slices.Contains(tried, l))
}
