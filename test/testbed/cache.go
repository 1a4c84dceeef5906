package testbed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
)

// cacheEnv names the variable that moves the cache folder.
const cacheEnv = "SLUICE_TEST_CACHE"

// cacheFolder is where built servers are kept between runs. It may be removed at any time when no test runs.
func cacheFolder() (string, error) {
	dir := os.Getenv(cacheEnv)
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find cache folder: %w (set %s)", err, cacheEnv)
		}
		dir = filepath.Join(base, "sluice-testbed")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make cache folder: %w", err)
	}
	return filepath.Abs(dir)
}

// cached returns the path of a built thing, a file or a folder, and builds it when it is not there. The key is all that
// decides what comes out: sources, tool versions. build writes to the path that it is given, which is renamed when it is
// whole, so a build that was interrupted leaves nothing behind that looks finished. A file lock lets one process build
// while the others wait.
func cached(name string, key []byte, build func(to string) error) (string, error) {
	dir, err := cacheFolder()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(key)
	path := filepath.Join(dir, name+"-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil { // built while we waited
		return path, nil
	}
	beside := path + ".part"
	if err := os.RemoveAll(beside); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	if err := build(beside); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	if err := os.Rename(beside, path); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return path, nil
}

// lockFile takes an exclusive lock between processes and waits for it.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { _ = f.Close() }, nil // closing unlocks
}

// contents appends every file below root, name and text, to key.
func contents(key []byte, files fs.FS, root string) ([]byte, error) {
	err := fs.WalkDir(files, root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		key = slices.Concat(key, []byte(path), []byte{0}, text, []byte{0})
		return nil
	})
	return key, err
}

// run runs a build command and keeps its output for the error.
func run(ctx context.Context, dir, name string, args ...string) error {
	return runCommand(exec.CommandContext(ctx, name, args...), dir)
}

func runCommand(cmd *exec.Cmd, dir string) error {
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		if len(out) > logTail {
			out = out[len(out)-logTail:]
		}
		return fmt.Errorf("run %s: %w\n%s", filepath.Base(cmd.Path), err, out)
	}
	return nil
}
