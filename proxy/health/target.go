package health

import (
	"strings"
	"time"
	"unicode"

	"github.com/sluice-gateway/sluice/proxy/balance"
)

// Target is an instance that is asked, and what is known of it. Its methods are the Checker's.
type Target struct {
	subject Subject
	load    *balance.Load
	changed func()
	service string // for logs

	// The rest is guarded by the checker's mu.
	rule    *Rule
	due     time.Time
	place   int // in the heap; -1 when it is not there
	running bool
	paused  bool
	status  Status
}

// Status is what is known of an instance by asking.
type Status struct {
	// Healthy is the verdict that balancing goes by.
	Healthy bool
	// Since is when it became so; zero while it is only assumed.
	Since time.Time
	// Checks is how many were made.
	Checks uint64
	// At is when the last check ended, Took how long it took.
	At   time.Time
	Took time.Duration
	// Row is how many checks in a row had the same result, good or bad.
	Row int
	// Error is why the last check failed, or "".
	Error string
	// LastError is why a check failed last, and LastErrorAt when.
	LastError   string
	LastErrorAt time.Time
}

// note takes the result of a check in, and reports whether the verdict has changed.
func (t *Target) note(err error, at time.Time, took time.Duration) (changed bool) {
	s, check := &t.status, &t.rule.check
	good, was := err == nil, s.Error == ""
	if good != was {
		s.Row = 0
	}
	s.Row++
	s.Checks++
	s.At, s.Took, s.Error = at, took, ""
	if !good {
		s.Error = clean(err.Error())
		s.LastError, s.LastErrorAt = s.Error, at
	}
	switch {
	case good == s.Healthy:
		if good && s.Since.IsZero() {
			s.Since = at // what was assumed is known now
		}
		return false
	case good && s.Row < check.HealthyThreshold && !t.waits():
		return false
	case !good && s.Row < check.UnhealthyThreshold:
		return false
	}
	s.Healthy, s.Since = good, at
	return true
}

// waits reports whether the instance has never passed a check, and must before it is used.
func (t *Target) waits() bool {
	return t.rule.check.WaitForFirst && !t.status.Healthy && t.status.Since.IsZero()
}

// clean makes a text that an instance may have written fit for a log line and a page.
func clean(s string) string {
	const longest = 300
	if len(s) > longest {
		s = s[:longest] + "..."
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, ""))
	return strings.TrimSpace(s)
}
