package docs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/protocol/dubbo/provider"
)

// mirror is a service that answers with what it got.
func mirror(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s %s host=%s xff=%s", name, r.Method, r.URL.EscapedPath(), r.Host, r.Header.Get("X-Forwarded-For"))
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// begin runs a configuration of which text is all but the listener and the management address.
func begin(t *testing.T, text string) (web string) {
	t.Helper()
	web, admin := free(t), free(t)
	text = fmt.Sprintf("listeners: [{name: web, address: %q}]\nadmin: {address: %q}\naccessLog: {path: \"off\"}\n%s", web, admin, text)
	start(t, write(t, filepath.Join(t.TempDir(), "sluice.yaml"), text), admin)
	untilAnswer(t, "http://"+admin+"/readyz", 200, "")
	return web
}

// raw sends a request line as it is: Go's client would tidy the path.
func raw(t *testing.T, web, method, target, fields string) string {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", web)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nConnection: close\r\n%s\r\n", method, target, fields); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	return strings.Fields(head)[1] + " " + body
}

// TestRoutingPage does what docs/guide/routing.md says of patterns, precedence, methods, hosts and the form of paths.
func TestRoutingPage(t *testing.T) {
	route := func(name, match string) string {
		return fmt.Sprintf("  - {name: %s, match: {%s}, filters: [{setRequestHeader: {name: X-Route, value: %[1]s}}], to: {service: %[1]s}}\n", name, match)
	}
	names := []string{"exact", "number", "id", "below", "text", "get", "shop", "sub", "tenant", "robots", "session"}
	services := make([]string, len(names))
	for i, n := range names {
		services[i] = fmt.Sprintf("%s: [%q]", n, mirror(t, n))
	}
	web := begin(t, "registries: [{name: r, type: static, services: {"+strings.Join(services, ", ")+"}}]\nroutes:\n"+
		route("below", `path: "/orders/**"`)+
		route("id", `path: "/orders/{id}"`)+
		route("number", `path: "/orders/{id:[0-9]+}"`)+
		route("exact", `path: /orders/new`)+
		route("text", `path: "/files/*.txt"`)+
		route("get", `path: /get, methods: [GET]`)+
		route("sub", `path: /host, hosts: ["*.shop.example.com"]`)+
		route("shop", `path: /host, hosts: [shop.example.com]`)+
		route("tenant", `path: /orders/new, headers: {X-Tenant: acme}`)+
		route("robots", `path: /search, headers: {X-Robot: {present: false}}, query: {version: {regex: "v[0-9]+"}}`)+
		route("session", `path: /search, cookies: {session: {}}`))
	const host = "Host: any\r\n"
	for _, test := range []struct{ method, target, fields, want string }{
		{"GET", "/orders/new", host, "200 exact GET /orders/new"},
		{"GET", "/orders/new", host + "X-Tenant: acme\r\n", "200 tenant"},
		{"GET", "/orders/17", host, "200 number"},
		{"GET", "/orders/abc", host, "200 id"},
		{"GET", "/orders/abc/d", host, "200 below"},
		{"GET", "/orders", host, "200 below"},
		{"GET", "/orders/", host, "200 below"},
		{"GET", "/files/a.txt", host, "200 text"},
		{"GET", "/files/.txt", host, "404"},
		{"GET", "/get/", host, "404"},
		{"HEAD", "/get", host, "200 "},
		{"POST", "/get", host, "405"},
		{"GET", "/host", "Host: shop.example.com:8443\r\n", "200 shop"},
		{"GET", "/host", "Host: a.b.shop.example.com\r\n", "200 sub"},
		{"GET", "/host", "Host: example.com\r\n", "404"},
		{"GET", "/search?version=v1", host, "200 robots"},
		{"GET", "/search?version=v1x", host, "404"},
		{"GET", "/search?version=v1", host + "X-Robot: yes\r\n", "404"},
		{"GET", "/search", host + "Cookie: a=b; session=\r\n", "200 session"},

		{"GET", "/files/../orders/%6Eew", host, "200 exact GET /orders/new"},
		{"GET", "/files/%2e%2E/orders/17", host, "200 number GET /orders/17"},
		{"GET", "/../../orders/17", host, "200 number GET /orders/17"},
		{"GET", "/orders/a%2fb", host, "200 id GET /orders/a%2Fb"},
		{"GET", "/orders//x", host, "200 below GET /orders//x"},
		{"GET", "/orders/..;x/new", host, "400"},
		{"GET", "/orders/..%2fnew", host, "400"},
		{"GET", "/orders/%00", host, "400"},
		{"GET", "/orders/a%5cb", host, "400"},
		{"GET", "/orders/%4", host, "400"},

		{"GET", "/orders/17", host + "X-Forwarded-For: 192.0.2.1\r\n", "xff=127.0.0.1"},
		{"GET", "/orders/17", host, "host=any"},
	} {
		if got := raw(t, web, test.method, test.target, test.fields); !strings.HasPrefix(got, test.want) && !strings.Contains(got, test.want) {
			t.Errorf("%s %s: %s, want %s", test.method, test.target, got, test.want)
		}
	}
	if got := raw(t, web, "GET", "/orders/17", host+"X-Forwarded-For: 192.0.2.1\r\n"); strings.Contains(got, "192.0.2.1") {
		t.Errorf("a stranger's X-Forwarded-For is believed: %s", got)
	}
}

// TestServicesPage does what docs/guide/services.md says of retries, weights and the Host.
func TestServicesPage(t *testing.T) {
	live, dead := mirror(t, "live"), free(t)
	web := begin(t, fmt.Sprintf(`registries:
  - name: r
    type: static
    services:
      half: [%[1]q, %[2]q]
      dead: [%[2]q]
      own: [{address: %[1]q, weight: 1}, {address: %[2]q, weight: 0}]
routes:
  - {name: half, match: {path: "/half"}, to: {service: half}}
  - {name: dead, match: {path: "/dead"}, to: {service: dead}}
  - {name: own, match: {path: "/own"}, to: {service: own, retries: {attempts: 0}}}
services:
  - {match: {service: "ow*"}, preserveHost: false}
`, live, dead))
	for range 20 {
		// Nothing was sent to the instance that refuses connections, so any method is tried again.
		for _, method := range []string{"GET", "POST"} {
			if got := raw(t, web, method, "/half", "Host: shop\r\n"); !strings.HasPrefix(got, "200 live "+method+" /half host=shop") {
				t.Fatalf("%s: %s", method, got)
			}
		}
		if got := raw(t, web, "GET", "/own", "Host: shop\r\n"); !strings.HasPrefix(got, "200 live GET /own host="+live) {
			t.Fatal(got)
		}
	}
	if got := raw(t, web, "GET", "/dead", "Host: shop\r\n"); !strings.HasPrefix(got, "502") || !strings.Contains(got, `"upstream_connect"`) {
		t.Error(got)
	}
}

// shown are the JSON blocks of a page.
func shown(t *testing.T, page string) []string {
	t.Helper()
	var all []string
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(read(t, filepath.Join(root, page)), -1) {
		all = append(all, m[1])
	}
	return all
}

func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatalf("%v in %s", err, want)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Error(diff)
	}
}

// TestShownProblems asks for the error answers that the pages show.
func TestShownProblems(t *testing.T) {
	type user struct {
		Name string `json:"name"`
		Age  int    `json:"age"`
	}
	service := &provider.Service{
		Interface: "com.example.UserService",
		Methods: []provider.Method{{
			Name: "create", Params: []string{"com.example.User"}, Returns: "com.example.User",
			Call: func(_ context.Context, args []json.RawMessage) (any, error) {
				var u user
				err := json.Unmarshal(args[0], &u)
				return u, err
			},
		}},
		Beans: []provider.Bean{{Name: "com.example.User", Properties: map[string]string{"name": "java.lang.String", "age": "int"}}},
	}
	p, err := provider.New(provider.Config{Services: []*provider.Service{service}})
	if err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = p.Serve(l) }()
	t.Cleanup(func() {
		if err := p.Shutdown(context.Background(), nil); err != nil {
			t.Error(err)
		}
		<-done
	})
	folder := t.TempDir()
	write(t, filepath.Join(folder, "user.json"), string(service.Definition()))
	write(t, filepath.Join(folder, "users.yaml"), fmt.Sprintf(
		"dubbo: [{interface: com.example.UserService, definition: user.json, instances: [%q]}]\nservices: {search: [%q]}\n", l.Addr(), mirror(t, "search")))
	web := begin(t, fmt.Sprintf(`registries: [{name: folder, type: file, path: %q}]
routes:
  - {name: search, match: {path: /search}, flowControl: {qps: 1}, to: {service: search}}
  - {name: create, match: {path: /users}, to: {dubbo: {interface: com.example.UserService, method: create, args: ["{body}"]}}}
`, folder))

	var answers []string
	for range 3 {
		status, body, err := request(t.Context(), "GET", "http://"+web+"/search", "")
		if err != nil {
			t.Fatal(err)
		}
		if status == 429 {
			answers = append(answers, body)
		}
	}
	if len(answers) == 0 {
		t.Fatal("nothing was limited")
	}
	sameJSON(t, answers[0], shown(t, "docs/guide/flow-control.md")[0])

	status, body, err := request(t.Context(), "POST", "http://"+web+"/users", `{"name":"Ada","age":"old"}`)
	if err != nil || status != 400 {
		t.Errorf("%d %s %v", status, body, err)
	}
	sameJSON(t, body, shown(t, "docs/guide/dubbo.md")[0])
	status, body, err = request(t.Context(), "POST", "http://"+web+"/users", `{"name":"Ada","age":36}`)
	if err != nil || status != 200 || body != `{"name":"Ada","age":36}` && body != `{"age":36,"name":"Ada"}` {
		t.Errorf("%d %s %v", status, body, err)
	}
}
