package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
)

// Config says what a Server serves.
type Config struct {
	Services []*Service
	// Payload is the longest request in bytes; a longer one is answered with an error. Default 8 MiB.
	Payload int
	// Logger; nil discards.
	Logger *slog.Logger
}

// Server answers Dubbo calls on any number of listeners.
type Server struct {
	cfg      Config
	services map[key]*service

	// ctx is what running calls get; it ends when the server stops waiting for them.
	ctx    context.Context //nolint:containedctx // the lifetime of the server's own goroutines
	cancel context.CancelFunc

	mu        sync.Mutex
	stopping  bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	// running counts calls; idle, once Shutdown has made it, is closed when there is none.
	running int
	idle    chan struct{}
	// tasks are connections, calls and the goroutines of Serve.
	tasks sync.WaitGroup
}

// key is how a request names a service.
type key struct{ path, group, version string }

// New checks the services and returns a server that does not listen yet.
func New(cfg Config) (*Server, error) {
	if cfg.Payload <= 0 {
		cfg.Payload = 8 << 20
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, services: map[key]*service{}, listeners: map[net.Listener]struct{}{}, conns: map[*conn]struct{}{}}
	for _, described := range cfg.Services {
		svc, err := compile(described)
		if err != nil {
			return nil, err
		}
		k := key{svc.Interface, svc.Group, svc.Version}
		if s.services[k] != nil {
			return nil, fmt.Errorf("service %s is there twice", svc.Interface)
		}
		s.services[k] = svc
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// ErrStopped is returned by Serve after Shutdown.
var ErrStopped = errors.New("provider is stopped")

// Serve answers calls on ln until Shutdown, and then returns ErrStopped, or until ln fails. It closes ln.
func (s *Server) Serve(ln net.Listener) error {
	if !s.add(ln) {
		_ = ln.Close()
		return ErrStopped
	}
	defer s.tasks.Done()
	for {
		nc, err := ln.Accept()
		if err != nil {
			if s.remove(ln) {
				return ErrStopped
			}
			return errors.Join(fmt.Errorf("accept: %w", err), ln.Close())
		}
		s.start(nc)
	}
}

func (s *Server) add(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.listeners[ln] = struct{}{}
	s.tasks.Add(1)
	return true
}

// remove forgets a listener and reports whether the server is stopping.
func (s *Server) remove(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
	return s.stopping
}

func (s *Server) start(nc net.Conn) {
	c := &conn{server: s, nc: nc}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		_ = nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.tasks.Go(func() {
		c.read()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	})
}

// Shutdown says goodbye as Dubbo does: clients are told that the provider becomes read-only, listeners close, calls that
// run and those that still come on open connections are answered until drain is closed or ctx ends, and then connections
// close. A nil drain closes them as soon as no call is running.
func (s *Server) Shutdown(ctx context.Context, drain <-chan struct{}) error {
	s.mu.Lock()
	s.stopping = true
	for ln := range s.listeners {
		_ = ln.Close()
	}
	farewell := frame.AppendEvent(nil, 0, frame.ReadOnly)
	for c := range s.conns {
		s.tasks.Go(func() { c.send(farewell) })
	}
	s.mu.Unlock()

	var err error
	if drain != nil {
		select {
		case <-drain:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	select {
	case <-s.whenIdle():
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	s.cancel()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.nc.Close()
	}
	s.mu.Unlock()
	s.tasks.Wait()
	return err
}

// enter counts a call in.
func (s *Server) enter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running++
}

// leave counts a call out.
func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running--; s.running == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// whenIdle gives a channel that is closed when no call is running.
func (s *Server) whenIdle() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	idle := make(chan struct{})
	if s.running == 0 {
		close(idle)
	} else {
		s.idle = idle
	}
	return idle
}
