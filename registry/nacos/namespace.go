package nacos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Where servers list their namespaces: Nacos 3 to administrators, Nacos 2 to anybody.
const (
	namespacesPathV3 = "/v3/admin/core/namespace/list"
	namespacesPathV2 = "/v1/console/namespaces"
)

// maxNamed bounds the namespaces that an error names.
const maxNamed = 10

// namespace is one that the server has.
type namespace struct {
	ID   string `json:"namespace"`
	Name string `json:"namespaceShowName"`
}

// checkNamespace says so if the namespace is none that the server knows. Nacos itself answers questions about a namespace
// that does not exist like those about an empty one, so that a name given instead of an id, or a typing error, looks like
// a registry without services.
func (s *session) checkNamespace() {
	defer s.spaceChecked.Store(true)
	c := s.client
	want := c.config.namespace()
	if want == "public" {
		return
	}
	if used, err := s.holdsServices(); used || err != nil {
		return // who may not ask is told so where the services are asked for
	}
	all, err := c.auth.namespaces(s.ctx)
	switch {
	case s.ctx.Err() != nil:
		return
	case err != nil:
		err = fmt.Errorf("namespace %q holds no service in groups %v, and whether it exists cannot be seen: %w (check that it is the namespace's id, not its name)",
			want, c.config.Groups, err)
	default:
		err = unknownNamespace(want, all)
	}
	if err != nil {
		c.opts.Logger.Warn("no services in Nacos", "error", err)
		c.opts.Report(c.stateNow(), err)
	}
}

// holdsServices reports whether any of the groups has a service.
func (s *session) holdsServices() (bool, error) {
	c := s.client
	for _, group := range c.config.Groups {
		var answer serviceListAnswer
		err := s.conn.call(s.ctx, typeServiceList, &serviceList{
			namingRequest: namingRequest{Module: "naming", Namespace: c.config.namespace(), GroupName: group},
			PageNo:        1, PageSize: 1,
		}, &answer)
		if err != nil || answer.Count > 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// unknownNamespace is nil if the namespace is among those of the server.
func unknownNamespace(want string, all []namespace) error {
	var named []string
	for _, n := range all {
		if n.ID == want {
			return nil
		}
		if n.Name == want {
			return fmt.Errorf("namespace %q does not exist: it is the name of the one whose id is %q, give the id", want, n.ID)
		}
		if n.ID != "" && len(named) < maxNamed {
			named = append(named, fmt.Sprintf("%q (%s)", clip(n.ID), clip(n.Name)))
		}
	}
	return fmt.Errorf("namespace %q does not exist; the server has %s", want, strings.Join(append(named, "public"), ", "))
}

// namespaces lists the server's namespaces.
func (a *auth) namespaces(ctx context.Context) ([]namespace, error) {
	a.mu.Lock()
	base, token := a.base, a.current
	a.mu.Unlock()
	var errs []error
	for _, path := range []string{namespacesPathV3, namespacesPathV2} {
		status, body, err := a.request(ctx, http.MethodGet, base+path, nil, token)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%s answers %d %s", base+path, status, http.StatusText(status))
		}
		if err == nil {
			var all []namespace
			if all, err = readNamespaces(body); err == nil {
				return all, nil
			}
			err = fmt.Errorf("read answer of %s: %w", base+path, err)
		}
		errs = append(errs, err)
	}
	return nil, errs[0]
}

// readNamespaces reads a list of namespaces. There is always one, public.
func readNamespaces(body []byte) ([]namespace, error) {
	var got struct {
		Data []namespace `json:"data"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return nil, err
	}
	if len(got.Data) == 0 {
		return nil, errors.New("it lists no namespace")
	}
	return got.Data, nil
}
