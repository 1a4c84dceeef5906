package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/sluice-gateway/sluice/bench/peer"
	"github.com/sluice-gateway/sluice/bench/wrk"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// dubboConnections are few: a Java provider on the same two cores is the bottleneck.
const dubboConnections = 16

// pixiu is what dubbo-go-pixiu 1.1.0 took for get(long) through ZooKeeper, by the same method on this machine.
const pixiu = 461

// dubboCase measures HTTP to Dubbo before a real Java provider, found through ZooKeeper, in rounds with Sluice's own
// HTTP to HTTP.
func dubboCase(ctx context.Context, b *benchmark) error {
	p, err := b.get("sluice")
	if err != nil {
		return err
	}
	zk, stopZK, err := testbed.SharedZooKeeper()
	if err != nil {
		return err
	}
	defer stopZK()
	_, stopProvider, err := testbed.SharedDubboProvider(testbed.ProviderOptions{Registry: "zookeeper://" + zk.Addr()})
	if err != nil {
		return err
	}
	defer stopProvider()
	running, err := b.startDubbo(ctx, p, zk.Addr())
	if err != nil {
		return err
	}
	defer running.Stop()
	bean, err := beanOf25(ctx, running.URL()+"/users/7")
	if err != nil {
		return err
	}
	users := make([]string, 256)
	for i := range users {
		users[i] = fmt.Sprintf("/users/%d", i+1)
	}
	asJSON := map[string]string{"Content-Type": "application/json"}
	kinds := []struct {
		name string
		load wrk.Load
	}{
		{"HTTP to HTTP, GET", wrk.Load{Paths: []string{"/http/items"}}},
		{"HTTP to HTTP, POST of the bean", wrk.Load{Paths: []string{"/http/items"}, Method: "POST", Body: bean, Header: asJSON}},
		{"HTTP to Dubbo, get(long)", wrk.Load{Paths: users}},
		{"HTTP to Dubbo, create(bean of 25 fields)", wrk.Load{Paths: []string{"/users"}, Method: "POST", Body: bean, Header: asJSON}},
	}
	samples := map[string][]sample{}
	var names []string
	for round := -3; round < b.rounds; round++ { // three to warm the provider up
		for i := range kinds {
			k := kinds[(i+round+len(kinds))%len(kinds)]
			k.load.Connections = dubboConnections
			s, err := b.round(ctx, running, k.load)
			if err != nil {
				return err
			}
			if round >= 0 {
				samples[k.name] = append(samples[k.name], s)
			}
		}
	}
	for _, k := range kinds {
		names = append(names, k.name)
	}
	b.report.dubbo(names, samples, len(bean))
	return nil
}

// startDubbo starts Sluice with two routes to the provider and one to the backend.
func (b *benchmark) startDubbo(ctx context.Context, p program, zk string) (*peer.Peer, error) {
	kind := p.Kind
	kind.Write = func(dir string, port int, backend string) error {
		return os.WriteFile(filepath.Join(dir, "sluice.yaml"), fmt.Appendf(nil, dubboConfig, port, zk, backend), 0o644)
	}
	dir, err := os.MkdirTemp(b.dir, "dubbo-")
	if err != nil {
		return nil, err
	}
	running, _, err := peer.Start(ctx, kind, p.path, dir, b.backend(), "/users/7")
	return running, err
}

const dubboConfig = `listeners:
  - {name: web, address: "127.0.0.1:%d"}
admin: {address: "off"}
accessLog: {path: "off"}
registries:
  - {name: zk, type: zookeeper, addresses: [%q]}
  - {name: local, type: static, services: {backend: [%q]}}
routes:
  - name: get
    match: {path: "/users/{id}", methods: [GET]}
    to: {dubbo: {interface: com.example.UserService, method: get, version: 1.0.0, group: g1, args: ["{path.id}"]}, registry: zk}
  - name: create
    match: {path: "/users", methods: [POST]}
    to: {dubbo: {interface: com.example.UserService, method: create, version: 1.0.0, group: g1}, registry: zk}
  - name: http
    match: {path: "/http/**"}
    to: {service: backend, registry: local}
`

// beanOf25 asks for a user and leaves out three of its 28 properties, those that nest users and addresses in lists.
func beanOf25(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return "", fmt.Errorf("read a user: %w: %.100s", err, data)
	}
	for _, name := range []string{"parent", "history", "addresses"} {
		delete(fields, name)
	}
	if len(fields) != 25 {
		return "", fmt.Errorf("read a user: it has %d fields, not 25", len(fields))
	}
	var out bytes.Buffer
	if err := json.NewEncoder(&out).Encode(fields); err != nil {
		return "", err
	}
	return string(bytes.TrimSpace(out.Bytes())), nil
}

// dubbo adds the table of HTTP to Dubbo.
func (r *report) dubbo(names []string, samples map[string][]sample, bean int) {
	var rows [][]string
	for _, name := range names {
		s := samples[name]
		us := medianOf(s, func(x sample) float64 { return micro(x.perRequest) })
		var failed int64
		for _, x := range s {
			failed += x.Errors.Sum()
		}
		rows = append(rows, []string{
			name, fmt.Sprintf("%.1f", us),
			fmt.Sprintf("%.2f", median(ratios(s, samples[names[0]]))), fmt.Sprintf("%.2f", median(ratios(s, samples[names[1]]))),
			fmt.Sprintf("%.3f", us/pixiu),
			fmt.Sprintf("%.0f", medianOf(s, func(x sample) float64 { return float64(x.Requests) / x.Elapsed.Seconds() })),
			fmt.Sprintf("%.2f", medianOf(s, func(x sample) float64 { return milli(x.P99) })),
			fmt.Sprint(failed),
			fmt.Sprintf("%.0f %%", 100*medianOf(s, func(x sample) float64 { return x.strangers })),
		})
	}
	r.section("HTTP to Dubbo", []string{"", "Sluice's CPU µs/request", "to its HTTP GET", "to its HTTP POST", fmt.Sprintf("to Pixiu's %d µs", pixiu),
		"requests/s", "p99 ms", "failed", "strangers' CPU, Java included"}, rows,
		fmt.Sprintf("A real Java provider of Dubbo 3.3.6, found through ZooKeeper; %d connections. The bean is %d bytes of JSON. "+
			"Pixiu's figure is of an earlier run of get(long) through ZooKeeper on the same machine, so that ratio compares times.", dubboConnections, bean))
}
