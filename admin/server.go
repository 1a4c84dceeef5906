package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluice-gateway/sluice/proxy"
)

// Server answers on the management address.
type Server struct {
	gateway *proxy.Gateway
	version string
	server  http.Server
	socket  net.Listener
	done    chan error

	explaining sync.Mutex // one explanation at a time
}

// Listen opens address and begins to answer. version is shown by status.
func Listen(address string, g *proxy.Gateway, version string, logger *slog.Logger) (*Server, error) {
	var lc net.ListenConfig
	socket, err := lc.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	s := &Server{gateway: g, version: version, socket: socket, done: make(chan error, 1)}
	s.server = http.Server{
		Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	go func() { s.done <- s.server.Serve(socket) }()
	return s, nil
}

// Address is where it answers.
func (s *Server) Address() net.Addr { return s.socket.Addr() }

// Shutdown lets running requests end until ctx does.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.server.Close())
	}
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func (s *Server) routes() http.Handler {
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		s.gateway.Metrics(), s.gateway.Discovered(), proxy.NewCollector(s.gateway),
	)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", index)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /api/v1/status", s.status)
	mux.HandleFunc("GET /api/v1/explain", s.explain)
	mux.HandleFunc("GET /api/v1/services", s.services)
	mux.HandleFunc("GET /api/v1/services/{name...}", s.service)
	return mux
}

func index(w http.ResponseWriter, _ *http.Request) {
	writeText(w, http.StatusOK, `Sluice's management address

/livez           the process runs
/readyz          traffic may come; says what it waits for
/metrics         Prometheus metrics
/api/v1/status   routes, services, instances, registries
/api/v1/explain  where a request goes, and why: ?method=GET&url=http://host/path&header=Name:value, ?request=ID or ?failed=20
/api/v1/services the services in use; below it, by name, one with all that is known of its instances
`)
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready bool `json:"ready"`
	// Waiting names what has not answered; when Ready it is what the gateway no longer waits for.
	Waiting []string `json:"waiting,omitempty"`
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	var r readiness
	r.Ready, r.Waiting = s.gateway.Ready()
	status := http.StatusOK
	if !r.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, r)
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, statusOf(s.gateway.Status(), s.version, time.Now()))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		writeText(w, http.StatusInternalServerError, err.Error()+"\n")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that has gone needs no answer
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}
