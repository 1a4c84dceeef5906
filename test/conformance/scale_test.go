package conformance

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// perService is how many instances each service of the scale test has.
const perService = 10

// TestScale runs the binary over a ZooKeeper with many services: once with routes for all of them, once for a hundred.
func TestScale(t *testing.T) {
	services, idle := 300, 2*time.Second
	if full() {
		services, idle = 5000, 30*time.Second
	} else {
		t.Parallel() // its figures count only in the full form
	}
	z := testbed.StartZooKeeper(t, testbed.WithJVM("-Xmx1g"))
	w := zooKeeperWriterTo(t, z.Addr())
	began := time.Now()
	seed(t, w, services)
	t.Logf("%d services x %d instances were written in %v", services, perService, time.Since(began).Round(time.Millisecond))
	for _, c := range []struct {
		name   string
		routes int
		rss    int // megabytes, for the full form
	}{
		{"all", services, 150},
		{"a hundred", 100, 60},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := binary(); err != nil { // built before the clock runs
				t.Fatal(err)
			}
			began := time.Now()
			g := startGateway(t, scaleDocument(z.Addr(), c.routes))
			g.untilReady()
			ready := time.Since(began)
			p := processOf(t, g.file)
			time.Sleep(idle / 3) // what the start has left behind is collected; nobody asks for the status, which is large
			cpu := p.cpu(t)
			time.Sleep(idle)
			share := float64(p.cpu(t)-cpu) / float64(idle) * 100
			rss, peak := p.memory(t)
			if got := len(g.instances(scaleName(c.routes - 1))); got != perService {
				t.Errorf("%d instances are in use, not %d, though it was ready", got, perService)
			}
			perChange := changeCost(t, w, g, p)
			t.Logf("%d routes: ready after %v, %d MB (at most %d MB), %.2f %% of a core when idle, %v of CPU for a change",
				c.routes, ready.Round(time.Millisecond), rss, peak, share, perChange.Round(time.Microsecond))
			if !full() || raceEnabled {
				return // the race detector multiplies memory
			}
			results.note(t, "scale", c.name, "zookeeper", fmt.Sprintf("ready after %s; %d MB, at most %d MB; idle %.2f %% of a core; one change %d µs of CPU",
				brisk(ready), rss, peak, share, perChange.Microseconds()))
			if rss > c.rss {
				t.Errorf("it takes %d MB, more than %d", rss, c.rss)
			}
			if ready > 10*time.Second {
				t.Errorf("it took %v to be ready", ready)
			}
			if share > 1 {
				t.Errorf("it uses %.2f %% of a core when nothing happens", share)
			}
		})
	}
}

func scaleName(n int) string { return fmt.Sprintf("scale-%04d", n) }

// seed writes the services in transactions of one each.
func seed(t testing.TB, w *zooKeeperWriter, services int) {
	t.Helper()
	if err := w.parents("/services/x"); err != nil {
		t.Fatal(err)
	}
	acl := zk.WorldACL(zk.PermAll)
	const batch = 20
	for first := 0; first < services; first += batch {
		var ops []any
		for n := first; n < min(first+batch, services); n++ {
			ops = append(ops, &zk.CreateRequest{Path: "/services/" + scaleName(n), Acl: acl})
			for i := range perService {
				e := entry{service: scaleName(n), host: fmt.Sprintf("10.%d.%d.%d", n>>8, n&255, i+1), port: 8080, who: "scale"}
				ops = append(ops, &zk.CreateRequest{Path: w.path(e), Data: zooKeeperDocument(e), Acl: acl, Flags: zk.FlagEphemeral})
			}
		}
		if _, err := w.conn.Multi(ops...); err != nil {
			t.Fatal(err)
		}
	}
}

func scaleDocument(address string, routes int) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "registries: [{name: zk, type: zookeeper, addresses: [%q]}]\nroutes:\n", address)
	for n := range routes {
		fmt.Fprintf(&b, "  - {name: %[1]s, match: {path: \"/%[1]s/**\"}, to: {service: %[1]s}}\n", scaleName(n))
	}
	return b.String()
}

// changeCost is the CPU time that the gateway spends for one instance that comes or goes, of a service that it routes.
func changeCost(t *testing.T, w *zooKeeperWriter, g *gateway, p process) time.Duration {
	t.Helper()
	const changes = 100
	service := scaleName(7)
	e := entry{service: service, host: "127.0.0.1", port: 9, who: "late"}
	before := p.cpu(t)
	for range changes / 2 {
		if err := w.put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // so that changes are not merged
		if err := w.remove(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	cost := (p.cpu(t) - before) / changes
	until(t, "the last change", func() string { return fmt.Sprint(g.instances(service)) }, func() bool {
		return len(g.instances(service)) == perService
	})
	return cost
}

// process is a child of this test.
type process struct{ pid int }

// processOf finds the process that has an argument.
func processOf(t testing.TB, argument string) process {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(line, []byte("\x00"+argument+"\x00")) {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(path, "/")[2])
		if err != nil {
			t.Fatal(err)
		}
		return process{pid}
	}
	t.Fatalf("no process has the argument %s", argument)
	return process{}
}

// memory is the resident set now and at most, in megabytes of 1,000,000 bytes, rounded up.
func (p process) memory(t testing.TB) (now, most int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kb int
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kb); n == 1 {
			now = (kb*1024 + 999_999) / 1_000_000
		}
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kb); n == 1 {
			most = (kb*1024 + 999_999) / 1_000_000
		}
	}
	return now, most
}

// cpu is the time that the process has used, user and system, in steps of 10 ms.
func (p process) cpu(t testing.TB) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // the third field is first
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		t.Fatal(err)
	}
	system, err := strconv.Atoi(fields[12])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}
