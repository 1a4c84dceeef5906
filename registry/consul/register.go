package consul

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/sluice-gateway/sluice/registry"
)

const (
	// ttl is how long the agent believes in us without a word, where it has no URL to ask.
	ttl = 15 * time.Second
	// beat is how often we look whether we still stand there.
	beat = 5 * time.Second
	// checkEvery is how often the agent asks our health's URL.
	checkEvery = 10 * time.Second
	// forgetAfter is when the agent drops a registration that fails its check; Consul knows no less.
	forgetAfter = time.Minute
)

// Register announces r at the agent that the session is with: again when the agent has lost it, at the next agent when the
// session moves there, and withdraws it from each of them at the end. Its check is the agent's own HTTP request to
// r.HealthURL, or without one a TTL that is renewed here.
func (c *consul) Register(ctx context.Context, r registry.Registration, report func(error)) error {
	what, err := announcement(r)
	if err != nil {
		return fmt.Errorf("register %s: %w", r.Service, err)
	}
	a := &announcing{consul: c, service: what, ttl: r.HealthURL == "", report: report, at: map[endpoint]bool{}}
	for {
		s := c.await(ctx)
		if s == nil {
			break
		}
		a.run(ctx, s)
	}
	a.withdraw(context.WithoutCancel(ctx))
	return nil
}

// announcing is one registration.
type announcing struct {
	consul  *consul
	service *api.AgentServiceRegistration
	ttl     bool
	report  func(error)
	at      map[endpoint]bool // where it was announced, or may have been
}

// run keeps the registration at one agent until ctx or the session ends.
func (a *announcing) run(ctx context.Context, s *session) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(s.ctx, cancel)
	defer stop()
	a.at[s.at] = true
	registered, delay := false, firstDelay
	for ctx.Err() == nil {
		err := a.step(ctx, s, &registered)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			delay = firstDelay
			sleep(ctx, beat)
			continue
		}
		reach, err := a.consul.config.advise(err)
		if reach == ofServer || reach == ofToken {
			s.suspect(err)
		}
		a.report(fmt.Errorf("%s: register %s: %w", s.at, a.service.Name, err))
		sleep(ctx, delay/2+rand.N(delay/2))
		delay = min(2*delay, lastDelay)
	}
}

// step announces, or looks whether what was announced still stands.
func (a *announcing) step(ctx context.Context, s *session, registered *bool) error {
	ctx, done := s.begin(ctx, a.consul.config.Timeouts.Request)
	defer done()
	if *registered {
		stands, err := a.stands(ctx, s.api)
		if err != nil || stands {
			return err
		}
		*registered = false
	}
	options := api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx)
	if err := s.api.Agent().ServiceRegisterOpts(a.service, options); err != nil {
		return err
	}
	*registered = true
	a.report(nil)
	return nil
}

// stands asks the agent whether it knows the registration, and renews the TTL.
func (a *announcing) stands(ctx context.Context, client *api.Client) (bool, error) {
	options := (&api.QueryOptions{}).WithContext(ctx)
	var err error
	if a.ttl {
		err = client.Agent().UpdateTTLOpts("service:"+a.service.ID, "", api.HealthPassing, options)
	}
	if err == nil {
		_, _, err = client.Agent().Service(a.service.ID, options)
	}
	var refused api.StatusError
	if errors.As(err, &refused) && refused.Code == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// withdraw takes the registration back from every agent. The session may have ended, so it makes ones of its own.
func (a *announcing) withdraw(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, registry.WithdrawTimeout)
	defer cancel()
	for at := range a.at {
		for ctx.Err() == nil {
			err := a.withdrawAt(ctx, at)
			if err == nil {
				break
			}
			_, err = a.consul.config.advise(err)
			a.report(fmt.Errorf("%s: withdraw %s: %w", at, a.service.Name, err))
			sleep(ctx, 200*time.Millisecond)
		}
	}
}

func (a *announcing) withdrawAt(ctx context.Context, at endpoint) error {
	token, err := a.consul.config.readToken()
	if err != nil {
		return err
	}
	s, err := a.consul.session(ctx, at, token)
	if err != nil {
		return err
	}
	defer s.close()
	err = s.api.Agent().ServiceDeregisterOpts(a.service.ID, (&api.QueryOptions{}).WithContext(ctx))
	var refused api.StatusError
	if errors.As(err, &refused) && refused.Code == http.StatusNotFound {
		return nil // it is not there
	}
	return err
}

// announcement is the registration as Consul wants it. Consul takes 64 keys of Meta, of letters, digits, - and _, at most 128
// bytes long and with values of at most 512; what does not fit becomes a tag "k=v".
func announcement(r registry.Registration) (*api.AgentServiceRegistration, error) {
	if err := checkName(r.Service.Name); err != nil {
		return nil, err
	}
	if r.Service.Kind != registry.Plain {
		return nil, errors.New("only ordinary services can be registered")
	}
	if err := r.Instance.Validate(); err != nil {
		return nil, err
	}
	if err := checkName(r.ID); err != nil {
		return nil, fmt.Errorf("id: %w", err)
	}
	a := &api.AgentServiceRegistration{
		ID: r.ID, Name: r.Service.Name, Address: r.Instance.Host, Port: r.Instance.Port,
		Meta: map[string]string{},
		// Consul has whole weights from 1.
		Weights: &api.AgentWeights{Passing: int(min(max(math.Round(r.Instance.Weight), 1), 65535)), Warning: 1},
	}
	all := maps.Clone(r.Instance.Metadata)
	if all == nil {
		all = map[string]string{}
	}
	for key, value := range map[string]string{"protocol": r.Instance.Protocol, "zone": r.Instance.Zone} {
		if value != "" {
			all[key] = value
		}
	}
	if r.Instance.Protocol == "https" {
		all["secure"] = "true" // Spring Cloud's word for it
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		switch value := all[key]; {
		case key == tagsKey:
			a.Tags = append(a.Tags, strings.Split(value, ",")...)
		case len(a.Meta) < 64 && metaKey(key) && len(value) <= 512:
			a.Meta[key] = value
		default:
			a.Tags = append(a.Tags, key+"="+value)
		}
	}
	a.Check = &api.AgentServiceCheck{
		CheckID: "service:" + r.ID, Name: "gateway", Status: api.HealthPassing,
		DeregisterCriticalServiceAfter: forgetAfter.String(),
	}
	if r.HealthURL == "" {
		a.Check.TTL = ttl.String()
	} else {
		a.Check.HTTP, a.Check.Interval, a.Check.Timeout = r.HealthURL, checkEvery.String(), "3s"
	}
	return a, nil
}

// metaKey reports whether Consul takes a key of Meta.
func metaKey(key string) bool {
	return key != "" && len(key) <= 128 && !strings.HasPrefix(key, "consul-") && !strings.ContainsFunc(key, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}
