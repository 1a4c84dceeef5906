package nacos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// instanceRequest registers or deregisters an instance that lives as long as the connection. A server keeps one of a
// service for each connection: a later one replaces it.
type instanceRequest struct {
	namingRequest
	Type     string   `json:"type"`
	Instance instance `json:"instance"`
}

const (
	registerInstance   = "registerInstance"
	deregisterInstance = "deregisterInstance"
)

// instance is what we say of ourselves.
type instance struct {
	IP          string            `json:"ip"`
	Port        int               `json:"port"`
	Weight      float64           `json:"weight"`
	Healthy     bool              `json:"healthy"`
	Enabled     bool              `json:"enabled"`
	Ephemeral   bool              `json:"ephemeral"`
	ClusterName string            `json:"clusterName"`
	Metadata    map[string]string `json:"metadata"`
}

// registration is the subject of an instance of ours. It lives in the server as long as the connection, so it is
// announced again over each new one, as everything else is asked for again.
type registration struct {
	subjectState
	client   *client
	key      serviceKey
	instance instance
	report   func(error)
	gone     chan struct{} // closed when it was withdrawn, or there is nobody left to withdraw it from
}

func (g *registration) String() string { return "registration of " + g.key.group + "@@" + g.key.name }

// Register implements registry.Registrar: an ephemeral instance over the connection that everything else uses too. A
// service without a group is in the first one that is configured.
func (c *client) Register(ctx context.Context, r registry.Registration, report func(error)) error {
	g, err := c.newRegistration(r, report)
	if err != nil {
		return fmt.Errorf("register %s: %w", r.Service, err)
	}
	c.mu.Lock()
	if c.ours[g.key] != nil {
		c.mu.Unlock()
		return fmt.Errorf("register %s: it is registered already, and Nacos keeps one instance of a service for each connection", r.Service)
	}
	c.ours[g.key] = g
	c.mu.Unlock()
	asked := false
	c.follow(ctx, func(sc *scope) {
		c.mu.Lock()
		defer c.mu.Unlock()
		sc.read(g)
		asked = true
	})
	if !asked { // ctx had ended before anything was said
		c.mu.Lock()
		g.forget()
		c.mu.Unlock()
	}
	select {
	case <-g.gone:
	case <-time.After(registry.WithdrawTimeout):
	}
	return nil
}

func (c *client) newRegistration(r registry.Registration, report func(error)) (*registration, error) {
	key := serviceKey{cmp.Or(r.Service.Group, c.config.Groups[0]), r.Service.Name}
	if r.Service.Kind != registry.Plain {
		return nil, errors.New("only services named by an application can be registered")
	}
	if err := errors.Join(checkName(key.name), checkName(key.group), r.Instance.Validate()); err != nil {
		return nil, err
	}
	metadata := maps.Clone(r.Instance.Metadata)
	if metadata == nil {
		metadata = map[string]string{}
	}
	if r.Instance.Zone != "" && metadata["zone"] == "" {
		metadata["zone"] = r.Instance.Zone
	}
	if r.Instance.Protocol == "https" { // as Spring Cloud says it
		metadata["secure"] = "true"
	}
	g := &registration{
		client: c, key: key, report: report, gone: make(chan struct{}),
		instance: instance{
			IP: r.Instance.Host, Port: r.Instance.Port, Weight: r.Instance.Weight, Metadata: metadata,
			Healthy: !r.Instance.Unhealthy, Enabled: !r.Instance.Disabled, Ephemeral: true, ClusterName: defaultCluster,
		},
	}
	g.forget = sync.OnceFunc(func() {
		delete(c.ours, key)
		close(g.gone)
	})
	return g, nil
}

func (g *registration) sync(ctx context.Context, s *session) error {
	err := g.ask(ctx, s, registerInstance)
	switch {
	case err == nil:
		g.report(nil)
	case s.ctx.Err() == nil:
		g.report(g.client.config.adviseRefusal(fmt.Errorf("%s: %w", g, err), "write"))
	}
	return err
}

func (g *registration) leave(ctx context.Context, s *session) error {
	return g.ask(ctx, s, deregisterInstance)
}

func (g *registration) ask(ctx context.Context, s *session, what string) error {
	return s.conn.call(ctx, typeInstance, &instanceRequest{
		namingRequest: namingRequest{"naming", g.client.config.namespace(), g.key.group, g.key.name},
		Type:          what, Instance: g.instance,
	}, &answerHead{})
}
