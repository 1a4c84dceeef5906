package testbed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"testing"
	"time"
)

// BuildToxiproxy builds the toxiproxy server, unless the cache has it.
func BuildToxiproxy(ctx context.Context) error {
	_, err := toxiproxyPath(ctx)
	return err
}

func toxiproxyPath(ctx context.Context) (string, error) {
	return buildGo(ctx, "tools/toxiproxy", "github.com/Shopify/toxiproxy/v2/cmd/server", "toxiproxy")
}

// Toxiproxy is a server of TCP proxies that break on demand.
type Toxiproxy struct {
	*Server
	tb   testing.TB
	base string
	http *http.Client
}

// StartToxiproxy starts the server for this test.
func StartToxiproxy(tb testing.TB) *Toxiproxy {
	tb.Helper()
	return private(tb, func(ctx context.Context) (*Toxiproxy, error) {
		path, err := toxiproxyPath(ctx)
		if err != nil {
			return nil, fmt.Errorf("find toxiproxy: %w (%w)", err, errNotPrepared)
		}
		ports, err := reservePorts()
		if err != nil {
			return nil, err
		}
		s, err := newServer("toxiproxy", ports)
		if err != nil {
			return nil, err
		}
		t := &Toxiproxy{
			Server: s, tb: tb, base: "http://" + loopback(ports.Port(1)),
			http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		}
		s.command = func() *exec.Cmd {
			cmd := exec.Command(path, "-host", "127.0.0.1", "-port", fmt.Sprint(ports.Port(1)))
			cmd.Dir = s.dir
			return cmd
		}
		s.ready = func(ctx context.Context) error { return t.do(ctx, http.MethodGet, "/version", nil) }
		if err := s.launch(ctx); err != nil {
			return nil, err
		}
		return t, nil
	})
}

// Proxy is one listener that forwards to an upstream, until it is told otherwise. A step that the server refuses fails the
// test at once, so the methods belong to the test's own goroutine.
type Proxy struct {
	toxi       *Toxiproxy
	name, addr string
	toxics     []string // that are in place
}

// Proxy opens a listener of its own in front of upstream (host:port). The name is unique in the test.
func (t *Toxiproxy) Proxy(name, upstream string) *Proxy {
	t.tb.Helper()
	p := &Proxy{toxi: t, name: name, addr: loopback(FreePort(t.tb))}
	t.must(http.MethodPost, "/proxies", map[string]any{"name": name, "listen": p.addr, "upstream": upstream, "enabled": true})
	return p
}

// Addr is where clients connect, "127.0.0.1:PORT".
func (p *Proxy) Addr() string { return p.addr }

// Latency delays each piece from the upstream by d.
func (p *Proxy) Latency(d time.Duration) {
	p.toxi.tb.Helper()
	p.add("latency", "downstream", map[string]any{"latency": d.Milliseconds()})
}

// Bandwidth limits what comes from the upstream to this many kilobytes a second.
func (p *Proxy) Bandwidth(rate int) {
	p.toxi.tb.Helper()
	p.add("bandwidth", "downstream", map[string]any{"rate": rate})
}

// Vanish lets no byte through in either direction, while connections stay open and new ones are accepted. Heal closes the
// connections that were open meanwhile: what was lost in them is lost. Freeze the server instead to have them go on.
func (p *Proxy) Vanish() {
	p.toxi.tb.Helper()
	p.add("timeout", "downstream", map[string]any{"timeout": 0})
	p.add("timeout", "upstream", map[string]any{"timeout": 0})
}

// Reset ends each connection with a reset as soon as a byte wants through, until Heal.
func (p *Proxy) Reset() {
	p.toxi.tb.Helper()
	p.add("reset_peer", "downstream", map[string]any{"timeout": 0})
	p.add("reset_peer", "upstream", map[string]any{"timeout": 0})
}

// Down refuses new connections and cuts those that are open, until Up.
func (p *Proxy) Down() {
	p.toxi.tb.Helper()
	p.toxi.must(http.MethodPost, "/proxies/"+p.name, map[string]any{"enabled": false})
}

// Up takes connections again.
func (p *Proxy) Up() {
	p.toxi.tb.Helper()
	p.toxi.must(http.MethodPost, "/proxies/"+p.name, map[string]any{"enabled": true})
}

// Heal takes all toxics away; a proxy that is down stays so.
func (p *Proxy) Heal() {
	p.toxi.tb.Helper()
	for _, name := range p.toxics {
		p.toxi.must(http.MethodDelete, "/proxies/"+p.name+"/toxics/"+name, nil)
	}
	p.toxics = nil
}

func (p *Proxy) add(kind, stream string, attributes map[string]any) {
	p.toxi.tb.Helper()
	p.toxi.must(http.MethodPost, "/proxies/"+p.name+"/toxics", map[string]any{
		"name": kind + "_" + stream, "type": kind, "stream": stream, "attributes": attributes,
	})
	p.toxics = append(p.toxics, kind+"_"+stream)
}

func (t *Toxiproxy) must(method, path string, body any) {
	t.tb.Helper()
	if err := t.do(t.tb.Context(), method, path, body); err != nil {
		t.tb.Fatal(err)
	}
}

func (t *Toxiproxy) do(ctx context.Context, method, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("ask toxiproxy: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, t.base+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("ask toxiproxy: %w", err)
	}
	resp, err := t.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask toxiproxy: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("ask toxiproxy %s: %w", path, err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("ask toxiproxy %s: %s: %s", path, resp.Status, bytes.TrimSpace(answer))
	}
	return nil
}
