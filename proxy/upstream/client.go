package upstream

import (
	"context"
	"crypto/tls"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
)

// Client serves requests at one instance. It connects when it is first needed.
type Client interface {
	protocol.Handler
	// Close gives idle connections up now and busy ones when their exchange ends. It may wait for that, but no longer than
	// ctx lives.
	Close(ctx context.Context) error
}

// Sweeper is implemented by clients that want to look after idle connections now and then.
type Sweeper interface {
	// Sweep is called about once a second; now is protocol.Now's.
	Sweep(now int64)
}

// Settings say how a service is treated.
type Settings struct {
	config.Service
	// TLSConfig is what Service.TLS names, loaded. Nil when it names nothing.
	TLSConfig *tls.Config
}

// Dialer builds the client of one instance of one wire protocol. load is the instance's, for clients that learn of their
// server's leaving. It must not connect: it runs while a registry's push is applied.
type Dialer func(endpoint *discovery.Endpoint, settings *Settings, load *balance.Load) (Client, error)
