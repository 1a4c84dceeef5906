// Package resilience tests what becomes of requests when instances are slow, fail, freeze, die and are replaced: the sluice
// binary before twenty processes, under load that comes at its own pace.
//
// The load is open-loop: requests come at random moments that were drawn beforehand, however slow the answers are, and
// every request brings along how much work it is. Every run of a scenario gets the same requests at the same moments, so that
// two runs differ by what is done to the instances, and by who stands before them.
//
// With SLUICE_RESILIENCE=full runs are longer, bounds are those that Sluice promises, and the peers that can be had get the
// same; with -update the tables go into the guide.
package resilience

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/test/testbed"
)

var update = flag.Bool("update", false, "write what was measured into docs/guide/resilience.md")

func full() bool { return os.Getenv("SLUICE_RESILIENCE") == "full" }

// either is for what differs between the two forms.
func either[T any](short, long T) T {
	if full() {
		return long
	}
	return short
}

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(testbed.After(m, programs.remove, publish))
}

// programs are built when the first test asks for them.
var programs = newBuilt()

type built struct {
	dir      string
	sluice   func() (string, error)
	instance func() (string, error)
}

func newBuilt() *built {
	b := &built{}
	folder := sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "sluice-resilience-") })
	build := func(name, pkg string, flags ...string) func() (string, error) {
		return sync.OnceValues(func() (string, error) {
			dir, err := folder()
			if err != nil {
				return "", err
			}
			b.dir = dir
			path := filepath.Join(dir, name)
			args := append(append([]string{"build"}, flags...), "-o", path, pkg)
			if out, err := exec.CommandContext(context.Background(), "go", args...).CombinedOutput(); err != nil {
				return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
			}
			return path, nil
		})
	}
	var flags []string
	if raceEnabled {
		flags = []string{"-race"}
	}
	const module = "github.com/sluice-gateway/sluice/"
	b.sluice = build("sluice", module+"cmd/sluice", flags...)
	b.instance = build("instance", module+"test/e2e/resilience/instance") // it must not be what is slow
	return b
}

func (b *built) remove() {
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
