package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// udpSize is what we take in one datagram: what passes everywhere in one piece (DNS Flag Day 2020).
const udpSize = 1232

// exchange asks one server one question, over TCP if the answer does not fit a datagram (RFC 7766), and without EDNS if the
// server does not know it (RFC 6891, section 7).
func exchange(ctx context.Context, server, name string, kind uint16, timeout time.Duration) (*dns.Msg, error) {
	q := new(dns.Msg)
	q.SetQuestion(name, kind)
	q.SetEdns0(udpSize, false)
	m, err := ask(ctx, "udp", server, q, timeout)
	if err == nil && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented) {
		q.Extra = nil
		m, err = ask(ctx, "udp", server, q, timeout)
	}
	if err == nil && m.Truncated {
		if m, err = ask(ctx, "tcp", server, q, timeout); err == nil && m.Truncated {
			err = errors.New("the answer is truncated over TCP too")
		}
	}
	return m, err
}

// ask sends q and waits for the message that answers it. Datagrams that do not (a late answer to somebody else's question,
// garbage, a forgery) are passed over until the time is up.
func ask(ctx context.Context, network, server string, q *dns.Msg, timeout time.Duration) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var d net.Dialer
	raw, err := d.DialContext(ctx, network, server) // a new port for each question makes forging hard
	if err != nil {
		return nil, err
	}
	conn := &dns.Conn{Conn: raw, UDPSize: udpSize}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		stop()
		_ = conn.Close()
	}()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	if err := conn.WriteMsg(q); err != nil {
		return nil, explain(ctx, err, timeout)
	}
	var wrong error
	for {
		m, err := conn.ReadMsg()
		var ne net.Error
		switch {
		case err == nil:
			if wrong = answers(q, m); wrong == nil {
				return m, nil
			}
		case errors.As(err, &ne), errors.Is(err, net.ErrClosed), network != "udp":
			err = explain(ctx, err, timeout)
			if wrong != nil {
				err = fmt.Errorf("%w; what came was ignored: %w", err, wrong)
			}
			return nil, err
		default:
			wrong = fmt.Errorf("not a DNS message: %w", err)
		}
		if network != "udp" {
			return nil, wrong
		}
	}
}

func explain(ctx context.Context, err error, timeout time.Duration) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || isTimeout(err) {
		return fmt.Errorf("no answer within %v", timeout)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// answers refuses a message that is no answer to q.
func answers(q, m *dns.Msg) error {
	switch {
	case m.Id != q.Id:
		return errors.New("an answer with another id")
	case !m.Response:
		return errors.New("a question instead of an answer")
	case len(m.Question) == 0 && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented || m.Rcode == dns.RcodeServerFailure || m.Rcode == dns.RcodeRefused):
		return nil // those who do not understand a question may leave it out
	case len(m.Question) != 1 || m.Question[0].Qtype != q.Question[0].Qtype || m.Question[0].Qclass != q.Question[0].Qclass ||
		!strings.EqualFold(m.Question[0].Name, q.Question[0].Name):
		return errors.New("an answer to another question")
	}
	return nil
}
