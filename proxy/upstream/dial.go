package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol/dubbo"
	"github.com/sluice-gateway/sluice/protocol/http1"
	"github.com/sluice-gateway/sluice/protocol/http2"
	"github.com/sluice-gateway/sluice/proxy/balance"
)

// HTTP1 speaks HTTP/1.1: with TLS if the service says so, or the instance's protocol is "https".
func HTTP1() Dialer { return Dialer{Dial: dialHTTP1} }

func dialHTTP1(endpoint *discovery.Endpoint, s *Settings, _ *balance.Load) Client {
	cfg := http1.ClientConfig{
		Address: endpoint.ID, TLS: s.TLSConfig,
		MaxConnections: s.Connections.Max, MaxPending: s.Connections.Pending,
		IdleTimeout: s.Connections.Idle, MaxAge: s.Connections.Age,
		ConnectTimeout: s.Timeouts.Connect, ResponseTimeout: s.Timeouts.Response, BodyIdleTimeout: s.Timeouts.Idle,
		PreserveHost: s.PreserveHost,
	}
	if cfg.MaxPending == 0 {
		cfg.MaxPending = -1 // the document's 0 lets none wait; the client's has no bound
	}
	if cfg.TLS == nil && endpoint.Protocol == "https" {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return http1Client{http1.NewClient(cfg)}
}

type http1Client struct{ *http1.Client }

// Close implements Client; nothing has to be waited for.
func (c http1Client) Close(context.Context) error { return c.Client.Close() }

// HTTP2 speaks HTTP/2: with TLS if secure or the service says so, and by prior knowledge otherwise.
func HTTP2(secure bool) Dialer {
	return Dialer{Dial: func(endpoint *discovery.Endpoint, s *Settings, _ *balance.Load) Client {
		cfg := http2.ClientConfig{
			Address: endpoint.ID, TLS: s.TLSConfig,
			MaxConnections: s.Connections.Max, MaxPending: s.Connections.Pending,
			IdleTimeout: s.Connections.Idle, MaxAge: s.Connections.Age, PingInterval: pingInterval,
			ConnectTimeout: s.Timeouts.Connect, ResponseTimeout: s.Timeouts.Response, BodyIdleTimeout: s.Timeouts.Idle,
			PreserveHost: s.PreserveHost,
		}
		if cfg.MaxConnections == 0 {
			cfg.MaxConnections = mostHTTP2 // each takes many requests; an instance that allows few must not get one for each
		}
		if cfg.MaxPending == 0 {
			cfg.MaxPending = -1 // the document's 0 lets none wait; the client's has no bound
		}
		if cfg.TLS == nil && secure {
			cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		return http2Client{http2.NewClient(cfg)}
	}}
}

type http2Client struct{ *http2.Client }

// Close implements Client; requests that run end by themselves.
func (c http2Client) Close(context.Context) error { return c.Client.Close() }

// mostHTTP2 is how many connections of HTTP/2 an instance gets unless the document says another number.
const mostHTTP2 = 64

// pingInterval is the silence on a connection with requests after which the instance is asked whether it lives.
const pingInterval = 10 * time.Second

// Dubbo speaks the dubbo protocol. A provider's announcement of its stop reaches the balancer.
func Dubbo() Dialer {
	return Dialer{Dial: dialDubbo, Check: func(s *Settings) error {
		if s.TLSConfig != nil {
			return errors.New("the dubbo protocol is spoken without TLS")
		}
		return nil
	}}
}

func dialDubbo(endpoint *discovery.Endpoint, s *Settings, load *balance.Load) Client {
	return dubbo.NewClient(dubbo.ClientConfig{
		Address: endpoint.ID, Group: endpoint.Group, Version: endpoint.Version, Path: endpoint.Path,
		ConnectTimeout: s.Timeouts.Connect, OnDrain: load.SetDraining,
	})
}

// loadTLS reads the files that a service's section names.
func loadTLS(c *config.UpstreamTLS) (*tls.Config, error) {
	if c == nil {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s holds no certificate", c.CA)
		}
	}
	if c.Cert != "" || c.Key != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("cert: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}
