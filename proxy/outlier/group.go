package outlier

import (
	"maps"
	"slices"
	"sync"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
)

// Reason says by what an instance was found to be worse than the others. It is the name of the key that asks for it.
type Reason string

// The reasons.
const (
	ConsecutiveErrors Reason = "consecutiveErrors"
	ErrorRate         Reason = "errorRate"
	Latency           Reason = "latency"
	// Trial: the request that should have brought it back failed.
	Trial Reason = "trial"
)

// Group is what the instances of one service share. The zero value is ready.
type Group struct {
	mu sync.Mutex
	// ejected are those not serving; active those that had requests since they were compared last.
	ejected, active []*Instance
	counting        int64 // when active began to be filled
	ejections       map[Reason]uint64
}

// New makes the state of an instance that load belongs to. Its service has it from the first Join on.
func (g *Group) New(id string, load *balance.Load) *Instance {
	return &Instance{id: id, load: load, group: g}
}

// Join and Leave say that a service has the instance now, or has it no longer. One that nobody has is remembered, but it
// does not count as one of those that may be out at once.
func (g *Group) Join(i *Instance) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i.users++
}

// Leave takes a Join back.
func (g *Group) Leave(i *Instance) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i.users--
}

// Ejections counts them by reason since the gateway knows the service.
func (g *Group) Ejections() map[Reason]uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.ejections)
}

// Free lets every instance serve, with no memory of what it has done. It is for a service that nobody judges any more.
func (g *Group) Free() (freed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	freed = len(g.ejected) > 0
	for _, i := range g.ejected {
		i.setPhase(serving)
		i.past = nil
		i.streak.Store(0)
	}
	g.ejected = nil
	for _, i := range g.active {
		i.counted.Store(false)
	}
	g.active = nil
	return freed
}

// out is how many of the instances that the service has are not serving. mu is held.
func (g *Group) out() (n int) {
	for _, i := range g.ejected {
		if i.users > 0 {
			n++
		}
	}
	return n
}

// restore lets an instance serve. mu is held.
func (g *Group) restore(i *Instance, now int64) {
	g.ejected = slices.DeleteFunc(g.ejected, func(o *Instance) bool { return o == i })
	i.past.returned = now
	i.streak.Store(0)
	i.setPhase(serving)
}

func (g *Group) count(i *Instance) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.active) == 0 {
		g.counting = protocol.Now()
	}
	g.active = append(g.active, i)
}
