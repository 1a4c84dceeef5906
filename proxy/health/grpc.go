package health

import (
	"cmp"
	"context"
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

// probe implements prober.
func (p *grpcProbe) probe(ctx context.Context, s *Subject) error {
	secrets := insecure.NewCredentials()
	if cfg := p.rule.tlsFor(s); cfg != nil {
		secrets = credentials.NewTLS(cfg) // adds its protocol, h2
	}
	address := p.rule.address(s)
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(secrets),
		grpc.WithAuthority(cmp.Or(p.rule.check.Host, address)),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return p.dial(ctx, "tcp", address) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithMaxHeaderListSize(maxHead), grpc.WithUserAgent(agent),
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(),
	)
	if err != nil {
		return err
	}
	defer conn.Close()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: p.rule.check.Service})
	if err != nil {
		switch st, _ := status.FromError(err); st.Code() {
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
