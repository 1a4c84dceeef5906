package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/proxy/filter"
	"github.com/sluice-gateway/sluice/proxy/filter/fixedresponse"
	"github.com/sluice-gateway/sluice/proxy/filter/header"
	"github.com/sluice-gateway/sluice/proxy/filter/redirect"
	"github.com/sluice-gateway/sluice/proxy/filter/rewrite"
	"github.com/sluice-gateway/sluice/proxy/upstream"
	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/static"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func parts() Components {
	return Components{
		Filters: map[string]func() filter.Config{
			"stripPrefix":      func() filter.Config { return rewrite.DefaultStrip() },
			"setRequestHeader": func() filter.Config { return header.Set(header.Request) },
			"fixedResponse":    func() filter.Config { return fixedresponse.Default() },
			"redirect":         func() filter.Config { return redirect.Default() },
		},
		Registries: map[string]func() registry.Config{"static": func() registry.Config { return static.Default() }},
		Dialers:    map[string]upstream.Dialer{"http1": upstream.HTTP1(), "dubbo": upstream.Dubbo(), "h2c": upstream.HTTP2(false)},
	}
}

// read parses a document; text is its body after the listener.
func read(t *testing.T, text string) (*config.Document, config.Problems) {
	t.Helper()
	p := parts()
	return config.Parse("test.yaml", []byte("accessLog: {path: \"off\"}\nadmin: {address: \"off\"}\n"+text), p.Kinds())
}

func kinds() config.Kinds { p := parts(); return p.Kinds() }

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const web = "listeners: [{name: web, address: \"127.0.0.1:0\"}]\n"

type gateway struct {
	*Gateway
	t    *testing.T
	base string
}

func start(t *testing.T, text string) *gateway {
	t.Helper()
	doc, mistakes := read(t, web+text)
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	g := New(Options{Components: parts(), Logger: slog.New(slog.DiscardHandler), Namespace: t.Name()})
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := g.Shutdown(ctx, 0); err != nil {
			t.Error(err)
		}
	})
	if err := g.Start(doc); err != nil {
		t.Fatal(err)
	}
	return &gateway{g, t, "http://" + g.Address("web").String()}
}

// reload applies a changed document as run does.
func (g *gateway) reload(text string) error {
	g.t.Helper()
	doc, mistakes := read(g.t, web+text)
	if doc == nil {
		g.Reject(mistakes)
		return mistakes
	}
	return g.Reload(doc)
}

// get returns status and body.
func (g *gateway) get(path string) string {
	g.t.Helper()
	resp, err := http.Get(g.base + path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}

func (g *gateway) want(path, answer string) {
	g.t.Helper()
	if got := g.get(path); !strings.Contains(got, answer) {
		g.t.Errorf("%s: %s, want %s", path, got, answer)
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not come to be")
		}
	}
}

func echo(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s %s", name, r.URL.Path, r.Header.Get("X-Gateway"))
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func registries(services ...string) string {
	return "registries: [{name: r, type: static, services: {" + strings.Join(services, ", ") + "}}]\n"
}

func (g *gateway) ready() {
	g.t.Helper()
	eventually(g.t, func() bool { ok, _ := g.Ready(); return ok })
}

func TestServes(t *testing.T) {
	g := start(t, registries(fmt.Sprintf("a: [%q]", echo(t, "A")))+`
routes:
  - {name: a, match: {path: "/a/**"}, filters: [stripPrefix, {setRequestHeader: {name: X-Gateway, value: sluice}}], to: {service: a}}
  - {name: fixed, match: {path: /fixed, methods: [GET]}, filters: [{fixedResponse: {body: hello}}]}
  - {name: none, match: {path: /none}, to: {service: none}}
  - {name: any, match: {path: "/any/{service}/**"}, to: {service: "{service}"}}
`)
	g.ready()
	g.want("/a/x/y", "200 A /x/y sluice")
	g.want("/fixed", "200 hello")
	g.want("/none", `"code":"no_instance"`)
	g.want("/nowhere", `"code":"no_route"`)
	eventually(t, func() bool { return strings.HasPrefix(g.get("/any/a/z"), "200 A /any/a/z") })
	g.want("/any/b/z", "404")
	resp, err := http.Post(g.base+"/fixed", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("%d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
}

func TestFlowControl(t *testing.T) {
	text := "registries: []\nroutes: [{name: r, match: {path: /r}, flowControl: {qps: 0.05}, filters: [%s]}]\n"
	// A filter that answers sits before flow control, so limits count what is sent on: nothing here.
	g := start(t, fmt.Sprintf(text, "{fixedResponse: {body: x}}"))
	for range 3 {
		g.want("/r", "200 x")
	}
	limited := registries(fmt.Sprintf("a: [%q]", echo(t, "A"))) + "routes: [{name: r, match: {path: /r}, flowControl: {qps: 0.05}, to: {service: a}}]\n"
	if err := g.reload(limited); err != nil {
		t.Fatal(err)
	}
	g.ready()
	var codes []string
	for range 3 {
		codes = append(codes, g.get("/r")[:3])
	}
	if codes[0] != "200" || codes[2] != "429" {
		t.Errorf("%v", codes)
	}
	// A reload that changes something else does not give the route a fresh start.
	if err := g.reload(limited + "startup: {timeout: 5s}\n"); err != nil {
		t.Fatal(err)
	}
	g.want("/r", "429")
}

func TestReloadChangesRoutesWithoutLosingRequests(t *testing.T) {
	a, b := echo(t, "A"), echo(t, "B")
	doc := func(to string) string {
		return registries(fmt.Sprintf("a: [%q]", a), fmt.Sprintf("b: [%q]", b)) + "routes: [{name: r, match: {path: /**}, to: {service: " + to + "}}," +
			" {name: by-name, match: {path: \"/by-name/{s}/**\"}, to: {service: \"{s}\"}}]\n"
	}
	g := start(t, doc("a"))
	g.ready()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var sent, wrong atomic.Int64
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				sent.Add(1)
				for _, path := range []string{"/x", "/by-name/a/x"} {
					if got := g.get(path); !strings.HasPrefix(got, "200") {
						wrong.Add(1)
						t.Log(path, got)
					}
				}
			}
		})
	}
	for i := range 40 {
		if err := g.reload(doc([]string{"b", "a"}[i%2])); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Millisecond) // some traffic between two reloads
	}
	close(stop)
	wg.Wait()
	if wrong.Load() > 0 || sent.Load() < 40 {
		t.Errorf("%d of %d requests failed", wrong.Load(), sent.Load())
	}
	eventually(t, func() bool { return len(g.store.Status()) == 2 }) // a and b, once each
}

func TestOldPlanServesItsRequestsToTheEnd(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = io.WriteString(w, "late")
	}))
	defer s.Close()
	g := start(t, registries(fmt.Sprintf("a: [%q]", s.Listener.Addr()))+"routes: [{name: r, match: {path: /**}, to: {service: a}}]\n")
	g.ready()
	answer := make(chan string)
	go func() { answer <- g.get("/") }()
	eventually(t, func() bool { return g.metrics.Route("r").InFlight() == 1 })
	if err := g.reload("registries: []\nroutes: []\n"); err != nil {
		t.Fatal(err)
	}
	g.want("/", "404")
	if n := len(g.store.Status()); n != 1 {
		t.Errorf("%d services are held; the running request needs its own", n)
	}
	close(release)
	if got := <-answer; got != "200 late" {
		t.Error(got)
	}
	eventually(t, func() bool { return len(g.store.Status()) == 0 })
}

func TestBadRouteIsRefusedAlone(t *testing.T) {
	route := func(name, body string) string {
		return "  - {name: " + name + ", match: {path: /" + name + "}, filters: [{fixedResponse: " + body + "}]}\n"
	}
	g := start(t, "registries: []\nroutes:\n"+route("a", "{body: A}")+route("b", "{body: B}"))
	if err := g.reload("registries: []\nroutes:\n" + route("a", "{body: A2}") + route("b", "{status: 999}") + route("c", "{bdy: C}")); err != nil {
		t.Fatal(err)
	}
	g.want("/a", "A2") // the rest applies
	g.want("/b", "B")  // its earlier version serves on
	g.want("/c", "404")
	st := g.Status()
	if len(st.Refused) != 2 || st.Refused[0].Name != "b" || st.Refused[1].Name != "c" || st.Rejected != "" {
		t.Errorf("%+v", st.Refused)
	}
	for _, r := range st.Routes {
		if r.Earlier != (r.Config.Name == "b") {
			t.Errorf("%s: earlier %v", r.Config.Name, r.Earlier)
		}
	}
	// A document that is wrong elsewhere changes nothing.
	if err := g.reload("registries: []\nroutez: []\n"); err == nil {
		t.Fatal("applied")
	}
	g.want("/a", "A2")
	if st := g.Status(); !strings.Contains(st.Rejected, "routez") || st.RejectedAt.IsZero() {
		t.Errorf("%q", st.Rejected)
	}
	if err := g.reload("registries: []\nroutes:\n" + route("a", "{body: A3}")); err != nil {
		t.Fatal(err)
	}
	g.want("/a", "A3")
	g.want("/b", "404")
	if st := g.Status(); st.Rejected != "" || len(st.Refused) != 0 {
		t.Errorf("a good document leaves old complaints: %+v", st)
	}
}

func TestRouteThatCannotBeBuiltIsRefusedAlone(t *testing.T) {
	g := start(t, registries("a: []")+"routes: [{name: a, match: {path: /a}, to: {service: a}}]\n")
	g.ready()
	missing := filepath.Join(t.TempDir(), "none.pem")
	err := g.reload(registries("a: []") + "services: [{match: {service: a}, tls: {ca: " + missing + "}}]\n" +
		"routes: [{name: a, match: {path: /a}, to: {service: a}}, {name: b, match: {path: /b}, filters: [fixedResponse]}]\n")
	if err != nil {
		t.Fatal(err)
	}
	st := g.Status()
	if len(st.Refused) != 1 || !strings.Contains(st.Refused[0].Problems.Error(), "none.pem") {
		t.Errorf("%+v", st.Refused)
	}
	g.want("/b", "200")
	if len(st.Routes) != 1 || len(g.store.Status()) != 0 {
		t.Errorf("%d routes, %d services: the refused route still holds something", len(st.Routes), len(g.store.Status()))
	}
}

func TestStartRefusesAnyMistake(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.pem")
	for _, text := range []string{
		"registries: []\nroutes: [{name: a, match: {path: /a}, filters: [{fixedResponse: {status: 1}}]}]\n",
		registries("a: []") + "services: [{match: {service: a}, tls: {ca: " + missing + "}}]\nroutes: [{name: a, match: {path: /a}, to: {service: a}}]\n",
	} {
		doc, mistakes := read(t, web+text)
		g := New(Options{Components: parts(), Logger: slog.New(slog.DiscardHandler), Namespace: t.Name()})
		err := error(mistakes)
		if doc != nil {
			err = g.Start(doc)
			if checked := Check(parts(), slog.New(slog.DiscardHandler), doc); len(doc.Refused) == 0 && (checked == nil || checked.Error() != err.Error()) {
				t.Errorf("check says %v, start says %v", checked, err)
			}
		}
		if err == nil {
			t.Errorf("%s: started", text)
		}
		if err := g.Shutdown(context.Background(), 0); err != nil {
			t.Error(err)
		}
	}
}

func TestTakenAddressChangesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	g := start(t, "registries: []\nroutes: [{name: a, match: {path: /a}, filters: [{fixedResponse: {body: A}}]}]\n")
	doc, mistakes := read(t, "listeners: [{name: web, address: \"127.0.0.1:0\"}, {name: two, address: \""+l.Addr().String()+"\"}]\nregistries: []\nroutes: []\n")
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	if err := g.Reload(doc); err == nil || !strings.Contains(err.Error(), `listener "two"`) {
		t.Errorf("%v", err)
	}
	g.want("/a", "200 A")
}

func TestListenersComeAndGo(t *testing.T) {
	g := start(t, "registries: []\nroutes: [{name: a, match: {path: /a}, filters: [{fixedResponse: {body: A}}]}]\n")
	first := g.base
	routes := "registries: []\nroutes: [{name: a, match: {path: /a}, filters: [{fixedResponse: {body: A}}]}]\n"
	doc, _ := read(t, "listeners: [{name: other, address: \"localhost:0\"}]\n"+routes)
	if err := g.Reload(doc); err != nil {
		t.Fatal(err)
	}
	g.base = "http://" + g.Address("other").String()
	g.want("/a", "200 A")
	http.DefaultClient.CloseIdleConnections()
	eventually(t, func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(first, "http://"))
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	if g.Address("web") != nil {
		t.Error("the listener that was removed is still known")
	}
	// A changed limit reaches a listener that stays.
	doc, _ = read(t, "listeners: [{name: other, address: \"localhost:0\", limits: {uriBytes: 64B}}]\n"+routes)
	if err := g.Reload(doc); err != nil {
		t.Fatal(err)
	}
	g.want("/a?"+strings.Repeat("x", 100), "414")
}

func TestShutdownFinishesWhatRuns(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = io.WriteString(w, "done")
	}))
	defer s.Close()
	doc, _ := read(t, web+registries(fmt.Sprintf("a: [%q]", s.Listener.Addr()))+"routes: [{name: r, match: {path: /**}, to: {service: a}}]\n")
	g := &gateway{Gateway: New(Options{Components: parts(), Logger: slog.New(slog.DiscardHandler), Namespace: t.Name()}), t: t}
	if err := g.Start(doc); err != nil {
		t.Fatal(err)
	}
	g.base = "http://" + g.Address("web").String()
	g.ready()
	answer := make(chan string)
	go func() { answer <- g.get("/") }()
	eventually(t, func() bool { return g.metrics.Route("r").InFlight() == 1 })
	stopped := make(chan error)
	go func() { stopped <- g.Shutdown(context.Background(), time.Millisecond) }()
	eventually(t, func() bool { ok, _ := g.Ready(); return !ok })
	eventually(t, func() bool { // a dial and not a request: one that came just before would wait for the release, too
		c, err := net.Dial("tcp", strings.TrimPrefix(g.base, "http://"))
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	close(release)
	if got := <-answer; got != "200 done" {
		t.Error(got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := g.Reload(doc); err == nil {
		t.Error("a gateway that has stopped took a document")
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestShutdownIsBounded(t *testing.T) {
	hang := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer s.Close()
	defer close(hang)
	doc, _ := read(t, web+registries(fmt.Sprintf("a: [%q]", s.Listener.Addr()))+"routes: [{name: r, match: {path: /**}, to: {service: a}}]\n")
	g := &gateway{Gateway: New(Options{Components: parts(), Logger: slog.New(slog.DiscardHandler), Namespace: t.Name()}), t: t}
	if err := g.Start(doc); err != nil {
		t.Fatal(err)
	}
	g.base = "http://" + g.Address("web").String()
	g.ready()
	done := make(chan struct{})
	go func() { defer close(done); g.get("/") }()
	eventually(t, func() bool { return g.metrics.Route("r").InFlight() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := g.Shutdown(ctx, 0); err == nil {
		t.Error("a request was cut, and nobody was told")
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("took %v", took)
	}
	<-done
}

func TestReadinessNamesWhatItWaitsFor(t *testing.T) {
	g := New(Options{Components: parts(), Logger: slog.New(slog.DiscardHandler), Namespace: t.Name()})
	defer func() { _ = g.Shutdown(context.Background(), 0) }()
	if ok, waiting := g.Ready(); ok || len(waiting) != 1 {
		t.Errorf("before any document: %v %v", ok, waiting)
	}
}

func TestAccessLogFollowsItsPath(t *testing.T) {
	g := start(t, "registries: []\nroutes: []\n")
	path := filepath.Join(t.TempDir(), "access.log")
	doc, mistakes := config.Parse("test.yaml", []byte(web+"admin: {address: \"off\"}\naccessLog: {path: "+path+"}\n"), kinds())
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	if err := g.Reload(doc); err != nil {
		t.Fatal(err)
	}
	g.want("/x", "404")
	g.ReopenLogs()
	if err := g.reload("registries: []\nroutes: []\n"); err != nil { // closes the log, so all is written
		t.Fatal(err)
	}
	var line []byte
	eventually(t, func() bool { line = mustRead(t, path); return bytes.Contains(line, []byte(`"status":404`)) })
	if !bytes.Contains(line, []byte(`"code":"no_route"`)) {
		t.Errorf("%s", line)
	}
}

func TestCollector(t *testing.T) {
	g := start(t, registries(fmt.Sprintf("a: [%q, \"127.0.0.1:1\", {address: \"127.0.0.1:2\", disabled: true}]", echo(t, "A")))+
		"routes: [{name: r, match: {path: /**}, to: {service: a, retries: {attempts: 3}}}]\n")
	g.ready()
	for range 5 {
		g.want("/", "200")
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(NewCollector(g.Gateway), g.Metrics())
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range families {
		seen[f.GetName()] = true
	}
	for _, name := range []string{
		"sluice_upstream_requests_total", "sluice_registry_up", "sluice_registry_last_push_age_seconds", "sluice_plan_age_seconds",
		"sluice_service_instances", "sluice_listener_connections", "sluice_http_requests_total", "sluice_upstream_latency_seconds",
	} {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
	if problems, err := testutil.CollectAndLint(NewCollector(g.Gateway)); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestServiceSettings(t *testing.T) {
	doc, mistakes := read(t, web+"registries: [{name: r, type: static}, {name: q, type: static}]\nservices:\n"+
		"  - {match: {service: a, registry: q}, balance: {policy: roundRobin}}\n"+
		"  - {match: {service: \"com.example.*\"}, preserveHost: false}\n")
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	for _, c := range []struct {
		registry, service, policy string
		preserve                  bool
	}{
		{"r", "a", "peakEWMA", true}, {"q", "a", "roundRobin", true}, {"r", "com.example.B", "peakEWMA", false},
		{"r", "com.example", "peakEWMA", true}, {"r", "com.example.x/y[z]", "peakEWMA", false},
	} {
		s := settings(doc, c.registry, registry.App(c.service))
		if s.Balance.Policy != c.policy || s.PreserveHost != c.preserve {
			t.Errorf("%+v: %+v", c, s)
		}
	}
}
