package filewatch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// meaning is what a path stands for: a file's content, or a folder's entries. An entry that is a link counts as a link: what
// it leads to was not asked for.
func meaning(path string) string {
	if data, err := os.ReadFile(path); err == nil {
		return string(data)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return "none"
	}
	var all []string
	for _, e := range entries {
		at := filepath.Join(path, e.Name())
		switch {
		case e.Type()&os.ModeSymlink != 0:
			target, _ := os.Readlink(at)
			all = append(all, e.Name()+" to "+target)
		case e.IsDir():
			all = append(all, e.Name()+"/")
		default:
			data, _ := os.ReadFile(at)
			all = append(all, e.Name()+"="+string(data))
		}
	}
	return "{" + strings.Join(all, " ") + "}"
}

// TestRandomTrees changes a small tree at random: files written, replaced and removed, folders made, moved and removed,
// links made to files, folders, other links and themselves. After each step the watcher must see what its paths have come
// to mean, without ever polling.
func TestRandomTrees(t *testing.T) {
	steps := 200
	if testing.Short() {
		steps = 40
	}
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 1))
		outer := t.TempDir()
		root, spare := filepath.Join(outer, "root"), filepath.Join(outer, "spare")
		must(t, os.Mkdir(root, 0o700))
		place := func() string {
			p := root
			for range 1 + r.IntN(3) {
				p = filepath.Join(p, []string{"a", "b"}[r.IntN(2)])
			}
			return p
		}
		paths := []string{filepath.Join(root, "a"), filepath.Join(root, "a", "b"), filepath.Join(root, "b", "a", "b")}
		s := watchBy(t, Watcher{Settle: time.Millisecond}, meaning, paths...)
		for step := range steps {
			at, to := place(), place()
			// What the file system refuses is no change.
			switch k := r.IntN(8); k {
			case 0:
				t.Logf("%d: write %s", step, at)
				_ = os.WriteFile(at, fmt.Append(nil, step), 0o600)
			case 1:
				t.Logf("%d: replace %s", step, at)
				write(t, spare, fmt.Sprint(step))
				_ = os.Rename(spare, at)
			case 2:
				t.Logf("%d: remove %s", step, at)
				_ = os.RemoveAll(at)
			case 3, 4:
				t.Logf("%d: folder %s", step, at)
				_ = os.MkdirAll(at, 0o700)
			case 5:
				t.Logf("%d: move %s to %s", step, at, to)
				_ = os.Rename(at, to)
			default:
				target := to
				if rel, err := filepath.Rel(filepath.Dir(at), to); err == nil && k == 6 {
					target = rel
				}
				t.Logf("%d: link %s to %s", step, at, target)
				if os.Symlink(target, spare) == nil {
					_ = os.Rename(spare, at)
					_ = os.RemoveAll(spare)
				}
			}
			var want []string
			for _, p := range paths {
				want = append(want, meaning(p))
			}
			s.await(t, strings.Join(want, "|"))
		}
	}
}

// TestLoopsOfLinks end, and are left when the loop is cut.
func TestLoopsOfLinks(t *testing.T) {
	folder := t.TempDir()
	a, b := filepath.Join(folder, "a"), filepath.Join(folder, "b")
	must(t, os.Symlink("b", a))
	must(t, os.Symlink("a", b))
	s := watchBy(t, Watcher{}, meaning, a)
	s.await(t, "none")
	must(t, os.Remove(b))
	write(t, b, "1")
	s.await(t, "1")
	must(t, os.Remove(b))
	must(t, os.Symlink("b", b))
	s.await(t, "none")
}

// TestFileWrittenAllTheTime is looked at all the same, before long.
func TestFileWrittenAllTheTime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	const settle = 10 * time.Millisecond
	s := watch(t, Watcher{Settle: settle}, file)
	write(t, file, "first")
	s.await(t, "first")
	before := s.count()
	start := time.Now()
	for i := 0; s.count() == before; i++ {
		write(t, file, fmt.Sprint(i))
		time.Sleep(settle / 5)
		if time.Since(start) > 10*time.Second {
			t.Fatal("never looked at")
		}
	}
}

// TestNewDependencies: what a check depends on may change with what it found; a file that comes while its watch is being
// set up is not missed.
func TestNewDependencies(t *testing.T) {
	folder := t.TempDir()
	index := filepath.Join(folder, "index")
	write(t, index, "")
	var made atomic.Int32
	listed := func(path string) string {
		all := []string{}
		for _, name := range strings.Fields(meaning(path)) {
			all = append(all, name+"="+meaning(filepath.Join(folder, name, "x")))
		}
		return strings.Join(all, " ")
	}
	s := &seen{change: make(chan struct{}, 1)}
	w := Watcher{Settle: time.Millisecond, Poll: time.Hour, Check: func() []string {
		paths := []string{index}
		for _, name := range strings.Fields(meaning(index)) {
			paths = append(paths, filepath.Join(folder, name, "x"))
		}
		state := listed(index)
		s.mu.Lock()
		s.state = state
		s.mu.Unlock()
		select {
		case s.change <- struct{}{}:
		default:
		}
		if len(paths) > 1 && made.Add(1) == 1 { // between the look and the watch
			_ = os.MkdirAll(filepath.Join(folder, "one"), 0o700)
			_ = os.WriteFile(filepath.Join(folder, "one", "x"), []byte("1"), 0o600)
		}
		return paths
	}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	defer func() { cancel(); <-done }()
	s.await(t, "")
	replace(t, index, "one")
	s.await(t, "one=1")
	replace(t, index, "one two")
	s.await(t, "one=1 two=none")
	must(t, os.Mkdir(filepath.Join(folder, "two"), 0o700))
	replace(t, filepath.Join(folder, "two", "x"), "2")
	s.await(t, "one=1 two=2")
}

// TestInterest has which entries of which folders each path makes matter.
func TestInterest(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	in := func(parts ...string) string { return filepath.Join(append([]string{root}, parts...)...) }
	must(t, os.MkdirAll(in("d", "e"), 0o700))
	write(t, in("d", "f"), "")
	must(t, os.Symlink("d", in("l")))
	must(t, os.Symlink(in("nowhere"), in("d", "out")))
	for path, want := range map[string]string{
		in("d", "f"):              "d:f",
		in("d", "none", "deeper"): "d:none",
		in("l", "f"):              ":l d:f",
		in("d", "out"):            ":nowhere d:out",
		in("d", "f", "below"):     "d:f",
		in("d", "..", "d", "f"):   "d:f",
		in("d", "e"):              "d:e d/e:*",
		in("l"):                   ":d :l d:*",
	} {
		found := interest{}
		found.follow(path)
		for _, word := range strings.Fields(want) {
			folder, entry, _ := strings.Cut(word, ":")
			set, ok := found[filepath.Join(root, folder)]
			if !ok || entry == "*" && set != nil || entry != "*" && !set[entry] {
				t.Errorf("%s: lacks %s in %v", path, word, found)
			}
		}
		for folder, set := range found {
			if strings.HasPrefix(folder, root) && set == nil && !strings.Contains(want, "*") {
				t.Errorf("%s: all of %s matters", path, folder)
			}
		}
	}
}
