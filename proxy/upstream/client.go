package upstream

import (
	"context"
	"crypto/tls"
	"sync"
	"sync/atomic"

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

// picking is how instances are chosen among.
func (s *Settings) picking() balance.Config {
	b := &s.Balance
	return balance.Config{Policy: b.Policy, SlowStart: b.SlowStart, Zone: b.Zone}
}

// Dialer is how one wire protocol is spoken.
type Dialer struct {
	// Check says why a service treated like this cannot be spoken to; nil means that every one can.
	Check func(settings *Settings) error
	// Dial builds the client of one instance, with its first request. load is the instance's, for clients that learn of
	// their server's leaving. It does not connect.
	Dial func(endpoint *discovery.Endpoint, settings *Settings, load *balance.Load) Client
}

// connector makes the client of one instance when a request first needs it: most of a large registry's instances are
// never asked by this gateway.
type connector struct {
	dialer   *Dialer
	settings *Settings
	store    *Store // of which it is one of the open connectors while it has a client

	made   atomic.Pointer[Client]
	mu     sync.Mutex
	closed bool
}

// client is the instance's. After close it is nil, if there was none by then.
func (c *connector) client(endpoint *discovery.Endpoint, load *balance.Load) Client {
	if made := c.made.Load(); made != nil {
		return *made
	}
	return c.make(endpoint, load)
}

func (c *connector) make(endpoint *discovery.Endpoint, load *balance.Load) Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if made := c.made.Load(); made != nil {
		return *made
	}
	if c.closed {
		return nil
	}
	made := c.dialer.Dial(endpoint, c.settings, load)
	c.made.Store(&made)
	c.store.opened(c)
	return made
}

func (c *connector) close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	if made := c.made.Load(); made != nil {
		c.store.shut(c)
		return (*made).Close(ctx)
	}
	return nil
}

func (c *connector) sweep(now int64) {
	if made := c.made.Load(); made != nil {
		if sweeper, ok := (*made).(Sweeper); ok {
			sweeper.Sweep(now)
		}
	}
}
