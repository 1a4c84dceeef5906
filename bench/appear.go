package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/sluice-gateway/sluice/bench/peer"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// appearances is how often an instance comes and goes.
const appearances = 50

// appear measures how long after its registration an instance serves its first request.
func appear(ctx context.Context, b *benchmark) error {
	var rows [][]string
	for _, kind := range []struct {
		name string
		open func(ctx context.Context) (writer, error)
	}{{"ZooKeeper", openZooKeeper}, {"Nacos", openNacos}} {
		row, err := b.appearIn(ctx, kind.name, kind.open)
		if err != nil {
			b.report.missing("instances appear in "+kind.name, err)
			b.say("  %s: %v", kind.name, err)
			continue
		}
		b.say("  %v", row)
		rows = append(rows, row)
	}
	b.report.section("An instance appears", []string{"", "median ms", "p99 ms", "worst ms"}, rows,
		fmt.Sprintf("From the moment the registry is asked to register it until a request is answered by the new instance, %d times; "+
			"asked about every millisecond, with round robin over the new one and one that stays. ZooKeeper's node is a Spring Cloud instance; "+
			"the Nacos server merges pushes for 50 ms here, for 500 ms unless told otherwise.", appearances))
	return nil
}

// writer registers instances of the service "bench" somewhere.
type writer interface {
	registry() string // its section of the document
	add(ctx context.Context, id string, port int) error
	remove(ctx context.Context, id string, port int) error
	close()
}

func (b *benchmark) appearIn(ctx context.Context, name string, open func(context.Context) (writer, error)) ([]string, error) {
	p, err := b.get("sluice")
	if err != nil {
		return nil, err
	}
	w, err := open(ctx)
	if err != nil {
		return nil, err
	}
	defer w.close()
	stays, stopStays, err := serveName(ctx, "stays")
	if err != nil {
		return nil, err
	}
	defer stopStays()
	comes, stopComes, err := serveName(ctx, "comes")
	if err != nil {
		return nil, err
	}
	defer stopComes()
	if err := w.add(ctx, "stays", stays); err != nil {
		return nil, err
	}
	kind := p.Kind
	kind.Write = func(dir string, port int, _ string) error {
		return os.WriteFile(filepath.Join(dir, "sluice.yaml"), fmt.Appendf(nil, appearConfig, port, w.registry()), 0o644)
	}
	dir, err := os.MkdirTemp(b.dir, "appear-")
	if err != nil {
		return nil, err
	}
	running, _, err := peer.Start(ctx, kind, p.path, dir, "", "/")
	if err != nil {
		return nil, err
	}
	defer running.Stop()
	var took []float64
	for i := range appearances {
		id := "comes" + strconv.Itoa(i)
		began := time.Now()
		if err := w.add(ctx, id, comes); err != nil {
			return nil, err
		}
		if err := awaitAnswers(ctx, running.URL(), "comes", true); err != nil {
			return nil, err
		}
		took = append(took, milli(time.Since(began)))
		if err := w.remove(ctx, id, comes); err != nil {
			return nil, err
		}
		if err := awaitAnswers(ctx, running.URL(), "comes", false); err != nil {
			return nil, err
		}
	}
	return []string{name, fmt.Sprintf("%.1f", median(took)), fmt.Sprintf("%.1f", quantile(took, 0.99)), fmt.Sprintf("%.1f", slices.Max(took))}, nil
}

const appearConfig = `listeners:
  - {name: web, address: "127.0.0.1:%d"}
admin: {address: "off"}
accessLog: {path: "off"}
registries:
  - %s
routes:
  - {name: all, match: {path: "/**"}, to: {service: bench}}
services:
  - {match: {service: bench}, balance: {policy: roundRobin}}
`

// serveName answers every request with a name.
func serveName(ctx context.Context, name string) (port int, stop func(), err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }),
		ReadHeaderTimeout: 10 * time.Second,
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // it returns when it is closed
	}()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, nil, errors.New("not a TCP listener")
	}
	return addr.Port, func() { _ = server.Close(); <-ended }, nil
}

// awaitAnswers asks until an answer is name, or until ten in a row are not.
func awaitAnswers(ctx context.Context, url, name string, wanted bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for absent := 0; ; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("wait for %q: %w", name, err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return err
		}
		if string(body) == name {
			absent = 0
			if wanted {
				return nil
			}
		} else if absent++; absent == 10 && !wanted {
			return nil
		}
		if err := wait(ctx, 500*time.Microsecond); err != nil {
			return fmt.Errorf("wait for %q: %w", name, err)
		}
	}
}

type zooKeeper struct {
	conn    *zk.Conn
	address string
	stop    func()
}

func openZooKeeper(context.Context) (writer, error) {
	server, stop, err := testbed.SharedZooKeeper()
	if err != nil {
		return nil, err
	}
	conn, _, err := zk.Connect([]string{server.Addr()}, 10*time.Second, zk.WithLogInfo(false))
	if err != nil {
		stop()
		return nil, err
	}
	z := &zooKeeper{conn, server.Addr(), stop}
	for _, path := range []string{"/services", "/services/bench"} {
		if _, err := conn.Create(path, nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
			z.close()
			return nil, fmt.Errorf("create %s: %w", path, err)
		}
	}
	return z, nil
}

func (z *zooKeeper) registry() string {
	return fmt.Sprintf("{name: zk, type: zookeeper, addresses: [%q]}", z.address)
}

func (z *zooKeeper) add(_ context.Context, id string, port int) error {
	data := fmt.Appendf(nil, `{"name":"bench","id":%q,"address":"127.0.0.1","port":%d,"sslPort":null,"payload":{"@class":`+
		`"org.springframework.cloud.zookeeper.discovery.ZookeeperInstance","id":"bench","name":"bench","metadata":{"instance_status":"UP"}},`+
		`"registrationTimeUTC":1795369980965,"serviceType":"DYNAMIC","uriSpec":null}`, id, port)
	_, err := z.conn.Create("/services/bench/"+id, data, zk.FlagEphemeral, zk.WorldACL(zk.PermAll))
	return err
}

func (z *zooKeeper) remove(_ context.Context, id string, _ int) error {
	return z.conn.Delete("/services/bench/"+id, -1)
}

func (z *zooKeeper) close() {
	z.conn.Close()
	z.stop()
}

type nacos struct {
	server *testbed.Nacos
	stop   func()
}

func openNacos(context.Context) (writer, error) {
	server, stop, err := testbed.SharedNacos()
	if err != nil {
		return nil, err
	}
	return &nacos{server, stop}, nil
}

func (n *nacos) registry() string {
	return fmt.Sprintf("{name: nacos, type: nacos, addresses: [%q]}", n.server.Addr())
}

func (n *nacos) add(ctx context.Context, _ string, port int) error {
	return n.server.Register(ctx, testbed.Instance{Service: "bench", IP: "127.0.0.1", Port: port})
}

func (n *nacos) remove(ctx context.Context, _ string, port int) error {
	return n.server.Deregister(ctx, testbed.Instance{Service: "bench", IP: "127.0.0.1", Port: port})
}

func (n *nacos) close() { n.stop() }
