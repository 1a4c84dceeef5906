package testbed

import (
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// TestProviderInZooKeeper starts each version and looks for what the gateway reads: addresses and definitions.
func TestProviderInZooKeeper(t *testing.T) {
	if testing.Short() {
		t.Skip("a provider takes 5 s to start and to stop")
	}
	for _, c := range []struct {
		name    string
		options ProviderOptions
		nodes   map[string]int // children wanted
	}{
		{"3.3.6", ProviderOptions{Protocols: []string{"dubbo", "tri"}}, map[string]int{
			"/dubbo/com.example.UserService/providers":                  4,
			"/dubbo/metadata/com.example.UserService/provider":          1,
			"/dubbo/metadata/com.example.UserService/1.0.0/g1/provider": 1,
			"/services/users": 1,
		}},
		{"3.3.6 instance", ProviderOptions{RegisterMode: "instance"}, map[string]int{"/services/users": 1}},
		{"2.7.23", ProviderOptions{Version: "2.7.23"}, map[string]int{
			"/dubbo/com.example.UserService/providers":                  2,
			"/dubbo/metadata/com.example.UserService/1.0.0/g1/provider": 1,
			"/dubbo/metadata/com.example.UserService/provider":          1,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := StartZooKeeper(t)
			c.options.Registry = "zookeeper://" + z.Addr()
			p := StartDubboProvider(t, c.options)
			conn := connect(t, z)
			defer conn.Close()
			for path, want := range c.nodes {
				awaitChildren(t, conn, path, want)
			}
			if c.options.RegisterMode == "instance" {
				if found, _, _ := conn.Exists("/dubbo/com.example.UserService/providers"); found {
					t.Error("it registered on the interface level too")
				}
				return
			}
			children, _, err := conn.Children("/dubbo/com.example.UserService/providers")
			check(t, err)
			_, port, _ := strings.Cut(p.Addr(), ":")
			if all := strings.Join(children, " "); !strings.Contains(all, "dubbo%3A%2F%2Flocalhost.%3A"+port) {
				t.Errorf("no address with localhost. and port %s in %s", port, all)
			}
			check(t, p.Stop())
			awaitChildren(t, conn, "/dubbo/com.example.UserService/providers", 0)
			check(t, p.Restart()) // on the same port
			awaitChildren(t, conn, "/dubbo/com.example.UserService/providers", c.nodes["/dubbo/com.example.UserService/providers"])
		})
	}
}

func TestProviderInNacos(t *testing.T) {
	if testing.Short() {
		t.Skip("a Nacos takes 10 s to start")
	}
	n := StartNacos(t)
	for _, version := range []string{"3.3.6", "2.7.23"} {
		t.Run(version, func(t *testing.T) {
			app := "users-" + version[:1]
			StartDubboProvider(t, ProviderOptions{Version: version, Registry: "nacos://" + n.Addr(), Application: app})
			for _, service := range []string{"providers:com.example.UserService:1.0.0:g1", "providers:com.example.UserService::"} {
				awaitProvider(t, n, service, app)
			}
		})
	}
}

// awaitProvider waits for one instance of the application; the server lists a moment later what it has accepted.
func awaitProvider(t *testing.T, n *Nacos, service, app string) {
	t.Helper()
	var found []listed
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		found = list(t.Context(), n, Instance{Service: service})
		mine := 0
		for _, i := range found {
			if i.Metadata["application"] == app && i.IP == "localhost." {
				mine++
			}
		}
		if mine == 1 {
			return
		}
	}
	t.Errorf("%s has %+v, want one of %s", service, found, app)
}

func awaitChildren(t *testing.T, conn *zk.Conn, path string, want int) {
	t.Helper()
	var got []string
	var err error
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got, _, err = conn.Children(path); err == nil && len(got) == want {
			return
		}
	}
	t.Errorf("%s has children %v (%v), want %d", path, got, err, want)
}
