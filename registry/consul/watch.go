package consul

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/sluice-gateway/sluice/registry"
)

// The pauses between two answers about one service: a storm of changes is merged, and a service that Consul wakes us for in
// vain (one that does not exist is woken by every other's changes) is asked for less often.
const (
	leastPause = 10 * time.Millisecond
	mostPause  = 200 * time.Millisecond
)

// Watch reports every instance of one service: of Kind Dubbo those that Dubbo 2.7 registers by interface, of Kind Plain all.
func (c *consul) Watch(ctx context.Context, service registry.ServiceName, push func(registry.Snapshot)) error {
	if err := checkName(service.Name); err != nil {
		return fmt.Errorf("watch %s: %w", service, err)
	}
	tags := c.config.Tags
	read := c.plain
	if service.Kind == registry.Dubbo {
		tags = append([]string{dubboTag}, tags...)
		read = c.dubboInstance
	}
	empty := false
	return follow(ctx, c, &question[[]*api.ServiceEntry]{
		what: "service " + service.String(), least: leastPause, most: mostPause,
		ask: func(s *session, o *api.QueryOptions) ([]*api.ServiceEntry, *api.QueryMeta, error) {
			return s.api.Health().ServiceMultipleTags(service.Name, tags, false, o)
		},
		accept: func(ctx context.Context, s *session, entries []*api.ServiceEntry, meta *api.QueryMeta, first bool) (bool, error) {
			if err := s.complete(ctx, service.Name, len(entries) == 0, meta); err != nil {
				return false, err
			}
			if empty && len(entries) == 0 && !first {
				return false, nil
			}
			empty = len(entries) == 0
			push(snapshot(service, entries, read))
			return true, nil
		},
	})
}

// complete refuses an answer from which the server's ACLs took something away.
func (s *session) complete(ctx context.Context, service string, empty bool, meta *api.QueryMeta) error {
	if meta.ResultsFilteredByACLs {
		return &filtered{s.consul.config.tokenField()}
	}
	if !empty || s.wire.token != "" || !s.wire.denies.Load() {
		return nil
	}
	// An anonymous caller is shown nothing, without a word, where the ACLs deny by default.
	ctx, done := s.begin(ctx, s.consul.config.Timeouts.Request)
	defer done()
	allowed, err := s.wire.allowed(ctx, s.at, service)
	if err == nil && !allowed {
		err = errAnonymous
	}
	return err
}

// filtered is an answer that is not all there is.
type filtered struct{ field string }

func (f *filtered) Error() string {
	return "the ACLs hide a part of the answer, which is not used (the token of " + f.field + " needs service:read on the service and node:read on its nodes)"
}

var errAnonymous = errors.New("the answer is empty, but the ACLs hide everything from anonymous callers (set token or tokenFile)")

// checkName refuses what is no service, or would be another path of the API.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case name == "." || name == "..":
		return fmt.Errorf("%q is no name of a service", name)
	case len(name) > 512:
		return fmt.Errorf("the name of %d bytes is longer than 512", len(name))
	case strings.Contains(name, "/"):
		return fmt.Errorf("the name %q holds a slash, which Consul's HTTP API cannot be asked for", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }):
		return fmt.Errorf("the name %q holds control characters", name)
	}
	return nil
}
