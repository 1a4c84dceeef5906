package http2

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/sluice-gateway/sluice/protocol"
)

// grpcHandler is a gRPC service written against our Handler: it echoes messages of any method, with trailers.
func grpcHandler(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
	resp := req.NewResponse()
	resp.Status, resp.ContentLength = 200, protocol.UnknownLength
	resp.Header.Add("content-type", "application/grpc")
	resp.Body = req.Body
	resp.Trailer.Add("grpc-status", "0")
	return resp, nil
}

// TestGRPCClientOfOurServer lets grpc-go talk to a Handler of ours without anything between.
func TestGRPCClientOfOurServer(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, grpcHandler)
	cc := dialGRPC(t, addr)
	for _, size := range []int{0, 1, 70000, 1 << 20} {
		body := bytes.Repeat([]byte("x"), size)
		got, err := invoke(t.Context(), cc, body)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%d octets came back as %d: %v", size, len(got), err)
		}
	}
	s := openGRPC(t.Context(), t, cc, "Chat")
	for i := range 100 {
		want := fmt.Sprint(i)
		if err := s.SendMsg(&message{Value: []byte(want)}); err != nil {
			t.Fatal(err)
		}
		got := new(message)
		if err := s.RecvMsg(got); err != nil || string(got.Value) != want {
			t.Fatalf("%s came back as %s: %v", want, got.Value, err)
		}
	}
	_ = s.CloseSend()
	if err := s.RecvMsg(new(message)); !errors.Is(err, io.EOF) {
		t.Errorf("end: %v", err)
	}
}

// grpcFrame is a message as it is on the wire: no compression, length, and a protobuf field 1 of octets.
func grpcFrame(value []byte) []byte {
	inner := append(binary.AppendUvarint([]byte{0x0a}, uint64(len(value))), value...)
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(inner))), inner...)
}

// TestOurClientOfGRPCServer talks to grpc-go without anything between.
func TestOurClientOfGRPCServer(t *testing.T) {
	c := newClient(t, ClientConfig{Address: startGRPC(t, newGRPCService())})
	for _, tc := range []struct{ value, status string }{{"hello", "0"}, {"fail", "5"}} {
		req := newRequest("POST", "/test.Service/Echo", grpcFrame([]byte(tc.value)))
		req.Header.Add("Content-Type", "application/grpc")
		req.Header.Add("TE", "trailers")
		resp, err := c.Serve(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := protocol.ReadAll(nil, resp.Body, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		got := resp.Trailer.Get("grpc-status") + resp.Header.Get("grpc-status") // trailers-only answers have it in front
		if got != tc.status || tc.status == "0" && !bytes.Equal(b, grpcFrame([]byte(tc.value))) {
			t.Errorf("%s: status %s, %q", tc.value, got, b)
		}
		resp.Close()
	}
}

// TestGRPCOverTLS runs calls of all kinds over TLS on both sides.
func TestGRPCOverTLS(t *testing.T) {
	cert, pool := certificate(t)
	upstream := startGRPC(t, newGRPCService(), grpc.Creds(credentials.NewServerTLSFromCert(&cert)))
	c := newClient(t, ClientConfig{Address: upstream, TLS: clientTLS(pool)})
	_, addr := startTLS(t, cert, c.Serve)
	cc, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool})),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				body := bytes.Repeat([]byte{byte('a' + i)}, []int{0, 10, 10000, 200000}[j%4])
				got, err := invoke(t.Context(), cc, body)
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%d octets came back as %d: %v", len(body), len(got), err)
					return
				}
			}
		})
		wg.Go(func() {
			s := openGRPC(t.Context(), t, cc, "Chat")
			for j := range 50 {
				want := fmt.Sprint(i, " ", j)
				if err := s.SendMsg(&message{Value: []byte(want)}); err != nil {
					t.Errorf("send: %v", err)
					return
				}
				got := new(message)
				if err := s.RecvMsg(got); err != nil || string(got.Value) != want {
					t.Errorf("%s came back as %s: %v", want, got.Value, err)
					return
				}
			}
			_ = s.CloseSend()
			_ = s.RecvMsg(new(message))
		})
	}
	wg.Wait()
	if _, err := invoke(t.Context(), cc, []byte("fail")); status.Code(err) != codes.NotFound {
		t.Errorf("%v", err)
	}
}

// TestGRPCServerRestart shows that calls go on when the instance ends its connections politely, one after the other.
func TestGRPCServerRestart(t *testing.T) {
	upstream := startGRPC(t, newGRPCService(), grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 50 * time.Millisecond, MaxConnectionAgeGrace: patience}))
	c, _, addr := grpcProxy(t, upstream)
	cc := dialGRPC(t, addr)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j, end := 0, time.Now().Add(600*time.Millisecond); time.Now().Before(end); j++ {
				want := fmt.Sprint(i, " ", j)
				if got, err := invoke(t.Context(), cc, []byte(want)); err != nil || string(got) != want {
					t.Errorf("%s came back as %s: %v", want, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := c.Stats(); n.Dialled < 3 {
		t.Errorf("%+v", n)
	}
}

// TestGRPCOurServerGoesAway shows that grpc-go moves to another connection when ours is old, and loses no call.
func TestGRPCOurServerGoesAway(t *testing.T) {
	s, addr := startServer(t, ServerConfig{Timeouts: Timeouts{MaxAge: 50 * time.Millisecond}}, grpcHandler)
	cc := dialGRPC(t, addr)
	calls := 0
	for end := time.Now().Add(600 * time.Millisecond); time.Now().Before(end); calls++ {
		if _, err := invoke(t.Context(), cc, []byte("x")); err != nil {
			t.Fatalf("call %d: %v", calls, err)
		}
	}
	eventually(t, "old connections are gone", func() bool { return s.Stats().Open <= 2 })
}

// TestGRPCUnreachable is what gRPC makes of our error when nothing listens behind us: an HTTP status, not a hang.
func TestGRPCUnreachable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	_, _, addr := grpcProxy(t, ln.Addr().String())
	if _, err := invoke(t.Context(), dialGRPC(t, addr), []byte("x")); status.Code(err) != codes.Unavailable {
		t.Errorf("%v", err)
	}
}
