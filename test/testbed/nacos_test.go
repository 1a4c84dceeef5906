package testbed

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNacos uses one server, since a start takes long: first what its API can do, then what survives what.
func TestNacos(t *testing.T) {
	if testing.Short() {
		t.Skip("a Nacos takes 10 s to start")
	}
	n := StartNacos(t)
	ctx := t.Context()

	t.Run("instances", func(t *testing.T) {
		i := Instance{Service: "orders", IP: "127.0.0.1", Port: 8080, Weight: 2.5, Metadata: map[string]string{"zone": "a"}}
		check(t, n.Register(ctx, i))
		want := listed{IP: "127.0.0.1", Port: 8080, Weight: 2.5, Healthy: true, Enabled: true, Metadata: map[string]string{"zone": "a"}}
		awaitList(t, n, i, want)

		i.Weight, i.Disabled, i.Unhealthy, i.Metadata = NoWeight, true, true, map[string]string{"zone": "b"}
		check(t, n.Update(ctx, i))
		awaitList(t, n, i, listed{IP: "127.0.0.1", Port: 8080, Metadata: map[string]string{"zone": "b"}})

		i.Weight, i.Disabled, i.Unhealthy = 0, false, false
		check(t, n.Update(ctx, i))
		awaitList(t, n, i, listed{IP: "127.0.0.1", Port: 8080, Weight: 1, Healthy: true, Enabled: true, Metadata: map[string]string{"zone": "b"}})

		second := i
		second.Port = 8081
		check(t, n.Register(ctx, second)) // the service exists already
		check(t, n.Deregister(ctx, second))
		awaitList(t, n, i, listed{IP: "127.0.0.1", Port: 8080, Weight: 1, Healthy: true, Enabled: true, Metadata: map[string]string{"zone": "b"}})
	})

	t.Run("namespace, group and cluster", func(t *testing.T) {
		check(t, n.CreateNamespace(ctx, "dev"))
		i := Instance{Namespace: "dev", Group: "SHOP", Cluster: "east", Service: "orders", IP: "127.0.0.1", Port: 8090}
		check(t, n.Register(ctx, i))
		awaitList(t, n, i, listed{IP: "127.0.0.1", Port: 8090, Weight: 1, Healthy: true, Enabled: true, Metadata: map[string]string{}})
	})

	t.Run("configurations", func(t *testing.T) {
		check(t, n.PublishConfig(ctx, "", "SHOP", "rules.json", "[1]"))
		check(t, n.PublishConfig(ctx, "dev", "SHOP", "rules.json", "[2]"))
		answer, err := n.call(ctx, http.MethodGet, "/v3/admin/cs/config", url.Values{
			"namespaceId": {"dev"}, "groupName": {"SHOP"}, "dataId": {"rules.json"},
		})
		if err != nil || !strings.Contains(string(answer), `"content":"[2]"`) {
			t.Errorf("config is %s, %v", answer, err)
		}
		check(t, n.DeleteConfig(ctx, "dev", "SHOP", "rules.json"))
	})

	t.Run("kill and restart keep the data, wipe does not", func(t *testing.T) {
		backend, err := net.Listen("tcp", "127.0.0.1:0") // see Register: at its start the server probes once
		check(t, err)
		defer backend.Close()
		i := Instance{Service: "kept", IP: "127.0.0.1", Port: backend.Addr().(*net.TCPAddr).Port}
		check(t, n.Register(ctx, i))
		n.Kill()
		check(t, n.Restart())
		awaitList(t, n, i, listed{IP: i.IP, Port: i.Port, Weight: 1, Healthy: true, Enabled: true, Metadata: map[string]string{}})
		check(t, n.Wipe())
		if got := list(ctx, n, i); len(got) != 0 {
			t.Errorf("after a wipe there are %v", got)
		}
	})
}

func TestNacosAuth(t *testing.T) {
	if testing.Short() {
		t.Skip("a Nacos takes 10 s to start")
	}
	n := StartNacos(t, WithAuth("nacos", "geheim-1"))
	check(t, n.Register(t.Context(), Instance{Service: "a", IP: "127.0.0.1", Port: 1}))
	n.token = ""
	if err := n.PublishConfig(t.Context(), "", "G", "d", "x"); err == nil {
		t.Error("the server took a configuration from a stranger")
	}
}

type listed struct {
	IP       string            `json:"ip"`
	Port     int               `json:"port"`
	Weight   float64           `json:"weight"`
	Healthy  bool              `json:"healthy"`
	Enabled  bool              `json:"enabled"`
	Metadata map[string]string `json:"metadata"`
}

func list(ctx context.Context, n *Nacos, i Instance) []listed {
	form := i.serviceForm()
	if i.Cluster != "" {
		form.Set("clusterName", i.Cluster)
	}
	answer, err := n.call(ctx, http.MethodGet, "/v3/admin/ns/instance/list", form)
	if err != nil {
		return nil // the service is not there
	}
	var page struct {
		Data []listed `json:"data"`
	}
	_ = json.Unmarshal(answer, &page)
	return page.Data
}

// awaitList waits until the server lists just this instance: its writes go through a log.
func awaitList(t *testing.T, n *Nacos, i Instance, want listed) {
	t.Helper()
	same := func(a, b listed) bool {
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		return string(x) == string(y)
	}
	var got []listed
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got = list(t.Context(), n, i); slices.EqualFunc(got, []listed{want}, same) {
			return
		}
	}
	t.Errorf("listed %+v, want %+v", got, want)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
