package filewatch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// interest says which entries of each folder matter; a nil set means all.
type interest map[string]map[string]bool

func (in interest) add(folder, entry string) {
	set, ok := in[folder]
	if !ok {
		set = map[string]bool{}
		in[folder] = set
	}
	if set != nil {
		set[entry] = true
	}
}

// follow walks a path from the root, and notes each place where the path could come to lead elsewhere: symbolic links,
// the file itself, the first part that does not exist. A folder at the end matters with all its entries.
func (in interest) follow(path string) {
	at := filepath.VolumeName(path) + string(filepath.Separator)
	rest := strings.Split(strings.TrimPrefix(path, at), string(filepath.Separator))
	for links := 0; len(rest) > 0; {
		entry := rest[0]
		rest = rest[1:]
		switch entry {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, entry)
		info, err := os.Lstat(next)
		switch {
		case err != nil:
			in.add(at, entry)
			return
		case info.Mode()&os.ModeSymlink != 0:
			in.add(at, entry)
			target, err := os.Readlink(next)
			if links++; err != nil || links > 40 {
				return
			}
			if filepath.IsAbs(target) {
				at = filepath.VolumeName(target) + string(filepath.Separator)
			}
			rest = append(strings.Split(target, string(filepath.Separator)), rest...)
		case info.IsDir():
			if len(rest) == 0 {
				in.add(at, entry)
			}
			at = next
		default:
			in.add(at, entry)
			return
		}
	}
	in[at] = nil
}

// watches are the folders that the kernel watches for us.
type watches struct {
	notify *fsnotify.Watcher // nil: polling only
	warn   func(error)
	want   interest
	// active holds what each folder was when its watch began: a new folder of the same name needs a new watch.
	active map[string]os.FileInfo
	failed string // the last failure, said once
}

// concerns reports whether an event is about something that was asked for.
func (w *watches) concerns(name string) bool {
	if _, whole := w.want[name]; whole { // the folder itself went or came
		return true
	}
	set, ok := w.want[filepath.Dir(name)]
	return ok && (set == nil || set[filepath.Base(name)])
}

// update watches what paths need, and reports whether a watch was added.
func (w *watches) update(paths []string) (added bool) {
	w.want = interest{}
	for _, p := range paths {
		if abs, err := filepath.Abs(p); err == nil {
			w.want.follow(abs)
		}
	}
	if w.notify == nil {
		return false
	}
	alive := map[string]bool{}
	for _, folder := range w.notify.WatchList() {
		alive[folder] = true
	}
	failed := ""
	active := map[string]os.FileInfo{}
	for folder := range w.want {
		info, err := os.Stat(folder)
		if err != nil {
			continue // gone just now; the next look walks again
		}
		if alive[folder] && w.active[folder] != nil && os.SameFile(info, w.active[folder]) {
			active[folder] = info
			continue
		}
		if alive[folder] {
			_ = w.notify.Remove(folder) // the watch of a folder that has been moved away
		}
		if err := w.notify.Add(folder); err != nil {
			failed = fmt.Sprintf("watch %s: %v", folder, err)
			if failed != w.failed {
				w.warn(fmt.Errorf("watch %s: %w; its changes are seen by polling", folder, err))
			}
			continue
		}
		active[folder], added = info, true
	}
	for folder := range alive {
		if _, wanted := w.want[folder]; !wanted {
			_ = w.notify.Remove(folder)
		}
	}
	w.active, w.failed = active, failed
	return added
}
