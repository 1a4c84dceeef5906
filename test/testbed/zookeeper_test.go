package testbed

import (
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// TestZooKeeperLife walks a server through everything that a test may do to it, and looks at what a client stored.
func TestZooKeeperLife(t *testing.T) {
	z := StartZooKeeper(t)
	put(t, z, "/kept")

	if err := z.Freeze(); err != nil {
		t.Fatal(err)
	}
	if _, err := z.Command("srvr"); err == nil {
		t.Error("a frozen server answered")
	}
	if err := z.Thaw(); err != nil {
		t.Fatal(err)
	}
	if !has(t, z, "/kept") {
		t.Error("the node is gone after a freeze")
	}

	z.Kill()
	if _, err := z.Command("srvr"); err == nil {
		t.Error("a killed server answered")
	}
	if err := z.Restart(); err != nil {
		t.Fatal(err)
	}
	if !has(t, z, "/kept") {
		t.Error("the node is gone after a restart")
	}
	if err := z.Restart(); err != nil { // also from running
		t.Fatal(err)
	}
	if err := z.Wipe(); err != nil {
		t.Fatal(err)
	}
	if has(t, z, "/kept") {
		t.Error("the node is still there after a wipe")
	}
}

// TestKillFrozen ends a server that cannot hear a polite signal.
func TestKillFrozen(t *testing.T) {
	z := StartZooKeeper(t)
	if err := z.Freeze(); err != nil {
		t.Fatal(err)
	}
	z.Kill()
	if err := z.Freeze(); err == nil {
		t.Error("a dead server was frozen")
	}
}

func put(t *testing.T, z *ZooKeeper, path string) {
	t.Helper()
	conn := connect(t, z)
	defer conn.Close()
	if _, err := conn.Create(path, []byte("x"), 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, z *ZooKeeper, path string) bool {
	t.Helper()
	conn := connect(t, z)
	defer conn.Close()
	found, _, err := conn.Exists(path)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func connect(t *testing.T, z *ZooKeeper) *zk.Conn {
	t.Helper()
	conn, _, err := zk.Connect([]string{z.Addr()}, 10*time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
