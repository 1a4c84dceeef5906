package zookeeper

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// shared is a server for tests that neither stop nor count anything; each keeps below a root of its own. It starts with
// the first test that needs it.
var shared lazy

type lazy struct {
	once   sync.Once
	server *testbed.ZooKeeper
	stop   func()
	err    error
}

func (l *lazy) get(t testing.TB) *testbed.ZooKeeper {
	t.Helper()
	l.once.Do(func() { l.server, l.stop, l.err = testbed.SharedZooKeeper() })
	must(t, l.err)
	return l.server
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(testbed.After(m, func() {
		if shared.stop != nil {
			shared.stop()
		}
	}))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rig is a running registry beside a second client, which writes what providers would.
type rig struct {
	*registrytest.Rig
	config *Config
	reg    *zooKeeper
	writer *writer
}

// newRig runs a registry over a server, below roots of the test's own.
func newRig(t testing.TB, server *testbed.ZooKeeper, change ...func(*Config, *registry.Options)) *rig {
	t.Helper()
	r := &rig{Rig: registrytest.New(t), config: Default(), writer: newWriter(t, server.Addr())}
	root := fmt.Sprintf("/%s-%d", strings.ReplaceAll(t.Name(), "/", "-"), time.Now().UnixNano())
	r.config.Addresses = []string{server.Addr()}
	r.config.SessionTimeout = 2 * time.Second
	r.config.ConnectTimeout = time.Second
	r.config.DubboRoot, r.config.ServicesRoot = root+"/dubbo", root+"/services"
	opts := registry.Options{Name: "zk", Logger: quietLogger(), Report: r.Report}
	for _, c := range change {
		c(r.config, &opts)
	}
	built, err := r.config.Build(opts)
	must(t, err)
	r.reg = built.(*zooKeeper)
	r.Start(built)
	return r
}

func (r *rig) rdubbo(parts ...string) string {
	return r.config.DubboRoot + "/" + strings.Join(parts, "/")
}
func (r *rig) rservices(parts ...string) string {
	return r.config.ServicesRoot + "/" + strings.Join(parts, "/")
}

// writer is a second client, which registers what a test wants.
type writer struct {
	t    testing.TB
	conn *zk.Conn
}

func newWriter(t testing.TB, addresses ...string) *writer {
	t.Helper()
	conn, events, err := zk.Connect(addresses, 10*time.Second, zk.WithLogger(quiet{}), zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		for range events {
		}
	})
	return &writer{t, conn}
}

var openACL = zk.WorldACL(zk.PermAll)

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// put writes a persistent node, making those above it.
func (w *writer) put(path, data string) {
	w.t.Helper()
	w.create(path, data, 0)
}

// live writes an ephemeral node, as a provider does for itself.
func (w *writer) live(path, data string) {
	w.t.Helper()
	w.create(path, data, zk.FlagEphemeral)
}

func (w *writer) create(path, data string, flags int32) {
	w.t.Helper()
	if at := strings.LastIndexByte(path, '/'); at > 0 {
		if exists, _, err := w.conn.Exists(path[:at]); err != nil {
			w.t.Fatal(err)
		} else if !exists {
			w.create(path[:at], "", 0)
		}
	}
	_, err := w.conn.Create(path, []byte(data), flags, zk.WorldACL(zk.PermAll))
	if errors.Is(err, zk.ErrNodeExists) {
		_, err = w.conn.Set(path, []byte(data), -1)
	}
	if err != nil {
		w.t.Fatalf("create %s: %v", path, err)
	}
}

func (w *writer) remove(path string) {
	w.t.Helper()
	if err := w.conn.Delete(path, -1); err != nil {
		w.t.Fatalf("delete %s: %v", path, err)
	}
}

func quietLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// lines is a log that can be read.
type lines struct{ strings.Builder }

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
