package telemetry

import (
	"cmp"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sluice-gateway/sluice/protocol"
)

// Recent remembers the last exchanges in memory that never grows, so that somebody who has a request's id can ask where
// the request went and why. Half of it is for exchanges that failed or were tried again, so that those are still there
// when thousands that went well have followed; the other half is for those that went well and have an id.
//
// A nil Recent takes and ignores everything.
type Recent struct {
	size         int
	failed, well ring
}

// NewRecent returns a Recent of size entries, or nil for 0.
func NewRecent(size int) *Recent {
	if size <= 0 {
		return nil
	}
	half := max(size/2, 1)
	return &Recent{size, ring{entries: make([]entry, half)}, ring{entries: make([]entry, max(size-half, 1))}}
}

// Size is what it was made with; 0 for nil.
func (r *Recent) Size() int {
	if r == nil {
		return 0
	}
	return r.size
}

// ring overwrites its oldest entry. Each entry has a lock of its own, so that exchanges which end at the same time share
// only a counter, and whoever reads holds up nobody for longer than the copying of one.
type ring struct {
	next    atomic.Uint64
	entries []entry
}

// The bounds of what is kept of one exchange.
const (
	keptText   = 400 // bytes of id, method, host and path together
	keptID     = 128
	keptMethod = 16
	keptHost   = 100
	keptError  = 1000
)

// entry is one exchange. What lives in the exchange's own memory is copied into text; other strings are shared with the
// plan and the services that they came from.
type entry struct {
	mu                                sync.Mutex
	idEnd, methodEnd, hostEnd, length uint16 // in text
	status                            uint16
	cut                               bool // the path was longer
	attempts                          int32
	start, nanos, upstream            int64
	route, service, instance          string
	code                              protocol.Code
	err                               string
	earlier                           []protocol.Try
	text                              [keptText]byte
}

// Note remembers an exchange that has ended with status after nanos, if it is one to remember.
func (r *Recent) Note(req *protocol.Request, status int, nanos int64) {
	if r == nil {
		return
	}
	if bad := failed(&req.Record, status); bad || req.ID != "" {
		r.note(req, status, nanos, bad)
	}
}

// failed reports whether an exchange was not as it should be, which is not so for a client's mistake.
func failed(rec *protocol.Record, status int) bool {
	return status >= 499 || rec.Attempts > 1 || (rec.Err != nil && status < 400)
}

func (r *Recent) note(req *protocol.Request, status int, nanos int64, bad bool) {
	to := &r.well
	if bad {
		to = &r.failed
	}
	e := &to.entries[(to.next.Add(1)-1)%uint64(len(to.entries))]
	rec := &req.Record
	err := ""
	if rec.Err != nil {
		err = strings.Clone(cutText(rec.Err.Error(), keptError))
	}
	path := cmp.Or(rec.Path, req.Path)
	e.mu.Lock()
	defer e.mu.Unlock()
	text := append(e.text[:0], cutText(req.ID, keptID)...)
	e.idEnd = uint16(len(text))
	text = append(text, cutText(req.Method, keptMethod)...)
	e.methodEnd = uint16(len(text))
	text = append(text, cutText(req.Authority, keptHost)...)
	e.hostEnd = uint16(len(text))
	room := keptText - len(text)
	e.cut = len(path) > room
	text = append(text, cutText(path, room)...)
	e.length = uint16(len(text))
	e.start, e.nanos, e.upstream = req.Start, nanos, rec.UpstreamNanos
	e.status, e.attempts = uint16(status), int32(rec.Attempts)
	e.route, e.service, e.instance = rec.Route, rec.Service, rec.Instance
	e.code, e.err, e.earlier = rec.Code, err, rec.Earlier
}

func cutText(s string, most int) string { return s[:min(len(s), most)] }
