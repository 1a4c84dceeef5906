package telemetry

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

const (
	// flushEvery is the longest a line waits in memory.
	flushEvery = 200 * time.Millisecond
	// flushAt wakes the writer early.
	flushAt = 64 << 10
	// maxBuffered bounds what a slow disk can make us hold; lines beyond it are dropped and counted.
	maxBuffered = 8 << 20
)

// AccessLog writes one line a request, in the form of slog's JSONHandler.
type AccessLog struct {
	path string

	mu   sync.Mutex
	buf  []byte
	wake chan struct{}

	dropped atomic.Uint64
	failed  atomic.Uint64

	reopen chan struct{}
	stop   chan struct{}
	done   sync.WaitGroup
}

// OpenAccessLog opens the log at path: a file, which is appended to, "stdout" or "stderr". For "off" it returns nil, and
// a nil AccessLog takes and ignores everything.
func OpenAccessLog(path string) (*AccessLog, error) {
	if path == "off" {
		return nil, nil
	}
	w, err := openLog(path)
	if err != nil {
		return nil, err
	}
	l := &AccessLog{path: path, wake: make(chan struct{}, 1), reopen: make(chan struct{}, 1), stop: make(chan struct{})}
	l.done.Go(func() { l.run(w) })
	return l, nil
}

func openLog(path string) (io.WriteCloser, error) {
	switch path {
	case "stdout":
		return unclosed{os.Stdout}, nil
	case "stderr":
		return unclosed{os.Stderr}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open access log: %w", err)
	}
	return f, nil
}

// unclosed keeps the process's own streams open.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// Path is what it was opened with; "off" for nil.
func (l *AccessLog) Path() string {
	if l == nil {
		return "off"
	}
	return l.path
}

// Dropped counts the lines that were lost because the writer was too slow, and failed writes.
func (l *AccessLog) Dropped() uint64 {
	if l == nil {
		return 0
	}
	return l.dropped.Load() + l.failed.Load()
}

// Reopen closes the file and opens it again, for log rotation.
func (l *AccessLog) Reopen() {
	if l == nil {
		return
	}
	select {
	case l.reopen <- struct{}{}:
	default:
	}
}

// Close writes out what is left.
func (l *AccessLog) Close() {
	if l == nil {
		return
	}
	close(l.stop)
	l.done.Wait()
}

// Log adds the line of an exchange that has ended. nanos is how long it took.
func (l *AccessLog) Log(req *protocol.Request, status int, nanos int64) {
	if l == nil {
		return
	}
	now := time.Now()
	l.mu.Lock()
	if len(l.buf) > maxBuffered {
		l.mu.Unlock()
		l.dropped.Add(1)
		return
	}
	before := len(l.buf)
	l.buf = appendLine(l.buf, now, req, status, nanos)
	full := before < flushAt && len(l.buf) >= flushAt
	l.mu.Unlock()
	if full {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

func (l *AccessLog) run(w io.WriteCloser) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	defer func() { _ = w.Close() }()
	var spare []byte
	flush := func() {
		l.mu.Lock()
		full := l.buf
		l.buf = spare[:0]
		l.mu.Unlock()
		if len(full) > 0 {
			if _, err := w.Write(full); err != nil {
				l.failed.Add(1)
			}
		}
		if spare = full; cap(spare) > 4*flushAt {
			spare = nil // a burst's memory is given back
		}
	}
	for {
		select {
		case <-l.stop:
			flush()
			return
		case <-tick.C:
		case <-l.wake:
		case <-l.reopen:
			flush()
			if fresh, err := openLog(l.path); err != nil {
				l.failed.Add(1) // go on with the old file: its lines are not lost
			} else {
				_ = w.Close()
				w = fresh
			}
		}
		flush()
	}
}
