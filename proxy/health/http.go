package health

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/sluice-gateway/sluice/config"
)

const (
	// maxHead bounds an answer's head.
	maxHead = 16 << 10
	// quoted is how much of an unwelcome answer is shown.
	quoted = 200
	// agent is how checks show up in the logs of the instances.
	agent = "Sluice-Health-Check"
)

// httpProbe asks by HTTP/1.1.
type httpProbe struct {
	rule     *Rule
	target   *url.URL // path and query
	statuses [][2]int
	clear    *http.Transport
}

func newHTTP(r *Rule, dial dialer) *httpProbe {
	p := &httpProbe{rule: r}
	// A reference that the document's checks let through can be parsed, or else is asked for as a plain path.
	if target, err := url.ParseRequestURI(r.check.Path); err == nil {
		p.target = target
	} else {
		p.target = &url.URL{Path: r.check.Path}
	}
	for _, s := range r.check.Statuses {
		if from, to, ok := config.StatusRange(s); ok {
			p.statuses = append(p.statuses, [2]int{from, to})
		}
	}
	p.clear = &http.Transport{
		DialContext: dial,
		// The configuration depends on the subject, which the request's context brings along.
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			s, _ := ctx.Value(subjectKey{}).(*Subject)
			return dialTLS(ctx, dial, network, address, r.tlsFor(s, "http/1.1"))
		},
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHead,
	}
	return p
}

// subjectKey is the context's key of whom a request is about.
type subjectKey struct{}

func dialTLS(ctx context.Context, dial dialer, network, address string, cfg *tls.Config) (net.Conn, error) {
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	secured := tls.Client(conn, cfg)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return secured, nil
}

// probe implements prober. The transport is used as it is: a redirect is an answer, not a way.
func (p *httpProbe) probe(ctx context.Context, s *Subject) error {
	u := *p.target
	u.Scheme, u.Host = "http", p.rule.address(s)
	if p.rule.tls != nil || s.Secure {
		u.Scheme = "https"
		ctx = context.WithValue(ctx, subjectKey{}, s)
	}
	req := (&http.Request{
		Method: p.rule.check.Method, URL: &u, Host: p.rule.check.Host,
		Header: http.Header{"User-Agent": {agent}, "Accept": {"*/*"}},
	}).WithContext(ctx)
	resp, err := p.clear.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for _, r := range p.statuses {
		if resp.StatusCode >= r[0] && resp.StatusCode <= r[1] {
			return nil
		}
	}
	// What an instance says about its illness is worth showing, as far as it comes at once.
	why := make([]byte, quoted)
	n, _ := resp.Body.Read(why)
	if n == 0 {
		return fmt.Errorf("answered %d", resp.StatusCode)
	}
	return fmt.Errorf("answered %d: %s", resp.StatusCode, why[:n])
}
