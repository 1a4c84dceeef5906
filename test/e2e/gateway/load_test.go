package gateway

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// load sends requests without a pause from several clients, and knows what came of them.
type load struct {
	t    testing.TB
	stop chan struct{}
	done sync.WaitGroup

	mu       sync.Mutex
	total    int
	recent   []string // the answers of late, the newest last
	failures []failure
}

type failure struct {
	sent, failed time.Time
	what         string
}

// window is how many answers in a row tell where traffic goes: enough for each of a few instances to have its turn.
const window = 40

// load begins to GET path. What is not 200 is a failure; a good answer's body says who gave it.
func (s *sluice) load(path string, clients int) *load {
	l := &load{t: s.t, stop: make(chan struct{})}
	for range clients {
		l.done.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				case <-time.After(2 * time.Millisecond): // two cores are shared with the servers under test
				}
				sent := time.Now()
				a, err := s.do(http.MethodGet, path, "")
				l.note(sent, a, err)
			}
		})
	}
	s.t.Cleanup(l.end)
	return l
}

func (l *load) note(sent time.Time, a answer, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	if err != nil || a.code != http.StatusOK {
		l.failures = append(l.failures, failure{sent, time.Now(), fmt.Sprintf("%d %s %v", a.code, a.body, err)})
		return
	}
	l.recent = append(l.recent, strings.Trim(a.body, `"`))
	if n := len(l.recent); n > window {
		l.recent = l.recent[n-window:]
	}
}

// end stops the clients and waits for their last answers.
func (l *load) end() {
	l.mu.Lock()
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.mu.Unlock()
	l.done.Wait()
}

// names are those who gave the answers of late.
func (l *load) names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[string]bool{}
	for _, name := range l.recent {
		seen[name] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// last reports whether the last n answers are by exactly these.
func (l *load) last(n int, want []string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.recent) < n {
		return false
	}
	seen := map[string]bool{}
	for _, name := range l.recent[len(l.recent)-n:] {
		seen[name] = true
	}
	return slices.Equal(slices.Sorted(maps.Keys(seen)), want)
}

// untilBy waits until exactly these answer, and returns how long that took.
func (l *load) untilBy(want ...string) time.Duration {
	l.t.Helper()
	slices.Sort(want)
	l.mu.Lock()
	l.recent = nil
	l.mu.Unlock()
	began := time.Now()
	until(l.t, func() string {
		return fmt.Sprintf("answers by %v; they are by %v, failures %v", want, l.names(), l.failed())
	}, func() bool { return l.last(min(window, 10*len(want)), want) })
	return time.Since(began)
}

func (l *load) failed() []failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.failures)
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// untilMore waits for n further answers, good or not.
func (l *load) untilMore(n int) {
	l.t.Helper()
	goal := l.count() + n
	until(l.t, text("more answers"), func() bool { return l.count() >= goal })
}

// wantNoFailure ends the load.
func (l *load) wantNoFailure() {
	l.t.Helper()
	l.end()
	for i, f := range l.failed() {
		if i == 5 {
			l.t.Errorf("and %d more", len(l.failed())-i)
			break
		}
		l.t.Errorf("failed: sent %v, after %v: %s", f.sent.Format("15:04:05.000"), f.failed.Sub(f.sent), f.what)
	}
	l.t.Logf("%d requests, %d failed", l.count(), len(l.failed()))
}

func (f failure) String() string { return f.what }
