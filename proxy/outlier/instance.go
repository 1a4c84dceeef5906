package outlier

import (
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/proxy/balance"
)

// phase is where an instance stands.
type phase = int32

const (
	serving phase = iota
	// out: it is ejected until its time is over.
	out
	// waiting: its time is over, and the next request is the trial.
	waiting
	// trying: the trial runs, and the instance is flagged again so that nobody else suffers by it.
	trying
)

// Instance is what one instance of one service has shown. It is safe for concurrent use.
type Instance struct {
	id    string
	load  *balance.Load
	group *Group

	streak atomic.Int32 // failures since the last success
	phase  atomic.Int32 // written with group.mu held
	// counted is true when the instance is in group.active.
	counted atomic.Bool
	users   int32                  // services that have the instance now; guarded by group.mu
	counts  atomic.Pointer[counts] // nil until somebody compares
	past    *record                // nil when it was never ejected: most never are; guarded by group.mu
}

// record is of an instance's ejections.
type record struct {
	times    int // it was ejected, less what good behaviour has made up for
	since    int64
	until    int64 // the end of being out
	lease    int64 // when trying: until when the trial's result is awaited
	returned int64 // when it came back last
	reason   Reason
	detail   string
}

// counts are of one interval.
type counts struct {
	answers histogram     // of the time to the head
	lost    atomic.Uint32 // requests without an answer
	failed  atomic.Uint32 // those, and the answers that were not good
}

// Status is what the status page shows of an instance.
type Status struct {
	// Ejected is true from the ejection until a trial has succeeded.
	Ejected bool
	// Reason and Detail say why.
	Reason Reason
	Detail string
	// Since is when it was ejected, Until when a request may try it again; that is in the past while the trial is awaited.
	Since, Until time.Time
	// Times is how often in a row it was ejected.
	Times int
	// Errors is the number of failures since the last success.
	Errors int
}

// Status describes the instance at a moment of protocol.Now.
func (i *Instance) Status(now int64) Status {
	g := i.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if i.past == nil {
		return Status{Errors: int(i.streak.Load())}
	}
	past := i.past
	if i.phase.Load() == serving {
		return Status{Errors: int(i.streak.Load()), Times: past.times}
	}
	clock := time.Now()
	wall := func(at int64) time.Time { return clock.Add(time.Duration(at - now)) }
	return Status{Ejected: true, Reason: past.reason, Detail: past.detail, Since: wall(past.since), Until: wall(past.until), Times: past.times}
}

// setPhase moves the instance. The flag is taken away before, and set after, the phase says so: whoever begins the trial
// must find the instance unflagged. group.mu is held.
func (i *Instance) setPhase(p phase) {
	if p == serving || p == waiting {
		i.load.Set(balance.Ejected, false)
		i.phase.Store(p)
		return
	}
	i.phase.Store(p)
	i.load.Set(balance.Ejected, true)
}
