package conformance

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// deadline is how long one request may take: a later answer is a failure.
const deadline = 5 * time.Second

// rate is how many requests a second the load has. The short form shares two cores with the race detector.
func rate() int {
	if full() {
		return 250
	}
	return 100
}

// load sends requests at a constant rate, and keeps what came of them.
type load struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu       sync.Mutex
	total    int
	slowest  time.Duration
	failures []failure
}

type failure struct {
	sent time.Time
	took time.Duration
	what string
}

// loadClients send the requests; each keeps its connection.
const loadClients = 10

// load begins to GET path.
func (g *gateway) load(path string) *load {
	g.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l := &load{stop: stop}
	for n := range loadClients {
		l.done.Go(func() {
			every := time.Second * loadClients / time.Duration(rate())
			select {
			case <-time.After(every * time.Duration(n) / loadClients): // so that they do not go hand in hand
			case <-ctx.Done():
				return
			}
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				l.note(g.one(path))
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	g.t.Cleanup(l.end)
	return l
}

// one sends a request; what is "" went well.
func (g *gateway) one(path string) (sent time.Time, what string) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	sent = time.Now()
	code, body, err := g.get(ctx, path)
	if err == nil && code == http.StatusOK {
		return sent, ""
	}
	return sent, fmt.Sprintf("%d %.300s %v", code, body, err)
}

func (l *load) note(sent time.Time, what string) {
	took := time.Since(sent)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	l.slowest = max(l.slowest, took)
	if what != "" {
		l.failures = append(l.failures, failure{sent, took, what})
	}
}

// end stops the clients and waits for their last answers.
func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// wantNoFailure ends the load.
func (l *load) wantNoFailure(t testing.TB) {
	t.Helper()
	l.end()
	for n, f := range l.failures {
		if n == 5 {
			t.Errorf("and %d more", len(l.failures)-n)
			break
		}
		t.Errorf("failed: sent %s, after %v: %s", f.sent.Format("15:04:05.000"), f.took.Round(time.Millisecond), f.what)
	}
}
