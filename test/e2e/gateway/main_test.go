// Package gateway tests the sluice binary as its users run it: as a process with a configuration file, between real
// registries, real Java providers and HTTP services.
//
// Servers that tests only read from are shared and started when the first test asks for them. Whatever a test kills,
// freezes or fills with garbage is its own.
package gateway

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/test/testbed"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(testbed.After(m, shared.stop))
}

// servers are shared by the tests of the package.
type servers struct {
	build     func() (string, error)
	zooKeeper func() (*testbed.ZooKeeper, error)
	nacos     func() (*testbed.Nacos, error)

	mu   sync.Mutex
	ends []func()
}

var shared = newServers()

func newServers() *servers {
	s := &servers{}
	s.build = sync.OnceValues(s.compile)
	s.zooKeeper = sync.OnceValues(func() (*testbed.ZooKeeper, error) {
		z, stop, err := testbed.SharedZooKeeper()
		s.atEnd(stop)
		return z, err
	})
	s.nacos = sync.OnceValues(func() (*testbed.Nacos, error) {
		n, stop, err := testbed.SharedNacos()
		s.atEnd(stop)
		return n, err
	})
	return s
}

func (s *servers) atEnd(stop func()) {
	if stop == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = append(s.ends, stop)
}

// stop ends what was started, the last one first.
func (s *servers) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.ends) > 0 {
		last := len(s.ends) - 1
		s.ends[last]()
		s.ends = s.ends[:last]
	}
}

// compile builds the binary, with the race detector if the tests run with it.
func (s *servers) compile() (string, error) {
	dir, err := os.MkdirTemp("", "sluice-binary-")
	if err != nil {
		return "", err
	}
	s.atEnd(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "sluice")
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(context.Background(), "go", append(args, "github.com/sluice-gateway/sluice/cmd/sluice")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build sluice: %w\n%s", err, out)
	}
	return path, nil
}

func sharedZooKeeper(t testing.TB) *testbed.ZooKeeper {
	t.Helper()
	z, err := shared.zooKeeper()
	if err != nil {
		t.Fatal(err)
	}
	z.LogOnFailure(t)
	return z
}

func sharedNacos(t testing.TB) *testbed.Nacos {
	t.Helper()
	n, err := shared.nacos()
	if err != nil {
		t.Fatal(err)
	}
	n.LogOnFailure(t)
	return n
}
