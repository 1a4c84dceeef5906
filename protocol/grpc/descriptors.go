package grpc

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// Descriptors follows a Source and keeps the newest Schema that could be read from it. What was read once stays in use when
// a later reading fails.
//
// Nothing is read before somebody asks. A reading in the background is begun by a request that finds the last one too old,
// so Descriptors that nobody uses cost nothing.
type Descriptors struct {
	source Source
	every  time.Duration
	logger *slog.Logger

	current atomic.Pointer[Schema]
	// next is the time of protocol.Now from when on a request begins another reading.
	next atomic.Int64

	mu      sync.Mutex
	reading chan struct{} // closed when the reading that is under way ends; nil if none is
	begun   int64         // when it, or the last one, began
	again   bool          // Refresh was called meanwhile
	closed  bool
	state   DescriptorsState
	stop    func()
	running sync.WaitGroup
}

// DescriptorsState tells how the last reading went.
type DescriptorsState struct {
	// Source names where descriptors come from.
	Source string
	// Services are the full names that are known.
	Services []string
	// Read is when they were last read with success; Changed is when they last came out different.
	Read, Changed time.Time
	// Err is why the last reading failed, nil if it did not.
	Err error
}

const (
	// firstDescriptors is how long a request waits for the first reading.
	firstDescriptors = 3 * time.Second
	// afterFailure is how soon a failed reading is tried again, when a request needs it.
	afterFailure = 2 * time.Second
	// betweenHints is the least time between readings that hints (an unknown method, an UNIMPLEMENTED) ask for.
	betweenHints = 5 * time.Second
)

// NewDescriptors returns Descriptors that have not read anything yet. every is how old a reading may get before a request
// begins another one; 0 leaves that to Refresh. logger may be nil. Close them when they are given up.
func NewDescriptors(source Source, every time.Duration, logger *slog.Logger) *Descriptors {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Descriptors{source: source, every: every, logger: logger, state: DescriptorsState{Source: source.String()}}
}

// Load reads now, and returns what is wrong if that fails: for configurations that shall be refused then.
func (d *Descriptors) Load(ctx context.Context) error {
	done := d.begin(0)
	if done == nil {
		return errDescriptorsClosed
	}
	select {
	case <-done:
		return d.State().Err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Refresh begins a reading because something has changed: instances are of another version, a file was written. It returns
// at once.
func (d *Descriptors) Refresh() {
	d.mu.Lock()
	if d.reading != nil {
		d.again = true // what is being read may be what was before
		d.mu.Unlock()
		return
	}
	d.mu.Unlock()
	d.begin(0)
}

// hint says that the descriptors may be out of date.
func (d *Descriptors) hint() { d.begin(int64(betweenHints)) }

// State tells how the last reading went.
func (d *Descriptors) State() DescriptorsState {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

// Close ends a reading that is under way and waits for it.
func (d *Descriptors) Close() {
	d.mu.Lock()
	d.closed = true
	if d.stop != nil {
		d.stop()
	}
	d.mu.Unlock()
	d.running.Wait()
}

// schema gives the newest Schema. It waits only for the very first.
func (d *Descriptors) schema(ctx context.Context, deadline int64) (*Schema, error) {
	s := d.current.Load()
	if s == nil {
		return d.first(ctx, deadline)
	}
	if next := d.next.Load(); next != 0 && protocol.Now() >= next && d.next.CompareAndSwap(next, 0) {
		d.begin(0)
	}
	return s, nil
}

func (d *Descriptors) first(ctx context.Context, deadline int64) (*Schema, error) {
	done := d.begin(int64(afterFailure))
	bound := firstDescriptors
	if deadline != 0 {
		bound = min(bound, time.Duration(deadline-protocol.Now()))
	}
	if done != nil {
		timer := time.NewTimer(bound)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
		case <-ctx.Done():
			return nil, &protocol.Error{Status: 499, Code: protocol.CodeClientGone, Message: "the client left", Cause: context.Cause(ctx), NotSent: true}
		}
	}
	if s := d.current.Load(); s != nil {
		return s, nil
	}
	cause := d.State().Err
	if cause == nil {
		cause = errNotYetRead
	}
	return nil, &protocol.Error{
		Status: 502, Code: protocol.CodeNoDefinition, Message: "the gateway does not know yet what the service looks like",
		Cause: cause, NotSent: true, RetryAfter: afterFailure,
	}
}

// begin starts a reading, unless one is under way or the last one began less than apart nanoseconds ago, and returns what
// is closed at its end. It is nil if there is nothing to wait for.
func (d *Descriptors) begin(apart int64) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.reading != nil:
		return d.reading
	case d.closed, apart > 0 && d.begun != 0 && protocol.Now()-d.begun < apart:
		return nil
	}
	d.start()
	return d.reading
}

// start starts a reading. The lock is held.
func (d *Descriptors) start() {
	ctx, cancel := context.WithCancel(context.Background())
	d.reading, d.begun, d.stop = make(chan struct{}), protocol.Now(), cancel
	d.running.Go(func() {
		defer cancel()
		s, err := d.read(ctx)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.took(s, err)
		close(d.reading)
		d.reading, d.stop = nil, nil
		if d.again && !d.closed {
			d.again = false
			d.start()
		}
	})
}

// read reads the source; a source that says what it said before gives the Schema of before.
func (d *Descriptors) read(ctx context.Context) (*Schema, error) {
	raw, err := d.source.load(ctx)
	if err != nil {
		return nil, err
	}
	if s := d.current.Load(); s != nil && s.sum == sha256.Sum256(raw) {
		return s, nil
	}
	return schemaOf(raw)
}

// took keeps the outcome of a reading. The lock is held.
func (d *Descriptors) took(s *Schema, err error) {
	if d.every > 0 {
		wait := d.every
		if err != nil {
			wait = min(wait, afterFailure)
		}
		d.next.Store(protocol.Now() + int64(wait))
	}
	d.state.Err = err
	if err != nil {
		if !d.closed {
			d.logger.Warn("cannot read descriptors of gRPC services", "source", d.source.String(), "error", err, "keeps", d.current.Load() != nil)
		}
		return
	}
	d.state.Read = time.Now()
	if s != d.current.Load() {
		d.state.Changed, d.state.Services = d.state.Read, s.Services()
		d.current.Store(s)
	}
}
