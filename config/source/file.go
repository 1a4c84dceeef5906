package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/filewatch"
)

// File is a document in one file. It notices changes by rename, through symbolic links, in place, and after the file was
// gone. Make it with NewFile.
type File struct {
	path   string
	warn   func(error)
	poll   time.Duration
	now    chan struct{}
	forced atomic.Bool

	// What was last pushed, and the last trouble; both belong to Run's goroutine.
	last    []byte
	pushed  bool
	trouble string
}

// NewFile watches path. warn takes troubles, each once as long as it lasts: a file that is gone or cannot be read (what
// was pushed stays), notifications that do not work.
func NewFile(path string, warn func(error)) *File {
	return &File{path: path, warn: warn, now: make(chan struct{}, 1)}
}

// Reload pushes the file's content again even if it has not changed, as on SIGHUP. It may be called from any goroutine,
// and returns at once.
func (f *File) Reload() {
	f.forced.Store(true)
	select {
	case f.now <- struct{}{}:
	default: // one is on its way
	}
}

// Run implements Source. It runs once.
func (f *File) Run(ctx context.Context, push func(data []byte)) error {
	w := filewatch.Watcher{
		Check: func() []string { f.check(push); return []string{f.path} },
		Poll:  f.poll,
		Now:   f.now,
		Warn:  f.warn,
	}
	w.Run(ctx)
	return nil
}

func (f *File) check(push func([]byte)) {
	forced := f.forced.Swap(false)
	data, err := os.ReadFile(f.path)
	if err != nil {
		if f.pushed && errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w; the last document stays", err)
		}
		f.say(fmt.Errorf("read document: %w", err))
		return
	}
	f.trouble = ""
	if f.pushed && !forced && bytes.Equal(data, f.last) {
		return
	}
	f.last, f.pushed = bytes.Clone(data), true
	push(data)
}

func (f *File) say(err error) {
	if f.trouble == err.Error() {
		return
	}
	f.trouble = err.Error()
	f.warn(err)
}
