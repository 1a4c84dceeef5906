// Package filewatch notices that files may have changed, however that is done: written in place, replaced by an atomic
// rename as editors do, swapped through symbolic links as Kubernetes does with mounted ConfigMaps, deleted and brought
// back, with folders that do not exist yet. It tells only when to look; what has changed is for whoever looks.
//
// The kernel's notifications (inotify) are the fast way. They can be missing (a limit of the machine, a network file
// system), so that a slow poll stands behind them.
package filewatch

import (
	"context"
	"fmt"
	"time"

	"github.com/fsnotify/fsnotify"
)

// The times that a Watcher uses where it sets none.
const (
	DefaultSettle = 50 * time.Millisecond
	DefaultPoll   = 10 * time.Second
)

// maxSettle bounds how long a file that is written all the time keeps us from looking at it, in Settles.
const maxSettle = 20

// Watcher calls Check whenever it may be worth it.
type Watcher struct {
	// Check looks at the files. It returns every path that it depends on: files, whether they exist or not, and folders,
	// whose entries all count.
	Check func() []string
	// Settle is how long files must be quiet before they are looked at: a file that is being written is seen once.
	Settle time.Duration
	// Poll is the time between two looks without any notification.
	Poll time.Duration
	// Now, if not nil, asks for a look at once.
	Now <-chan struct{}
	// Warn, if not nil, takes troubles with notifications; polling goes on.
	Warn func(error)
}

// Run looks at once, then after every change, and returns when ctx ends. Check is called from this goroutine only.
func (w *Watcher) Run(ctx context.Context) {
	settle, poll := w.Settle, w.Poll
	if settle <= 0 {
		settle = DefaultSettle
	}
	if poll <= 0 {
		poll = DefaultPoll
	}
	watches := &watches{warn: w.warn}
	var events chan fsnotify.Event
	var failures chan error
	if n, err := fsnotify.NewWatcher(); err != nil {
		w.warn(fmt.Errorf("watch files: %w; changes are seen every %v", err, poll))
	} else {
		defer n.Close() //nolint:errcheck // nothing is written through it
		watches.notify, events, failures = n, n.Events, n.Errors
	}

	var quiet <-chan time.Time // set while changes settle
	var since time.Time
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	w.look(watches)
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-events:
			if !watches.concerns(event.Name) {
				continue
			}
			if quiet == nil {
				since = time.Now()
			}
			if quiet == nil || time.Since(since) < maxSettle*settle {
				quiet = time.After(settle)
			}
			continue
		case err := <-failures: // also when the kernel's queue ran over: something was missed
			w.warn(fmt.Errorf("watch files: %w", err))
		case <-quiet:
		case <-w.Now:
		case <-ticker.C:
		}
		quiet = nil
		w.look(watches)
	}
}

// look checks, and watches what the check depends on. What changed between a check and the beginning of a watch would
// be missed, so that new watches mean another check.
func (w *Watcher) look(watches *watches) {
	for range 5 {
		if !watches.update(w.Check()) {
			return
		}
	}
}

func (w *Watcher) warn(err error) {
	if w.Warn != nil {
		w.Warn(err)
	}
}
