package proxy

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
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
