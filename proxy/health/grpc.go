package health

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// maxMessage bounds an answer of gRPC's health service, which has two bytes.
const maxMessage = 4 << 10

// grpcProbe asks gRPC's health service (https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
type grpcProbe struct {
	rule *Rule
	dial dialer
}

// secured is TLS where the name in the certificate need not be the authority, which gRPC's own insists on.
type secured struct {
	credentials.TransportCredentials
	cfg *tls.Config
}

// Info implements credentials.TransportCredentials.
func (secured) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// ClientHandshake implements credentials.TransportCredentials.
func (s secured) ClientHandshake(ctx context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c := tls.Client(conn, s.cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, nil, err
	}
	if c.ConnectionState().NegotiatedProtocol != "h2" {
		return nil, nil, errors.New("the server does not speak HTTP/2")
	}
	return c, credentials.TLSInfo{
		State: c.ConnectionState(), CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}, nil
}

// probe implements prober.
func (p *grpcProbe) probe(ctx context.Context, s *Subject) error {
	secrets := insecure.NewCredentials()
	if cfg := p.rule.tlsFor(s, "h2"); cfg != nil {
		secrets = secured{credentials.NewTLS(cfg), cfg}
	}
	address := p.rule.address(s)
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(secrets),
		grpc.WithAuthority(cmp.Or(p.rule.check.Host, address)),
		grpc.WithContextDialer(func(dialling context.Context, address string) (net.Conn, error) {
			conn, err := p.dial(dialling, "tcp", address)
			if err == nil {
				// A server that takes nothing would hold up even the client's farewell.
				context.AfterFunc(ctx, func() { _ = conn.Close() })
			}
			return conn, err
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithMaxHeaderListSize(maxHead), grpc.WithUserAgent(agent),
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(),
	)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: p.rule.check.Service})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch st, _ := status.FromError(err); st.Code() {
		case codes.DeadlineExceeded: // the server knows it too, and may be a hair faster
			return context.DeadlineExceeded
		case codes.NotFound:
			return fmt.Errorf("the server's health service does not know %q", p.rule.check.Service)
		case codes.Unimplemented:
			return fmt.Errorf("the server has no health service (grpc.health.v1.Health): %s", st.Message())
		default:
			return fmt.Errorf("%s: %s", st.Code(), st.Message())
		}
	}
	if answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("answered %s", answer.GetStatus())
	}
	return nil
}
