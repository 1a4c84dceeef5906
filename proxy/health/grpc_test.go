package health

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/sluice-gateway/sluice/config"
)

// grpcServer runs a real server and returns its address.
func grpcServer(t *testing.T, register func(*grpc.Server), options ...grpc.ServerOption) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(options...)
	register(s)
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { s.Stop(); tasks.Wait() })
	return l.Addr().String()
}

func TestGRPC(t *testing.T) {
	h := health.NewServer()
	h.SetServingStatus("orders", grpc_health_v1.HealthCheckResponse_SERVING)
	h.SetServingStatus("users", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	address := grpcServer(t, func(s *grpc.Server) { grpc_health_v1.RegisterHealthServer(s, h) })
	for service, text := range map[string]string{
		"": "", "orders": "", "users": "answered NOT_SERVING", "stock": `the server's health service does not know "stock"`,
	} {
		r := NewRule(section("grpc", func(h *config.HealthCheck) { h.Service = service }), nil, nil)
		want(t, service, ask(t, r, Subject{Address: address}), text)
	}
	h.Shutdown()
	want(t, "shutting down", ask(t, NewRule(section("grpc", nil), nil, nil), Subject{Address: address}), "answered NOT_SERVING")
	bare := grpcServer(t, func(*grpc.Server) {})
	want(t, "no health service", ask(t, NewRule(section("grpc", nil), nil, nil), Subject{Address: bare}), "has no health service (grpc.health.v1.Health)")
	want(t, "nobody", ask(t, NewRule(section("grpc", nil), nil, nil), Subject{Address: refusing(t)}), "connection refused")
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	want(t, "a web server", ask(t, NewRule(section("grpc", nil), nil, nil), Subject{Address: web.Listener.Addr().String()}), "looked like an HTTP/1.1 header")
}

// odd answers health checks as it likes.
type odd struct {
	grpc_health_v1.UnimplementedHealthServer
	check func(ctx context.Context) (*grpc_health_v1.HealthCheckResponse, error)
}

func (o *odd) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return o.check(ctx)
}

func TestGRPCHost(t *testing.T) {
	var authority, agent string
	address := grpcServer(t, func(s *grpc.Server) {
		grpc_health_v1.RegisterHealthServer(s, &odd{check: func(ctx context.Context) (*grpc_health_v1.HealthCheckResponse, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			authority, agent = strings.Join(md[":authority"], " "), strings.Join(md["user-agent"], " ")
			return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
		}})
	})
	r := NewRule(section("grpc", func(h *config.HealthCheck) { h.Host = "orders.example" }), nil, nil)
	if err := ask(t, r, Subject{Address: address}); err != nil || authority != "orders.example" || !strings.HasPrefix(agent, "Sluice-Health-Check") {
		t.Errorf("%q %q %v", authority, agent, err)
	}
}

func TestGRPCOverTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.StartTLS()
	pair := s.TLS.Certificates[0]
	certificate := s.Certificate()
	s.Close()
	address := grpcServer(t, func(s *grpc.Server) { grpc_health_v1.RegisterHealthServer(s, health.NewServer()) },
		grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})))
	trusting := &tls.Config{RootCAs: poolOf(certificate), MinVersion: tls.VersionTLS12}
	want(t, "trusted", ask(t, NewRule(section("grpc", nil), nil, trusting), Subject{Address: address}), "")
	want(t, "untrusted", ask(t, NewRule(section("grpc", nil), nil, nil), Subject{Address: address, Secure: true}), "certificate")
	want(t, "clear text", ask(t, NewRule(section("grpc", nil), nil, nil), Subject{Address: address}), "error reading server preface")
	named := trusting.Clone()
	named.ServerName = "example.com" // as httptest's certificate is called, among others
	r := NewRule(section("grpc", func(h *config.HealthCheck) { h.Host = "orders.internal" }), nil, named)
	want(t, "one name for the certificate, another for the request", ask(t, r, Subject{Address: address}), "")
	named.ServerName = "example.net"
	want(t, "another name", ask(t, r, Subject{Address: address}), "not example.net")
}

func TestHostileGRPC(t *testing.T) {
	brief := func(h *config.HealthCheck) { h.Timeout = 300 * time.Millisecond }
	hanging := grpcServer(t, func(s *grpc.Server) {
		grpc_health_v1.RegisterHealthServer(s, &odd{check: func(ctx context.Context) (*grpc_health_v1.HealthCheckResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
	})
	want(t, "hangs", ask(t, NewRule(section("grpc", brief), nil, nil), Subject{Address: hanging}), "deadline exceeded")
	want(t, "never answers", ask(t, NewRule(section("grpc", brief), nil, nil), Subject{Address: silent(t).address}), "deadline exceeded")
	p := startPeer(t, func(c net.Conn, p *peer) { p.flood(c, "\x00\x00\x00\x04\x00\x00\x00\x00\x00") }) // settings without end
	want(t, "floods", ask(t, NewRule(section("grpc", brief), nil, nil), Subject{Address: p.address}), "deadline exceeded")
	long := grpcServer(t, func(s *grpc.Server) {
		grpc_health_v1.RegisterHealthServer(s, &odd{check: func(context.Context) (*grpc_health_v1.HealthCheckResponse, error) {
			m := &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}
			m.ProtoReflect().SetUnknown(append([]byte{0x7a, 0x80, 0x80, 0x04}, make([]byte, 64<<10)...)) // field 15: 64 KB
			return m, nil
		}})
	})
	want(t, "a long answer", ask(t, NewRule(section("grpc", nil), nil, nil), Subject{Address: long}), "received message larger than max")
}
