package telemetry

import (
	"cmp"
	"slices"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// Exchange is what is remembered of one.
type Exchange struct {
	// ID is X-Request-Id as it came, or its beginning.
	ID string
	// Start is when its head was read.
	Start              time.Time
	Method, Host, Path string
	// PathCut is true when Path is only the beginning.
	PathCut  bool
	Status   int
	Duration time.Duration
	// Route that took it; "" when none did.
	Route string
	// Service and Instance it was sent to last, and how long that took until the head of the answer.
	Service, Instance string
	Upstream          time.Duration
	// Attempts counts the tries, Earlier tells those before the last (the first ones, if there were many).
	Attempts int
	Earlier  []protocol.Try
	// Code and Err say how it failed, if it did; Err may be cut.
	Code protocol.Code
	Err  string

	end int64
}

// Find returns the exchanges with this id, the newest first, no more than most. Clients that repeat a request often repeat
// its id.
func (r *Recent) Find(id string, most int) []Exchange {
	if r == nil {
		return nil
	}
	id = cutText(id, keptID)
	is := func(e *entry) bool { return string(e.text[:e.idEnd]) == id }
	return newest(append(r.failed.read(is), r.well.read(is)...), most)
}

// Failed returns the last exchanges that failed or were tried again, the newest first, no more than most.
func (r *Recent) Failed(most int) []Exchange {
	if r == nil {
		return nil
	}
	return newest(r.failed.read(func(*entry) bool { return true }), most)
}

func newest(all []Exchange, most int) []Exchange {
	slices.SortStableFunc(all, func(a, b Exchange) int { return cmp.Compare(b.end, a.end) })
	return all[:min(len(all), most)]
}

func (r *ring) read(wanted func(*entry) bool) (found []Exchange) {
	for i := range r.entries {
		if x, ok := r.entries[i].read(wanted); ok {
			found = append(found, x)
		}
	}
	return found
}

func (e *entry) read(wanted func(*entry) bool) (Exchange, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.status == 0 || !wanted(e) {
		return Exchange{}, false
	}
	start := e.start
	if start == 0 {
		start = protocol.Now()
	}
	return Exchange{
		ID: string(e.text[:e.idEnd]), Start: time.Now().Add(-time.Duration(protocol.Now() - start)),
		Method: string(e.text[e.idEnd:e.methodEnd]), Host: string(e.text[e.methodEnd:e.hostEnd]), Path: string(e.text[e.hostEnd:e.length]),
		PathCut: e.cut, Status: int(e.status), Duration: time.Duration(e.nanos), Route: e.route, Service: e.service, Instance: e.instance,
		Upstream: time.Duration(e.upstream), Attempts: int(e.attempts), Earlier: e.earlier, Code: e.code, Err: e.err,
		end: e.start + e.nanos,
	}, true
}
