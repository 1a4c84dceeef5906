package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol/http1"
	"github.com/sluice-gateway/sluice/protocol/http2"
	"github.com/sluice-gateway/sluice/proxy/certs"
)

// listener is one address that takes traffic.
type listener struct {
	config config.Listener
	socket net.Listener
	server *http1.Server
	http2  *http2.Server // gets the connections whose clients speak it

	// tls is nil while clients come in clear text. Both are replaced together by a reload, and read at each connection.
	tls     atomic.Pointer[certs.Store]
	unwatch context.CancelFunc // ends the watch of the certificates' files
}

// Accept implements net.Listener: what clients say first is TLS where the listener is set so.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.socket.Accept()
	if err != nil {
		return nil, err
	}
	if store := l.tls.Load(); store != nil {
		return tls.Server(c, store.Config()), nil
	}
	return c, nil
}

// Close implements net.Listener.
func (l *listener) Close() error { return l.socket.Close() }

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.socket.Addr() }

// loadCertificates reads those of every listener that has new ones.
func (g *Gateway) loadCertificates(wanted []config.Listener) (map[string]*certs.Store, error) {
	out := map[string]*certs.Store{}
	for _, cfg := range wanted {
		if cfg.TLS == nil {
			continue
		}
		if l := g.listeners[cfg.Address]; l != nil {
			if old := l.tls.Load(); old != nil && reflect.DeepEqual(old.Section(), *cfg.TLS) {
				out[cfg.Address] = old
				continue
			}
		}
		store, err := certs.Load(*cfg.TLS, []string{"h2", "http/1.1"}, g.logger.With("listener", cfg.Name))
		if err != nil {
			return nil, fmt.Errorf("listener %q: tls: %w", cfg.Name, err)
		}
		out[cfg.Address] = store
	}
	return out, nil
}

// forget ends the watch of the certificates' files; those that were read last stay in use.
func (l *listener) forget() {
	if l.unwatch != nil {
		l.unwatch()
		l.unwatch = nil
	}
}

// secure makes the listener's connections use store from now on; nil means clear text.
func (g *Gateway) secure(l *listener, store *certs.Store) {
	if l.tls.Load() == store {
		return
	}
	l.forget()
	l.tls.Store(store)
	if store == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.unwatch = cancel
	g.tasks.Go(func() { store.Run(ctx) })
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
func (g *Gateway) switchListeners(doc *config.Document, fresh []*listener, stores map[string]*certs.Store) {
	g.statusMu.Lock()
	defer g.statusMu.Unlock()
	wanted := map[string]bool{}
	for _, cfg := range doc.Listeners {
		wanted[cfg.Address] = true
		if l := g.listeners[cfg.Address]; l != nil {
			l.config = cfg
			g.secure(l, stores[cfg.Address])
			l.server.Configure(g.serverConfig(l))
			l.http2.Configure(g.http2Config(&cfg))
		}
	}
	for _, l := range fresh {
		l.http2 = http2.NewServer(&g.server, g.http2Config(&l.config))
		l.server = http1.NewServer(&g.server, g.serverConfig(l))
		g.listeners[l.config.Address] = l
		g.secure(l, stores[l.config.Address])
		g.tasks.Go(func() {
			// A gateway may be told to stop before this goroutine has begun.
			if err := l.server.Serve(l); err != nil && !errors.Is(err, http1.ErrServerClosed) {
				g.logger.Error("listener stopped", "listener", l.config.Name, "error", err)
			}
		})
	}
	for address, l := range g.listeners {
		if wanted[address] {
			continue
		}
		delete(g.listeners, address)
		l.forget()
		grace := doc.Shutdown.Grace
		g.tasks.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), grace)
			defer cancel()
			if err := l.shutdown(ctx); err != nil {
				g.logger.Warn("connections of a listener that was removed were cut", "listener", l.config.Name, "error", err)
			}
		})
	}
}

func (g *Gateway) stopListeners(ctx context.Context) error {
	errs := make(chan error, len(g.listeners))
	for _, l := range g.listeners {
		go func() { errs <- l.shutdown(ctx) }()
	}
	var all []error
	for range g.listeners {
		all = append(all, <-errs)
	}
	g.statusMu.Lock()
	defer g.statusMu.Unlock()
	for _, l := range g.listeners {
		l.forget()
	}
	clear(g.listeners)
	return errors.Join(all...)
}

// shutdown ends both servers of the listener side by side: clients of HTTP/2 are told which of their requests count.
func (l *listener) shutdown(ctx context.Context) error {
	other := make(chan error, 1)
	go func() { other <- l.http2.Shutdown(ctx) }()
	return errors.Join(l.server.Shutdown(ctx), <-other)
}

func (g *Gateway) http2Config(cfg *config.Listener) http2.ServerConfig {
	return http2.ServerConfig{
		Name: cfg.Name,
		Limits: http2.Limits{
			HeaderBytes: int(cfg.Limits.HeaderBytes), HeaderCount: cfg.Limits.HeaderCount, URIBytes: int(cfg.Limits.URIBytes),
			BodyBytes: int64(cfg.Limits.BodyBytes), Streams: cfg.Limits.Streams,
		},
		Timeouts: http2.Timeouts{
			Header: orNone(cfg.Timeouts.Header), Body: orNone(cfg.Timeouts.Body),
			Idle: orNone(cfg.Timeouts.Idle), Write: orNone(cfg.Timeouts.Write), MaxAge: orNone(cfg.Timeouts.ConnectionAge),
		},
		TrustedProxies: cfg.TrustedProxies,
		OnRefused:      g.server.refused,
		Logger:         g.logger.With("listener", cfg.Name),
	}
}

func (g *Gateway) serverConfig(l *listener) http1.ServerConfig {
	cfg := &l.config
	return http1.ServerConfig{
		HTTP2: l.http2.ServeConn,
		Name:  cfg.Name,
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
