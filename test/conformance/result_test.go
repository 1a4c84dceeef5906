package conformance

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// result is what one scenario measured on one registry.
type result struct {
	requests, failed int
	stale            time.Duration // the longest
	recovered        time.Duration // after the fault ended; -1 where there was none
}

func (r result) String() string {
	text := fmt.Sprintf("%d of %d failed; stale %s", r.failed, r.requests, brisk(r.stale))
	if r.recovered >= 0 {
		text += "; back after " + brisk(r.recovered)
	}
	return text
}

// brisk writes a duration as people read it in a table.
func brisk(d time.Duration) string {
	switch {
	case d < 0:
		return "0 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// results are what this run has measured, for the guide.
var results = &resultSet{cells: map[cell]string{}}

type cell struct{ table, row, kind string }

type resultSet struct {
	mu    sync.Mutex
	cells map[cell]string
}

func (r *resultSet) note(t testing.TB, table, row, kind, text string) {
	t.Helper()
	t.Logf("%s: %s", row, text)
	if t.Failed() {
		return // what failed is not published
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cells[cell{table, row, kind}] = text
}
