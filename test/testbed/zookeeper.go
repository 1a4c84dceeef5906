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
	"strings"
	"testing"
	"time"
)

// Where Debian's libzookeeper-java puts the server.
const (
	zooKeeperJar = "/usr/share/java/zookeeper.jar"
	slf4jJar     = "/usr/share/java/slf4j-simple.jar"
)

// ZooKeeper is a single ZooKeeper 3.8 with a tick of 500 ms, so that sessions may time out after one second.
type ZooKeeper struct {
	*Server
	port int
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

func newZooKeeper(ctx context.Context, o options) (*ZooKeeper, error) {
	java, err := findJava()
	if err != nil {
		return nil, err
	}
	for _, jar := range []string{zooKeeperJar, slf4jJar} {
		if _, err := os.Stat(jar); err != nil {
			return nil, fmt.Errorf("find ZooKeeper: %w (%w, or apt-get install -y --no-install-recommends libzookeeper-java)", err, errNotPrepared)
		}
	}
	ports, err := reservePorts()
	if err != nil {
		return nil, err
	}
	s, err := newServer("zookeeper", ports)
	if err != nil {
		return nil, err
	}
	z := &ZooKeeper{Server: s, port: ports.Port(1)}
	config := filepath.Join(filepath.Dir(s.logPath), "zoo.cfg")
	if err := os.WriteFile(config, []byte(z.config()), 0o644); err != nil {
		s.close()
		return nil, fmt.Errorf("write zoo.cfg: %w", err)
	}
	args := jvmFlags("-Dzookeeper.extendedTypesEnabled=true", "-Dzookeeper.forceSync=no", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
	args = append(args, o.jvm...)
	args = append(args, "-cp", zooKeeperJar+":"+slf4jJar, "org.apache.zookeeper.server.ZooKeeperServerMain", config)
	s.command = func() *exec.Cmd {
		cmd := exec.Command(java, args...)
		cmd.Dir = s.dir
		return cmd
	}
	s.ready = z.ready
	if err := s.launch(ctx); err != nil {
		return nil, err
	}
	return z, nil
}

func (z *ZooKeeper) config() string {
	return fmt.Sprintf(`tickTime=500
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
`, z.dir, z.port)
}

// Addr is the client address, "127.0.0.1:PORT".
func (z *ZooKeeper) Addr() string { return loopback(z.port) }

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
