package testbed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ZooKeeperEnsemble is several servers that elect a leader among them.
type ZooKeeperEnsemble struct{ Servers []*ZooKeeper }

// StartZooKeeperEnsemble starts n servers for this test and waits until they serve. More than half of them must live for
// any of them to serve: Restart of one waits for that too.
func StartZooKeeperEnsemble(tb testing.TB, n int, opts ...Option) *ZooKeeperEnsemble {
	tb.Helper()
	e := &ZooKeeperEnsemble{}
	var peers strings.Builder
	for id := 1; id <= n; id++ {
		z, err := prepareDebianZooKeeper(collect(opts))
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(z.close)
		z.id = id
		fmt.Fprintf(&peers, "server.%d=127.0.0.1:%d:%d\n", id, z.ports.Port(2), z.ports.Port(3))
		e.Servers = append(e.Servers, z)
	}
	for _, z := range e.Servers {
		z.peers = peers.String()
		z.LogOnFailure(tb)
	}
	if err := e.each(e.Servers, func(z *ZooKeeper) error { return z.start(context.Background(), true) }); err != nil {
		tb.Fatal(err)
	}
	return e
}

// Restart starts these servers again, all at the same time, and waits until they and the others that live serve.
func (e *ZooKeeperEnsemble) Restart(servers ...*ZooKeeper) error {
	if err := e.each(servers, func(z *ZooKeeper) error { return z.Restart() }); err != nil {
		return err
	}
	return e.each(e.Servers, (*ZooKeeper).serving)
}

// serving waits until a server serves, unless it does not run.
func (z *ZooKeeper) serving() error {
	ctx, cancel := context.WithTimeout(context.Background(), z.wait)
	defer cancel()
	for {
		err := z.ready(ctx)
		if err == nil || errors.Is(err, syscall.ECONNREFUSED) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for a member of the ensemble: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (*ZooKeeperEnsemble) each(servers []*ZooKeeper, do func(*ZooKeeper) error) error {
	errs := make([]error, len(servers))
	var tasks sync.WaitGroup
	for i, z := range servers {
		tasks.Go(func() { errs[i] = do(z) })
	}
	tasks.Wait()
	return errors.Join(errs...)
}

// Addrs are the client addresses of all servers.
func (e *ZooKeeperEnsemble) Addrs() []string {
	all := make([]string, len(e.Servers))
	for i, z := range e.Servers {
		all[i] = z.Addr()
	}
	return all
}

// Leader is the server that leads, and the others; nil if nobody does.
func (e *ZooKeeperEnsemble) Leader() (leader *ZooKeeper, others []*ZooKeeper) {
	for _, z := range e.Servers {
		if answer, err := z.Command("srvr"); err == nil && strings.Contains(answer, "Mode: leader") {
			leader = z
		} else {
			others = append(others, z)
		}
	}
	return leader, others
}
