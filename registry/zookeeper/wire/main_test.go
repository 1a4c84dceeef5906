package wire

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// shared is a server for tests that do not stop it; each keeps below a node of its own.
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

// dial opens a connection to a server, for at most as long as the test.
func dial(t testing.TB, address string, opts Options) (*Conn, error) {
	t.Helper()
	raw, err := net.Dial("tcp", address)
	must(t, err)
	if opts.SessionTimeout == 0 {
		opts.SessionTimeout = 2 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	return Open(ctx, raw, opts)
}

func open(t testing.TB, address string, opts Options) *Conn {
	t.Helper()
	c, err := dial(t, address, opts)
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

// waiting is how long a test waits for what must come.
const waiting = 10 * time.Second

func await[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(waiting):
		t.Fatalf("not within %v: %s", waiting, what)
		panic("unreachable")
	}
}
