package conformance

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/consul"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// consulMaster is the token of management where there are ACLs.
const consulMaster = "00000000-0000-4000-8000-00000000beef"

func consulKind() *kind {
	return &kind{
		name:    "consul",
		empty:   func() registry.Config { return consul.Default() },
		share:   func() (server, func(), error) { return testbed.SharedConsul() },
		begin:   func(t testing.TB) server { return testbed.StartConsul(t, testbed.WithData()) },
		open:    openConsul,
		secure:  secureConsul,
		cluster: consulCluster,
		encrypt: func(t testing.TB, ca *testbed.CA) *bed {
			c := testbed.StartConsul(t, testbed.WithHTTPS(ca))
			b := openConsul(t, c)
			b.server, b.addresses = c, []string{c.TLSAddr()}
			return b
		},
		has: traits{weight: true, disabled: true, unhealthy: true, list: true, forgets: true, keeps: true, revocable: true},
	}
}

func openConsul(t testing.TB, s server) *bed {
	c := s.(*testbed.Consul)
	return &bed{writer: consulWriterTo(t, c.Addr(), c.Token()), addresses: []string{c.Addr()}, section: consulSection}
}

func consulSection(addresses []string, _ string) string {
	return fmt.Sprintf("type: consul, addresses: [%s], timeouts: {keepAlive: 2s, request: 3s}", strings.Join(quoted(addresses), ", "))
}

// secureConsul makes a token that may read, and can be taken away.
func secureConsul(t testing.TB) *secured {
	t.Helper()
	k := consulKind()
	c := testbed.StartConsul(t, testbed.WithACL(consulMaster))
	b := k.open(t, c)
	b.kind, b.server = k, c
	acl := b.writer.(*consulWriter).client.ACL()
	policy, _, err := acl.PolicyCreate(&api.ACLPolicy{
		Name:  "gateway",
		Rules: `service_prefix "" { policy = "read" } node_prefix "" { policy = "read" } agent_prefix "" { policy = "read" }`,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := acl.TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &secured{
		bed: b, good: ", token: " + token.SecretID, bad: ", token: 00000000-0000-4000-8000-00000000dead",
		revoke: func() error {
			_, err := acl.TokenDelete(token.AccessorID, nil)
			return err
		},
	}
}

// consulCluster writes and reads at a server that does not lead.
func consulCluster(t testing.TB) *cluster {
	t.Helper()
	servers := testbed.StartConsulCluster(t)
	leader, err := servers.Leader(t.Context(), servers.Nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	var other *testbed.Consul
	for _, n := range servers.Nodes {
		addresses = append(addresses, n.Addr())
		if n != leader {
			other = n
		}
	}
	b := openConsul(t, other)
	b.kind, b.server, b.addresses = consulKind(), other, addresses
	return &cluster{bed: b, killLeader: func() { leader.Kill() }, restore: leader.Restart}
}

// consulWriter registers with an agent, with a check that nobody renews within a test.
type consulWriter struct {
	client *api.Client

	mu         sync.Mutex
	maintained map[string]bool
}

func consulWriterTo(t testing.TB, address, token string) *consulWriter {
	t.Helper()
	client, err := api.NewClient(&api.Config{
		Address: address, Token: token,
		HttpClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &consulWriter{client: client, maintained: map[string]bool{}}
}

func (w *consulWriter) renew(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.maintained)
	return nil
}

func (w *consulWriter) put(ctx context.Context, e entry) error {
	health := api.HealthPassing
	if e.unhealthy {
		health = api.HealthCritical
	}
	service := &api.AgentServiceRegistration{
		ID: e.service + "@" + e.address(), Name: e.service, Address: e.host, Port: e.port,
		Meta:    map[string]string{"who": e.who},
		Weights: &api.AgentWeights{Passing: int(cmp.Or(e.weight, 1)), Warning: 1},
		Check:   &api.AgentServiceCheck{TTL: "2h", Status: health},
	}
	if err := w.client.Agent().ServiceRegisterOpts(service, api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx)); err != nil {
		return err
	}
	// A check keeps its state when its service is registered again, and loses it with the agent unless it was told.
	if err := w.client.Agent().UpdateTTLOpts("service:"+service.ID, "", health, (&api.QueryOptions{}).WithContext(ctx)); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	switch {
	case e.disabled:
		err = w.client.Agent().EnableServiceMaintenanceOpts(service.ID, "out of service", (&api.QueryOptions{}).WithContext(ctx))
	case w.maintained[service.ID]:
		err = w.client.Agent().DisableServiceMaintenanceOpts(service.ID, (&api.QueryOptions{}).WithContext(ctx))
	}
	w.maintained[service.ID] = e.disabled
	return err
}

// remove takes a service that the agent does not know for one that is gone.
func (w *consulWriter) remove(ctx context.Context, e entry) error {
	err := w.client.Agent().ServiceDeregisterOpts(e.service+"@"+e.address(), (&api.QueryOptions{}).WithContext(ctx))
	if err != nil && strings.Contains(err.Error(), "Unknown service ID") {
		return nil
	}
	return err
}
