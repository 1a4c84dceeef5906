package zookeeper

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// What is wrong with the TLS of a connection is said, and never taken for anything else.
func TestTLS(t *testing.T) {
	ca, stranger := testbed.NewCA(t), testbed.NewCA(t)
	client, foreign := ca.Client("gateway"), stranger.Client("gateway")
	server := testbed.StartZooKeeper(t, testbed.WithZooKeeperTLS(t, ca.Server("zk.test"), ca.File()))
	with := func(t *testing.T, section *registry.TLS) *rig {
		return newRig(t, server, func(c *Config, _ *registry.Options) { c.Addresses, c.TLS = []string{server.SecureAddr()}, section })
	}
	good := registry.TLS{CA: ca.File(), ServerName: "zk.test", Cert: client.Cert, Key: client.Key}
	t.Run("right", func(t *testing.T) {
		r := with(t, &good)
		r.writer.put(r.rservices("web/1"), spring("192.0.2.1", `"port":8080`, ""))
		r.Watch(registry.App("web")).Until("the instance", registrytest.Has("http://192.0.2.1:8080"))
	})
	for name, c := range map[string]struct {
		change func(*registry.TLS)
		want   string
	}{
		"wrong name":         {func(s *registry.TLS) { s.ServerName = "other.test" }, "certificate is valid for zk.test, not other.test"},
		"address as name":    {func(s *registry.TLS) { s.ServerName = "" }, "127.0.0.1 because it doesn't contain any IP SANs"},
		"wrong authority":    {func(s *registry.TLS) { s.CA = stranger.File() }, "certificate signed by unknown authority"},
		"no certificate":     {func(s *registry.TLS) { s.Cert, s.Key = "", "" }, "the server wants tls.cert and tls.key"},
		"strange one":        {func(s *registry.TLS) { s.Cert, s.Key = foreign.Cert, foreign.Key }, "the server wants tls.cert and tls.key"},
		"of the clear port":  {nil, "no TLS is spoken there"},
		"no TLS where it is": {nil, "or expects TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			section, began := good, time.Now()
			var r *rig
			switch {
			case c.change != nil:
				c.change(&section)
				r = with(t, &section)
			case name == "of the clear port":
				r = newRig(t, server, func(c *Config, _ *registry.Options) { c.TLS = &section })
			default:
				r = with(t, nil)
			}
			p := r.Watch(registry.App("web"))
			registrytest.Within(t, "a report", func() bool { return r.SawError(server.Addr()) || r.SawError(server.SecureAddr()) })
			registrytest.Within(t, c.want, func() bool {
				if time.Since(began) > 3*time.Second && !r.SawError(c.want) {
					t.Fatalf("reported %v, want %q", r.Errors(), c.want)
				}
				return r.SawError(c.want)
			})
			if r.State() != registry.Connecting || p.Count() != 0 {
				t.Errorf("%v with %d pushes", r.State(), p.Count())
			}
			t.Log(r.Errors()[0])
		})
	}
}

// Files that are not there or hold nothing are told before anything is connected.
func TestTLSFiles(t *testing.T) {
	folder := t.TempDir()
	must(t, os.WriteFile(filepath.Join(folder, "ca.pem"), []byte("nothing"), 0o600))
	for section, want := range map[registry.TLS]string{
		{CA: "none.pem"}: "tls: ca: open " + filepath.Join(folder, "none.pem"),
		{CA: "ca.pem"}:   "tls: ca: " + filepath.Join(folder, "ca.pem") + " holds no certificate",
		{Cert: "c.pem"}:  "tls: cert and key must be given together",
	} {
		c := Default()
		c.Addresses, c.TLS = []string{"h"}, &section
		c.Resolve(folder)
		_, err := c.Build(registry.Options{})
		if err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
