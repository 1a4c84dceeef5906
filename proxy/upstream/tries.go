package upstream

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
)

// Tries say how long a request may take, and what of it is tried again.
type Tries struct {
	// Timeout, in nanoseconds, bounds the time until the answer's head, with all tries; 0 means none. PerTry bounds each.
	Timeout, PerTry int64
	// Attempts are those beyond the first.
	Attempts int
	// Backoff, in nanoseconds, is the mean pause before a try when every instance has been tried; it doubles each time.
	Backoff int64
	// Idempotent makes requests repeatable whatever their method.
	Idempotent bool

	// connect, reset and timeout are the failures that are repeated; statuses holds a bit for each status that is.
	connect, reset, timeout bool
	statuses                [10]uint64
}

// TriesOf reads what a route says.
func TriesOf(to *config.Target) Tries {
	r := &to.Retries
	t := Tries{
		Timeout: int64(to.Timeout), PerTry: int64(r.PerTry), Attempts: r.Attempts, Backoff: int64(r.Backoff), Idempotent: r.Idempotent,
	}
	for _, on := range r.On {
		switch on {
		case "connect":
			t.connect = true
		case "reset":
			t.reset = true
		case "timeout":
			t.timeout = true
		case "5xx":
			for status := 500; status < 600; status++ {
				t.add(status)
			}
		default:
			status, _ := strconv.Atoi(on) // checked with the document
			t.add(status)
		}
	}
	return t
}

func (t *Tries) add(status int) {
	if status >= 0 && status < len(t.statuses)*64 {
		t.statuses[status/64] |= 1 << (status % 64)
	}
}

// unwanted reports whether an answer of this status is tried again.
func (t *Tries) unwanted(status int) bool {
	return status >= 0 && status < len(t.statuses)*64 && t.statuses[status/64]&(1<<(status%64)) != 0
}

// repeats reports whether a request that failed with err may be sent to another instance: when nothing of it was sent, or
// sending it twice does no harm (RFC 9110 section 9.2.2), and it still can be.
func (t *Tries) repeats(ctx context.Context, req *protocol.Request, err error) bool {
	var e *protocol.Error
	if !errors.As(err, &e) {
		return false
	}
	switch {
	case e.NotSent:
		if !t.connect {
			return false
		}
	case !t.idempotent(req):
		return false
	case e.Code == protocol.CodeUpstreamConnect:
		if !t.connect {
			return false
		}
	case e.Code == protocol.CodeUpstreamReset, e.Code == protocol.CodeUpstreamBusy:
		if !t.reset {
			return false
		}
	case e.Code == protocol.CodeUpstreamTimeout:
		if !t.timeout {
			return false
		}
	default:
		return false
	}
	return ctx.Err() == nil && req.Replayable()
}

// notSent reports whether a try failed before anything reached the service. Such tries are no load that a budget could keep
// from it: when one of two instances dies, half of all requests may meet it first, and every one of them must find the other.
func notSent(err error) bool {
	var e *protocol.Error
	return errors.As(err, &e) && e.NotSent
}

// idempotent is about the request as the client sent it; what a transcoder made of it (a call) is only known to be if the
// route says so.
func (t *Tries) idempotent(req *protocol.Request) bool {
	if t.Idempotent {
		return true
	}
	if req.Call != nil {
		return false
	}
	switch req.Method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// pause waits before the n-th repetition (from 0) when no instance is left that was not tried: a random time, so that
// requests which failed together do not come back together. It reports false when the client has gone or there is no time.
func (t *Tries) pause(ctx context.Context, n int, deadline int64) bool {
	if t.Backoff <= 0 {
		return true
	}
	mean := t.Backoff << min(n, 10)
	d := mean/2 + rand.Int64N(mean)
	if deadline != 0 && protocol.Now()+d >= deadline {
		return false
	}
	timer := time.NewTimer(time.Duration(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
