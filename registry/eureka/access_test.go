package eureka

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// withUser puts a user into a URL.
func withUser(t *testing.T, at, user, password string) string {
	u, err := url.Parse(at)
	check(t, err)
	u.User = url.UserPassword(user, password)
	return u.String()
}

// TestUser asks a server that wants one.
func TestUser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	const password = "p@ss:w/rd %1"
	e := testbed.StartEureka(t, testbed.WithAuth("ada", password))
	check(t, e.Register(t.Context(), testbed.EurekaInstance{App: "ORDERS", ID: "1", IP: "10.0.0.1", Port: 80}))
	for name, r := range map[string]*rig{
		"in the section": newRig(t, e.URL(), func(c *Config) { c.Username, c.Password = "ada", password }),
		"in the URL":     newRig(t, withUser(t, e.URL(), "ada", password), func(c *Config) { c.Username, c.Password = "eve", "x" }),
	} {
		r.watch("orders").until(name, has("10.0.0.1:80"))
		reg := r.register(gateway(strings.ReplaceAll(name, " ", "-")))
		reg.until("registered", func(err error) bool { return err == nil })
		r.noErrors()
	}
	none := newRig(t, e.URL())
	none.awaitError(e.URL()+": 401", "set username and password")
	wrong := newRig(t, withUser(t, e.URL(), "ada", "secret-typo"))
	wrong.awaitError(e.URL()+": 401", `"ada"`, "check username and password")
	for _, r := range []*rig{none, wrong} {
		w := r.watch("orders")
		time.Sleep(3 * r.config.Interval)
		if r.state() != registry.Connecting || len(w.seen()) != 0 {
			t.Errorf("%v, %v", r.state(), w.seen())
		}
		for _, err := range r.errors() {
			if strings.Contains(err.Error(), "secret-typo") {
				t.Errorf("the password is in %v", err)
			}
		}
	}
}

// TestTLS asks a server by the right name, by a wrong one, and without knowing who signed for it.
func TestTLS(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	ca := testbed.NewCA(t)
	pair := ca.Server("eureka.example")
	e := testbed.StartEureka(t, testbed.WithTLS(pair.Cert, pair.Key))
	check(t, e.Register(t.Context(), testbed.EurekaInstance{App: "ORDERS", ID: "1", IP: "10.0.0.1", Port: 80}))
	right := newRig(t, e.URL(), func(c *Config) { c.TLS = &registry.TLS{CA: ca.File(), ServerName: "eureka.example"} })
	right.watch("orders").until("by its name", has("10.0.0.1:80"))
	right.noErrors()
	wrong := newRig(t, e.URL(), func(c *Config) { c.TLS = &registry.TLS{CA: ca.File()} })
	wrong.awaitError(e.URL()+": ", "127.0.0.1", "tls.serverName")
	stranger := newRig(t, e.URL(), func(c *Config) { c.TLS = &registry.TLS{ServerName: "eureka.example"} })
	stranger.awaitError(e.URL()+": ", "unknown authority", "tls.ca")
	plain := newRig(t, strings.Replace(e.URL(), "https", "http", 1))
	plain.awaitError("400")
	for _, r := range []*rig{wrong, stranger, plain} {
		if r.state() != registry.Connecting {
			t.Errorf("%v", r.state())
		}
	}
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	none := newRig(t, strings.Replace(s.URL, "http", "https", 1))
	none.awaitError("write http:// in the URL")
}
