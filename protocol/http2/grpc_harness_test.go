package http2

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// message is what the test service takes and gives.
type message = wrapperspb.BytesValue

// grpcService is written without generated code: unary Echo, Fail and Hang, bidirectional Chat, server streaming Count.
type grpcService struct {
	hanging   chan struct{} // told when Hang or Chat has begun
	cancelled chan struct{} // told when their context is done
}

func newGRPCService() *grpcService {
	return &grpcService{hanging: make(chan struct{}, 1000), cancelled: make(chan struct{}, 1000)}
}

func (g *grpcService) echo(ctx context.Context, in *message) (*message, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get("x-big"); len(v) > 0 {
		_ = grpc.SetHeader(ctx, metadata.Pairs("x-big", v[0]))
		_ = grpc.SetTrailer(ctx, metadata.Pairs("x-big-too", v[0]))
	}
	switch string(in.Value) {
	case "fail":
		return nil, status.Error(codes.NotFound, "no such thing: 100 %\n")
	case "hang":
		g.hanging <- struct{}{}
		<-ctx.Done()
		g.cancelled <- struct{}{}
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return in, nil
}

// chat echoes each message.
func (g *grpcService) chat(s grpc.ServerStream) error {
	defer func() {
		if s.Context().Err() != nil {
			g.cancelled <- struct{}{}
		}
	}()
	for {
		in := new(message)
		if err := s.RecvMsg(in); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if string(in.Value) == "begin" {
			g.hanging <- struct{}{}
		}
		if err := s.SendMsg(in); err != nil {
			return err
		}
	}
}

// count sends 20,000 messages of the size that is asked for.
func (g *grpcService) count(s grpc.ServerStream) error {
	in := new(message)
	if err := s.RecvMsg(in); err != nil {
		return err
	}
	for i := range countMessages {
		in.Value[0] = byte(i)
		if err := s.SendMsg(in); err != nil {
			return err
		}
	}
	return nil
}

const countMessages = 20000

func (g *grpcService) desc() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "test.Service",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Echo", Handler: func(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := new(message)
			if err := dec(in); err != nil {
				return nil, err
			}
			return g.echo(ctx, in)
		}}},
		Streams: []grpc.StreamDesc{
			{StreamName: "Chat", ServerStreams: true, ClientStreams: true, Handler: func(_ any, s grpc.ServerStream) error { return g.chat(s) }},
			{StreamName: "Count", ServerStreams: true, Handler: func(_ any, s grpc.ServerStream) error { return g.count(s) }},
		},
	}
}

// startGRPC starts a real gRPC server.
func startGRPC(t testing.TB, g *grpcService, opts ...grpc.ServerOption) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts = append(opts, grpc.MaxRecvMsgSize(64<<20), grpc.MaxHeaderListSize(1<<20))
	s := grpc.NewServer(opts...)
	s.RegisterService(g.desc(), nil)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(ln) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return ln.Addr().String()
}

func dialGRPC(t testing.TB, addr string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithMaxHeaderListSize(1<<20),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
	cc, err := grpc.NewClient("passthrough:///"+addr, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

// grpcProxy puts our server and our client between the two ends of gRPC.
func grpcProxy(t testing.TB, upstream string) (*Client, *Server, string) {
	t.Helper()
	c := newClient(t, ClientConfig{Address: upstream, MaxHeaderBytes: 1 << 20})
	s, addr := startServer(t, ServerConfig{Limits: Limits{HeaderBytes: 1 << 20}}, c.Serve)
	return c, s, addr
}

func invoke(ctx context.Context, cc *grpc.ClientConn, body []byte, opts ...grpc.CallOption) ([]byte, error) {
	out := new(message)
	err := cc.Invoke(ctx, "/test.Service/Echo", &message{Value: body}, out, opts...)
	return out.Value, err
}

func openGRPC(ctx context.Context, t testing.TB, cc *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	s, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.Service/"+method)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return s
}

// await takes a token out of a channel.
func await(t testing.TB, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatalf("never happened: %s", what)
	}
}
