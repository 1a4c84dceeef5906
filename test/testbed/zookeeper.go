package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Where Debian's libzookeeper-java puts the server.
const (
	zooKeeperJar = "/usr/share/java/zookeeper.jar"
	slf4jJar     = "/usr/share/java/slf4j-simple.jar"
	// nettyJar is missed by the server's own list of jars when it does TLS.
	nettyJar = "/usr/share/java/netty-codec.jar"
)

// ZooKeeper is a ZooKeeper server, 3.8 if nothing else is said, with a tick of 500 ms, so that sessions may time out after
// one second.
type ZooKeeper struct {
	*Server
	ports *portBlock
	id    int    // in an ensemble, from 1; 0 of one that stands alone
	peers string // the lines of the ensemble's members
	// secure is true when it also listens for TLS.
	secure bool
}

// StartZooKeeper starts a server for this test.
func StartZooKeeper(tb testing.TB, opts ...Option) *ZooKeeper {
	tb.Helper()
	return private(tb, func(ctx context.Context) (*ZooKeeper, error) { return newZooKeeper(ctx, collect(opts)) })
}

// SharedZooKeeper starts a server for all tests of a package; TestMain calls the function returned when they are done.
func SharedZooKeeper(opts ...Option) (*ZooKeeper, func(), error) {
	z, err := newZooKeeper(context.Background(), collect(opts))
	if err != nil {
		return nil, nil, err
	}
	return z, z.close, nil
}

// StartOldZooKeeper starts a ZooKeeper 3.5 for this test, the newest that has neither watches on a subtree nor several reads
// in one request. It comes with the Dubbo 2.7 provider.
func StartOldZooKeeper(tb testing.TB, opts ...Option) *ZooKeeper {
	tb.Helper()
	return private(tb, func(ctx context.Context) (*ZooKeeper, error) {
		provider, err := providerFolder(ctx, "2.7.23")
		if err != nil {
			return nil, err
		}
		z, err := prepareZooKeeper(collect(opts), filepath.Join(provider, "lib", "*"), "-Dzookeeper.jmx.log4j.disable=true")
		if err != nil {
			return nil, err
		}
		return z, z.launch(ctx)
	})
}

func newZooKeeper(ctx context.Context, o options) (*ZooKeeper, error) {
	z, err := prepareDebianZooKeeper(o)
	if err != nil {
		return nil, err
	}
	return z, z.launch(ctx)
}

func prepareDebianZooKeeper(o options) (*ZooKeeper, error) {
	for _, jar := range []string{zooKeeperJar, slf4jJar, nettyJar} {
		if _, err := os.Stat(jar); err != nil {
			return nil, fmt.Errorf("find ZooKeeper: %w (%w, or apt-get install -y --no-install-recommends libzookeeper-java)", err, errNotPrepared)
		}
	}
	return prepareZooKeeper(o, classPath(zooKeeperJar, slf4jJar, nettyJar))
}

// prepareZooKeeper makes a server that has not started.
func prepareZooKeeper(o options, classes string, more ...string) (*ZooKeeper, error) {
	java, err := findJava()
	if err != nil {
		return nil, err
	}
	ports, err := reservePorts()
	if err != nil {
		return nil, err
	}
	s, err := newServer("zookeeper", ports)
	if err != nil {
		return nil, err
	}
	z := &ZooKeeper{Server: s, ports: ports, secure: slices.Contains(o.jvm, nettyFactory)}
	config := filepath.Join(filepath.Dir(s.logPath), "zoo.cfg")
	args := jvmFlags("-Dzookeeper.extendedTypesEnabled=true", "-Dzookeeper.forceSync=no", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
	args = slices.Concat(args, more, o.jvm)
	s.command = func() *exec.Cmd {
		main := "org.apache.zookeeper.server.ZooKeeperServerMain"
		if z.id > 0 {
			main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
		}
		z.write(config)
		cmd := exec.Command(java, slices.Concat(args, []string{"-cp", classes, main, config})...)
		cmd.Dir = s.dir
		return cmd
	}
	s.ready = z.ready
	return z, nil
}

// write puts the server's files in place, before each start: a wipe takes its number in the ensemble too. What cannot be
// written is missed by the server, which says so.
func (z *ZooKeeper) write(config string) {
	_ = os.WriteFile(config, []byte(z.config()), 0o644)
	if z.id > 0 {
		_ = os.WriteFile(filepath.Join(z.dir, "myid"), []byte(strconv.Itoa(z.id)), 0o644)
	}
}

func (z *ZooKeeper) config() string {
	text := fmt.Sprintf(`tickTime=500
initLimit=10
syncLimit=5
minSessionTimeout=1000
maxSessionTimeout=60000
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=*
dataDir=%s
clientPortAddress=127.0.0.1
clientPort=%d
%s`, z.dir, z.ports.Port(1), z.peers)
	if z.secure {
		text += fmt.Sprintf("secureClientPortAddress=127.0.0.1\nsecureClientPort=%d\n", z.ports.Port(4))
	}
	return text
}

// Addr is the client address, "127.0.0.1:PORT".
func (z *ZooKeeper) Addr() string { return loopback(z.ports.Port(1)) }

// SecureAddr is the address for TLS of a server that was started WithZooKeeperTLS.
func (z *ZooKeeper) SecureAddr() string { return loopback(z.ports.Port(4)) }

func (z *ZooKeeper) ready(context.Context) error {
	answer, err := z.Command("srvr")
	if err == nil && !strings.Contains(answer, "Mode:") {
		err = errors.New("it serves nobody yet: " + answer)
	}
	return err
}

// Command sends one of ZooKeeper's four-letter words ("srvr", "cons", "wchs", "dump", ...) and returns the answer.
// A server asked too early answers "not currently serving" and never closes the connection, hence the short deadline.
func (z *ZooKeeper) Command(word string) (string, error) {
	conn, err := net.DialTimeout("tcp", z.Addr(), 200*time.Millisecond)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", word, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := io.WriteString(conn, word); err != nil {
		return "", fmt.Errorf("ask %s: %w", word, err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", word, err)
	}
	return string(answer), nil
}
