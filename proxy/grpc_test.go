package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

// grpcServer is a real gRPC server whose health service says what the test wants.
func grpcServer(t *testing.T) (*health.Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, h := grpc.NewServer(), health.NewServer()
	healthpb.RegisterHealthServer(s, h)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return h, l.Addr().String()
}

// TestGRPC: unary calls, errors, streams and deadlines pass, routed by service and method.
func TestGRPC(t *testing.T) {
	h, address := grpcServer(t)
	h.SetServingStatus("orders", healthpb.HealthCheckResponse_SERVING)
	g := start(t, fmt.Sprintf(`registries: [{name: r, type: static, services: {s: [{address: %q, protocol: h2c}]}}]
routes: [{name: health, match: {path: "/grpc.health.v1.Health/*", methods: [POST]}, to: {service: s}}]
`, address))
	g.ready()
	conn, err := grpc.NewClient(strings.TrimPrefix(g.base, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client := healthpb.NewHealthClient(conn)
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "x-tenant", "a"), 10*time.Second)
	defer cancel()

	var trailer metadata.MD
	resp, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "orders"}, grpc.Trailer(&trailer))
	if err != nil || resp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("%v, %v", resp, err)
	}
	_, err = client.Check(ctx, &healthpb.HealthCheckRequest{Service: "nobody"})
	if st, _ := status.FromError(err); st.Code() != codes.NotFound || st.Message() != "unknown service" {
		t.Errorf("the service's own error: %v", err)
	}
	stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{Service: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{
		healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING, healthpb.HealthCheckResponse_SERVING,
	} {
		h.SetServingStatus("orders", want)
		got, err := stream.Recv()
		if err != nil || got.GetStatus() != want {
			t.Fatalf("%v, %v; want %v", got, err, want)
		}
	}
	short, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if stream, err = client.Watch(short, &healthpb.HealthCheckRequest{Service: "orders"}); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a deadline: %v", err)
	}
}

// TestGRPCAsJSON: the service is asked what it serves, and called with JSON; errors of either side are problems.
func TestGRPCAsJSON(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, h := grpc.NewServer(), health.NewServer()
	healthpb.RegisterHealthServer(s, h)
	reflection.Register(s)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	h.SetServingStatus("orders", healthpb.HealthCheckResponse_SERVING)
	g := start(t, fmt.Sprintf(`registries: [{name: r, type: static, services: {s: [%q]}}]
routes: [{name: health, match: {path: "/grpc.health.v1.Health/*"}, to: {service: s, grpc: {transcode: true, web: true}}}]
`, l.Addr()))
	g.ready()
	post := func(path, body string) string {
		t.Helper()
		resp, err := http.Post(g.base+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, _ := io.ReadAll(resp.Body)
		return fmt.Sprintf("%d %s", resp.StatusCode, b)
	}
	if got := post("/grpc.health.v1.Health/Check", `{"service": "orders"}`); strings.ReplaceAll(got, " ", "") != `200{"status":"SERVING"}` {
		t.Error(got)
	}
	if got := post("/grpc.health.v1.Health/Check", `{"service": "nobody"}`); !strings.HasPrefix(got, "404 ") || !strings.Contains(got, "unknown service") {
		t.Error(got)
	}
	if got := post("/grpc.health.v1.Health/Check", `{"service": 7}`); !strings.HasPrefix(got, "400 ") || !strings.Contains(got, "service") {
		t.Error(got)
	}
	if got := post("/grpc.health.v1.Health/None", `{}`); !strings.HasPrefix(got, "404 ") {
		t.Error(got)
	}
	// gRPC itself passes, over HTTP/1.1's sibling on the same port.
	conn, err := grpc.NewClient(strings.TrimPrefix(g.base, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if resp, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "orders"}); err != nil || resp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", resp, err)
	}
}

// TestErrorsForGRPC: what the gateway has to say is a status for who speaks gRPC.
func TestErrorsForGRPC(t *testing.T) {
	g := start(t, `registries: [{name: r, type: static, services: {s: []}}]
routes: [{name: none, match: {path: "/grpc.health.v1.Health/*"}, to: {service: s}}]
`)
	g.ready()
	conn, err := grpc.NewClient(strings.TrimPrefix(g.base, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "no instance of s") {
		t.Errorf("%v", err)
	}
	err = conn.Invoke(t.Context(), "/no.such.Service/Method", &healthpb.HealthCheckRequest{}, &healthpb.HealthCheckResponse{})
	if status.Code(err) != codes.Unimplemented && status.Code(err) != codes.NotFound {
		t.Errorf("%v", err)
	}
}
