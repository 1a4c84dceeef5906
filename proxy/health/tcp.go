package health

import (
	"context"
)

// tcpProbe connects, with TLS where the service has it, and hangs up.
type tcpProbe struct {
	rule *Rule
	dial dialer
}

// probe implements prober.
func (p *tcpProbe) probe(ctx context.Context, s *Subject) error {
	address := p.rule.address(s)
	if cfg := p.rule.tlsFor(s); cfg != nil {
		conn, err := dialTLS(ctx, p.dial, "tcp", address, cfg)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	conn, err := p.dial(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
