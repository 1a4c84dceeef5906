package testbed

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// DeleteService removes a service that has no instances; the server itself does so after a minute.
func (n *Nacos) DeleteService(ctx context.Context, group, service string) error {
	form := Instance{Group: group, Service: service}.serviceForm()
	if err := n.do(ctx, http.MethodDelete, "/v3/admin/ns/service", form); err != nil {
		return fmt.Errorf("delete service %s: %w", service, err)
	}
	return nil
}

// Hosts is the server's own list of a service's instances, as JSON.
func (n *Nacos) Hosts(ctx context.Context, group, service string) (string, error) {
	answer, err := n.call(ctx, http.MethodGet, "/v3/admin/ns/instance/list", Instance{Group: group, Service: service}.serviceForm())
	if err != nil {
		return "", fmt.Errorf("list %s: %w", service, err)
	}
	return string(answer), nil
}

// ResetConnections asks every client that is connected by gRPC to connect again, as an operator does to spread them over
// a cluster; address, if not empty, is where to.
func (n *Nacos) ResetConnections(ctx context.Context, address string) error {
	answer, err := n.call(ctx, http.MethodGet, "/v3/admin/core/loader/current", nil)
	if err != nil {
		return fmt.Errorf("list connections: %w", err)
	}
	var current struct {
		Data map[string]json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(answer, &current); err != nil {
		return fmt.Errorf("list connections: %w", err)
	}
	for id := range current.Data {
		form := url.Values{"connectionId": {id}, "redirectAddress": {address}}
		if err := n.do(ctx, http.MethodPost, "/v3/admin/core/loader/reloadClient", form); err != nil {
			return fmt.Errorf("reset connection %s: %w", id, err)
		}
	}
	return nil
}

// CreateUser adds a user who has no rights.
func (n *Nacos) CreateUser(ctx context.Context, name, password string) error {
	if err := n.do(ctx, http.MethodPost, "/v3/auth/user", url.Values{"username": {name}, "password": {password}}); err != nil {
		return fmt.Errorf("create user %s: %w", name, err)
	}
	return nil
}

// Login gets the administrator a new token, which is needed after the secret that signs tokens was changed.
func (n *Nacos) Login(ctx context.Context) (err error) {
	n.token, err = n.login(ctx)
	return err
}
