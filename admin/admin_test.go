package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/proxy"
	"github.com/sluice-gateway/sluice/proxy/filter"
	"github.com/sluice-gateway/sluice/proxy/filter/fixedresponse"
	"github.com/sluice-gateway/sluice/proxy/filter/requestsize"
	"github.com/sluice-gateway/sluice/proxy/filter/rewrite"
	"github.com/sluice-gateway/sluice/proxy/upstream"
	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/file"
	"github.com/sluice-gateway/sluice/registry/static"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func parts() proxy.Components {
	return proxy.Components{
		Filters: map[string]func() filter.Config{
			"stripPrefix":   func() filter.Config { return rewrite.DefaultStrip() },
			"fixedResponse": func() filter.Config { return fixedresponse.Default() },
			"requestSize":   func() filter.Config { return requestsize.Default() },
		},
		Registries: map[string]func() registry.Config{
			"static": func() registry.Config { return static.Default() },
			"file":   func() registry.Config { return file.Default() },
		},
		Dialers: map[string]upstream.Dialer{"http1": upstream.HTTP1(), "dubbo": upstream.Dubbo()},
	}
}

// house is a gateway with its management address.
type house struct {
	t       *testing.T
	gateway *proxy.Gateway
	admin   *Server
	client  *http.Client
	base    string // of the listener
	down    bool
}

const head = "listeners: [{name: web, address: \"127.0.0.1:0\"}]\naccessLog: {path: \"off\"}\n"

// open starts a gateway by a document, and its management address.
func open(t *testing.T, text string) *house {
	t.Helper()
	h := &house{t: t, client: &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}}
	h.gateway = proxy.New(proxy.Options{Components: parts(), Logger: slog.New(slog.DiscardHandler), Namespace: t.Name()})
	t.Cleanup(h.close)
	if text != "" {
		doc, problems := h.read(text)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if err := h.gateway.Start(doc); err != nil {
			t.Fatal(err)
		}
		h.base = "http://" + h.gateway.Address("web").String()
	}
	var err error
	if h.admin, err = Listen("127.0.0.1:0", h.gateway, "1.2.3", slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) read(text string) (*config.Document, config.Problems) {
	p := parts()
	return config.Parse("sluice.yaml", []byte(head+text), p.Kinds())
}

// reload applies a changed document as the command does.
func (h *house) reload(text string) {
	h.t.Helper()
	doc, problems := h.read(text)
	if doc == nil {
		h.gateway.Reject(problems)
		return
	}
	if err := h.gateway.Reload(doc); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	h.client.CloseIdleConnections()
	if h.admin != nil {
		if err := h.admin.Shutdown(ctx); err != nil {
			h.t.Error(err)
		}
	}
	if h.down {
		return
	}
	if err := h.gateway.Shutdown(ctx, 0); err != nil {
		h.t.Error(err)
	}
}

// do asks the management address.
func (h *house) do(method, path string) (*http.Response, string) {
	h.t.Helper()
	return h.fetch(method, "http://"+h.admin.Address().String()+path)
}

func (h *house) fetch(method, url string) (*http.Response, string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, url, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp, string(body)
}

func (h *house) status() statusDoc {
	h.t.Helper()
	resp, body := h.do("GET", "/api/v1/status")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Cache-Control") != "no-store" {
		h.t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	var doc statusDoc
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		h.t.Fatalf("%v in %s", err, body)
	}
	return doc
}

func (h *house) readiness() (status int, r readiness) {
	h.t.Helper()
	resp, body := h.do("GET", "/readyz")
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		h.t.Fatalf("%v in %s", err, body)
	}
	if r.Ready != (resp.StatusCode == 200) {
		h.t.Errorf("%s says %s", resp.Status, body)
	}
	return resp.StatusCode, r
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not come to be within 10 s")
		}
	}
}

// instance is a service that answers with its name.
func instance(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestPages(t *testing.T) {
	h := open(t, `routes: [{name: hello, match: {path: "/**"}, filters: [{fixedResponse: {body: hello}}]}]`)
	for _, test := range []struct {
		method, path string
		status       int
		contains     string
	}{
		{"GET", "/", 200, "/api/v1/status   routes, services, instances, registries"},
		{"GET", "/livez", 200, "ok\n"},
		{"HEAD", "/livez", 200, ""},
		{"GET", "/readyz", 200, `"ready": true`},
		{"GET", "/nowhere", 404, "not found"},
		{"GET", "/livez/", 404, "not found"},
		{"GET", "/api/v1/", 404, "not found"},
		{"POST", "/livez", 405, "Method Not Allowed"},
		{"DELETE", "/api/v1/status", 405, "Method Not Allowed"},
		{"POST", "/", 405, "Method Not Allowed"},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			resp, body := h.do(test.method, test.path)
			if resp.StatusCode != test.status || !strings.Contains(body, test.contains) {
				t.Errorf("%s: %s", resp.Status, body)
			}
			if allow := resp.Header.Get("Allow"); test.status == 405 && !strings.Contains(allow, "GET") {
				t.Errorf("Allow: %q", allow)
			}
		})
	}
	// Nothing of it is reachable where traffic comes in.
	if _, body := h.fetch("GET", h.base+"/livez"); body != "hello" {
		t.Errorf("the listener answers %q", body)
	}
}

func TestReadiness(t *testing.T) {
	h := open(t, "")
	if status, r := h.readiness(); status != 503 || fmt.Sprint(r.Waiting) != "[no document has been applied]" {
		t.Errorf("before the start: %d %+v", status, r)
	}

	folder := filepath.Join(t.TempDir(), "services") // not there yet: the registry cannot answer
	text := "registries: [{name: folder, type: file, path: " + folder + "}]\n" +
		`routes: [{name: orders, match: {path: "/**"}, to: {service: orders}}]` + "\n"
	doc, problems := h.read(text)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if err := h.gateway.Start(doc); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return len(h.status().Registries) == 1 && h.status().Registries[0].State == "down" })
	status, r := h.readiness()
	if status != 503 || len(r.Waiting) != 2 || !strings.HasPrefix(r.Waiting[0], "registry folder has not answered (stale): read folder of services: ") ||
		!strings.HasPrefix(r.Waiting[1], "not waiting for this any longer in ") {
		t.Errorf("%d %+v", status, r)
	}
	if st := h.status(); st.Ready || len(st.Waiting) != 2 || st.Services[0].Answered {
		t.Errorf("status %+v", st)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { status, r = h.readiness(); return status == 200 })
	if r.Waiting != nil {
		t.Errorf("ready, but waiting for %q", r.Waiting)
	}
}

// Once startup.timeout has passed the gateway is ready with what it has, and says what it misses.
func TestReadyWithoutARegistry(t *testing.T) {
	h := open(t, "startup: {timeout: 1ms}\nregistries: [{name: folder, type: file, path: /nowhere/at/all}]\n"+
		`routes: [{name: orders, match: {path: "/**"}, to: {service: orders}}]`+"\n")
	var r readiness
	until(t, func() bool { _, r = h.readiness(); return r.Ready && strings.Contains(fmt.Sprint(r.Waiting), "stale") })
	if len(r.Waiting) != 1 {
		t.Errorf("waiting for %q", r.Waiting)
	}
}

// While requests finish, readiness fails and everything else answers.
func TestDraining(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-release }))
	defer slow.Close()
	h := open(t, "registries: [{name: r, type: static, services: {slow: [\""+slow.Listener.Addr().String()+"\"]}}]\n"+
		`routes: [{name: slow, match: {path: "/**"}, to: {service: slow}}]`+"\n")
	answered := make(chan int, 1)
	go func() {
		resp, err := h.client.Get(h.base + "/")
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		_ = resp.Body.Close()
		answered <- resp.StatusCode
	}()
	<-entered
	stopped := make(chan error, 1)
	h.down = true
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped <- h.gateway.Shutdown(ctx, 0)
	}()
	until(t, func() bool { status, _ := h.readiness(); return status == 503 })
	if _, r := h.readiness(); fmt.Sprint(r.Waiting) != "[the gateway is shutting down]" {
		t.Errorf("waiting for %q", r.Waiting)
	}
	if st := h.status(); st.Ready || st.Routes[0].InFlight != 1 {
		t.Errorf("status %+v", st)
	}
	for _, path := range []string{"/livez", "/metrics"} {
		if resp, body := h.do("GET", path); resp.StatusCode != 200 {
			t.Errorf("%s: %s %s", path, resp.Status, body)
		}
	}
	close(release)
	if status := <-answered; status != 200 {
		t.Errorf("the request in flight got %d", status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	h.status() // and after it
}

func TestListenErrors(t *testing.T) {
	h := open(t, "")
	for _, address := range []string{h.admin.Address().String(), "127.0.0.1:nonsense"} {
		s, err := Listen(address, h.gateway, "", slog.New(slog.DiscardHandler))
		if err == nil || !strings.HasPrefix(err.Error(), "admin: listen tcp") {
			t.Errorf("%s: %v, %v", address, s, err)
		}
	}
}

func TestShutdown(t *testing.T) {
	h := open(t, "")
	s, err := Listen("127.0.0.1:0", h.gateway, "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", s.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok\n" {
		t.Fatalf("%q, %v", body, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if _, err := answers.ReadByte(); err != io.EOF {
		t.Errorf("the idle connection is still open: %v", err)
	}
	if _, err := net.Dial("tcp", s.Address().String()); err == nil {
		t.Error("the address still answers")
	}
}
