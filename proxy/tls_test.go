package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// TestListenerByTLS: a listener takes TLS, turns from one certificate to another and to clear text by reloads, and tells
// services by which scheme the client came.
func TestListenerByTLS(t *testing.T) {
	ca := testbed.NewCA(t)
	a, b := ca.Server("a.test"), ca.Server("b.test")
	const routes = "registries: []\nroutes: [{name: a, match: {path: /a}, filters: [{redirect: {path: /b}}]}]\n"
	document := func(address string, p *testbed.Pair) string {
		text := fmt.Sprintf("listeners: [{name: web, address: %q", address)
		if p != nil {
			text += fmt.Sprintf(", tls: {certificates: [{cert: %q, key: %q}]}", p.Cert, p.Key)
		}
		return text + "}]\n" + routes
	}
	g := start(t, routes)
	pem, err := os.ReadFile(ca.File())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	get := func(scheme, name string) (string, error) {
		client := &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name}},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		resp, err := client.Get(scheme + "://" + g.Address("web").String() + "/a")
		if err != nil {
			return "", err
		}
		_ = resp.Body.Close()
		return resp.Header.Get("Location"), nil
	}
	for _, step := range []struct {
		pair         *testbed.Pair
		scheme, name string
	}{{&a, "https", "a.test"}, {&b, "https", "b.test"}, {nil, "http", ""}} {
		doc, mistakes := read(t, document("127.0.0.1:0", step.pair))
		if len(mistakes) > 0 {
			t.Fatal(mistakes)
		}
		if err := g.Reload(doc); err != nil {
			t.Fatal(err)
		}
		if location, err := get(step.scheme, step.name); err != nil || !strings.HasPrefix(location, step.scheme+"://") {
			t.Errorf("%+v: redirected to %q, %v", step, location, err)
		}
	}
	doc, _ := read(t, document("127.0.0.1:0", &testbed.Pair{Cert: "/nowhere.pem", Key: a.Key}))
	if err := g.Reload(doc); err == nil || !strings.Contains(err.Error(), `listener "web": tls: certificates[0]: open /nowhere.pem`) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := get("http", ""); err != nil {
		t.Errorf("after a document that was not applied: %v", err)
	}
}
