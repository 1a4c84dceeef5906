package testbed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// BuildConsul builds the Consul server, unless the cache has it. Cold it takes five to nine minutes of CPU time.
func BuildConsul(ctx context.Context) error {
	_, err := consulPath(ctx)
	return err
}

func consulPath(ctx context.Context) (string, error) {
	return buildGo(ctx, "tools/consul", "github.com/hashicorp/consul", "consul")
}

// buildGo builds the main package pkg of a nested module into the cache and returns the program's path. dir is the
// module's folder from the root of the repository, with slashes. The key is go.mod, go.sum, the module's own Go
// files and the Go tool chain.
func buildGo(ctx context.Context, dir, pkg, name string) (string, error) {
	root, err := repositoryRoot()
	if err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	dir = filepath.Join(root, filepath.FromSlash(dir))
	out, err := exec.CommandContext(ctx, "go", "version").Output()
	if err != nil {
		return "", fmt.Errorf("build %s: ask Go for its version: %w", name, err)
	}
	key, err := goSources(slices.Concat(out, []byte(pkg), []byte{0}), os.DirFS(dir))
	if err != nil {
		return "", fmt.Errorf("build %s: read sources: %w", name, err)
	}
	return cached(name, key, func(to string) error {
		cmd := exec.CommandContext(ctx, "go", "build", "-p", "2", "-trimpath", "-ldflags=-s -w", "-o", to, pkg)
		// A workspace or flags of the caller would build something else than what the key says.
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
		return runCommand(cmd, dir)
	})
}

// goSources appends what a module's build depends on, below files, to key.
func goSources(key []byte, files fs.FS) ([]byte, error) {
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		switch base := filepath.Base(path); {
		case base == "go.mod", base == "go.sum", strings.HasSuffix(base, ".go") && !strings.HasSuffix(base, "_test.go"):
		default:
			return nil
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

// repositoryRoot is the folder of the product's go.mod, at or above the working directory: tests run in their
// package's folder, the prepare command anywhere in the checkout.
func repositoryRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && slices.Contains(strings.Split(string(text), "\n"), "module github.com/sluice-gateway/sluice") {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("find the repository: no go.mod of github.com/sluice-gateway/sluice above the working directory")
		}
		dir = up
	}
}
