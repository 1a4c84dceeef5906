package nacos

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// server is what shared starts.
type server struct {
	nacos *testbed.Nacos
	stop  func()
	err   error
}

// start starts the shared server when a test first asks for it: the fuzzing engine's workers run TestMain too.
var start = sync.OnceValue(func() server {
	n, stop, err := testbed.SharedNacos()
	running.Store(err == nil)
	return server{n, stop, err}
})

var running atomic.Bool

// shared is a server for tests that neither stop nor count anything; each uses names of its own.
func shared(t testing.TB) *testbed.Nacos {
	t.Helper()
	s := start()
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.nacos
}

func TestMain(m *testing.M) {
	if os.Getenv(sdkServer) != "" {
		os.Exit(sdkMain())
	}
	goleak.VerifyTestMain(testbed.After(m, func() {
		if running.Load() {
			start().stop()
		}
	}))
}

// rig is a running registry.
type rig struct {
	*registrytest.Rig
	config *Config
	reg    *client
}

// newRig builds a registry over a server and runs it until the test ends.
func newRig(t testing.TB, address string, change ...func(*Config, *registry.Options)) *rig {
	t.Helper()
	r := &rig{Rig: registrytest.New(t), config: Default()}
	r.config.Addresses = []string{address}
	opts := registry.Options{Name: "nacos", Logger: quietLogger(), Report: r.Report}
	for _, c := range change {
		c(r.config, &opts)
	}
	built, err := r.config.Build(opts)
	if err != nil {
		t.Fatal(err)
	}
	r.reg = built.(*client)
	r.Start(built)
	return r
}

// onlyLost fails the test if any other trouble was reported than a lost connection.
func (r *rig) onlyLost() {
	r.T.Helper()
	for _, err := range r.Errors() {
		if !strings.HasPrefix(err.Error(), "connection to ") {
			r.T.Errorf("reported: %v", err)
		}
	}
}

// lists is the condition that the set holds these.
func lists(want ...registry.ServiceName) func(registry.ServiceSet) bool {
	return func(s registry.ServiceSet) bool {
		for _, w := range want {
			if !slices.Contains(s.Services, w) {
				return false
			}
		}
		return true
	}
}

func quietLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// uniq makes a name that only this run of this test uses.
func uniq(t testing.TB, name string) string {
	run, _ := tests.LoadOrStore(t, testCount.Add(1))
	return fmt.Sprintf("%s-%d-%s", strings.NewReplacer("/", "-", "#", "-", " ", "-").Replace(t.Name()), run, name)
}

var (
	tests     sync.Map // the number of each test that asked for a name
	testCount atomic.Int32
)
