package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol/http1"
)

// listener is one address that takes traffic.
type listener struct {
	config config.Listener
	socket net.Listener
	server *http1.Server
}

// bind opens the addresses that are new in the document. Nothing is accepted yet.
func (g *Gateway) bind(wanted []config.Listener) ([]*listener, error) {
	var fresh []*listener
	for _, cfg := range wanted {
		if g.listeners[cfg.Address] != nil {
			continue
		}
		var lc net.ListenConfig
		socket, err := lc.Listen(context.Background(), "tcp", cfg.Address)
		if err != nil {
			closeListeners(fresh)
			return nil, fmt.Errorf("listener %q: %w", cfg.Name, err)
		}
		fresh = append(fresh, &listener{config: cfg, socket: socket})
	}
	return fresh, nil
}

func closeListeners(list []*listener) {
	for _, l := range list {
		_ = l.socket.Close()
	}
}

// switchListeners makes the document's listeners the ones that serve.
func (g *Gateway) switchListeners(doc *config.Document, fresh []*listener) {
	g.statusMu.Lock()
	defer g.statusMu.Unlock()
	wanted := map[string]bool{}
	for _, cfg := range doc.Listeners {
		wanted[cfg.Address] = true
		if l := g.listeners[cfg.Address]; l != nil {
			l.config = cfg
			l.server.Configure(g.serverConfig(&cfg))
		}
	}
	for _, l := range fresh {
		l.server = http1.NewServer(&g.server, g.serverConfig(&l.config))
		g.listeners[l.config.Address] = l
		g.tasks.Go(func() {
			// A gateway may be told to stop before this goroutine has begun.
			if err := l.server.Serve(l.socket); err != nil && !errors.Is(err, http1.ErrServerClosed) {
				g.logger.Error("listener stopped", "listener", l.config.Name, "error", err)
			}
		})
	}
	for address, l := range g.listeners {
		if wanted[address] {
			continue
		}
		delete(g.listeners, address)
		grace := doc.Shutdown.Grace
		g.tasks.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), grace)
			defer cancel()
			if err := l.server.Shutdown(ctx); err != nil {
				g.logger.Warn("connections of a listener that was removed were cut", "listener", l.config.Name, "error", err)
			}
		})
	}
}

func (g *Gateway) stopListeners(ctx context.Context) error {
	errs := make(chan error, len(g.listeners))
	for _, l := range g.listeners {
		go func() { errs <- l.server.Shutdown(ctx) }()
	}
	var all []error
	for range g.listeners {
		all = append(all, <-errs)
	}
	g.statusMu.Lock()
	defer g.statusMu.Unlock()
	clear(g.listeners)
	return errors.Join(all...)
}

func (g *Gateway) serverConfig(cfg *config.Listener) http1.ServerConfig {
	return http1.ServerConfig{
		Name: cfg.Name,
		Limits: http1.Limits{
			HeaderBytes: int(cfg.Limits.HeaderBytes), HeaderCount: cfg.Limits.HeaderCount, URIBytes: int(cfg.Limits.URIBytes),
			BodyBytes: int64(cfg.Limits.BodyBytes), Connections: cfg.Limits.Connections,
		},
		Timeouts: http1.Timeouts{
			Header: orNone(cfg.Timeouts.Header), Body: orNone(cfg.Timeouts.Body),
			Idle: orNone(cfg.Timeouts.Idle), Write: orNone(cfg.Timeouts.Write),
		},
		TrustedProxies: cfg.TrustedProxies,
		OnRefused:      g.server.refused,
		Logger:         g.logger.With("listener", cfg.Name),
	}
}

// orNone turns the document's "0 is no limit" into the engine's, where 0 is the default.
func orNone(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// Address returns where a listener takes traffic, for those that were given port 0.
func (g *Gateway) Address(name string) net.Addr {
	g.statusMu.Lock()
	defer g.statusMu.Unlock()
	for _, l := range g.listeners {
		if l.config.Name == name {
			return l.socket.Addr()
		}
	}
	return nil
}
