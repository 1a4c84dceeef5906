package health

import (
	"context"
	"crypto/tls"
	"net"
	"reflect"
	"strconv"

	"github.com/sluice-gateway/sluice/config"
)

// Subject is who is asked.
type Subject struct {
	// Address is host:port, where requests go.
	Address string
	// Secure is true for an instance that is reached by TLS by its own account.
	Secure bool
	// Interface, Group, Version and Path are those of a Dubbo instance.
	Interface, Group, Version, Path string
}

// Rule is how the instances of a service are asked. It never changes.
type Rule struct {
	check  config.HealthCheck
	secure *config.UpstreamTLS
	tls    *tls.Config // nil for clear text
	prober prober
}

// prober asks once. It is done when ctx ends, at the latest.
type prober interface {
	probe(ctx context.Context, s *Subject) error
}

// dialer connects; tests have their own.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// NewRule makes the rule of a service's section. tlsConfig is what the service's tls section names, loaded; nil is clear text.
func NewRule(check config.HealthCheck, section *config.UpstreamTLS, tlsConfig *tls.Config) *Rule {
	return newRule(check, section, tlsConfig, new(net.Dialer).DialContext)
}

func newRule(check config.HealthCheck, section *config.UpstreamTLS, tlsConfig *tls.Config, dial dialer) *Rule {
	r := &Rule{check: check, secure: section, tls: tlsConfig}
	switch check.Kind {
	case "http":
		r.prober = newHTTP(r, dial)
	case "grpc":
		r.prober = &grpcProbe{r, dial}
	case "dubbo":
		r.prober = &dubboProbe{r, check.Echo, dial}
	default:
		r.prober = &tcpProbe{r, dial}
	}
	return r
}

// same reports whether two rules ask alike.
func (r *Rule) same(o *Rule) bool {
	return reflect.DeepEqual(r.check, o.check) && reflect.DeepEqual(r.secure, o.secure)
}

// address is where a subject is asked.
func (r *Rule) address(s *Subject) string {
	if r.check.Port == 0 {
		return s.Address
	}
	host, _, err := net.SplitHostPort(s.Address)
	if err != nil {
		return s.Address
	}
	return net.JoinHostPort(host, strconv.Itoa(r.check.Port))
}

// tlsFor is how the subject is reached by TLS; nil is clear text.
func (r *Rule) tlsFor(s *Subject, protocols ...string) *tls.Config {
	var c *tls.Config
	switch {
	case r.tls != nil:
		c = r.tls.Clone()
	case s.Secure:
		c = &tls.Config{MinVersion: tls.VersionTLS12}
	default:
		return nil
	}
	if c.ServerName == "" {
		c.ServerName, _, _ = net.SplitHostPort(s.Address)
	}
	c.NextProtos = protocols
	return c
}
