package consul

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/hashicorp/consul/api"
)

// reach is what a failure is about.
type reach uint8

const (
	ofQuestion reach = iota // this question; others may work
	ofLimit                 // too many questions at a time
	ofServer                // the server, or the way to it: look
	ofToken                 // the token: look, with the file read again
)

// advise adds to a failure what may be done about it, for those who read it at night, and says what it is about.
func (c *Config) advise(err error) (reach, error) {
	err = cause(err)
	var refused api.StatusError
	if errors.As(err, &refused) {
		return c.adviseRefusal(refused)
	}
	var (
		dns       *net.DNSError
		unknownCA x509.UnknownAuthorityError
		wrongName x509.HostnameError
		invalid   x509.CertificateInvalidError
		noTLS     tls.RecordHeaderError
		strange   *strangeAnswer
		part      *filtered
	)
	text := err.Error()
	switch {
	case errors.As(err, &part), errors.Is(err, errAnonymous):
		return ofQuestion, err
	case errors.As(err, &strange):
		return ofServer, fmt.Errorf("%w (is this Consul's HTTP API, or something in between?)", err)
	case errors.As(err, &dns):
		return ofServer, fmt.Errorf("%w (check the names in addresses)", err)
	case errors.As(err, &unknownCA):
		return ofServer, fmt.Errorf("%w (tls.ca must hold the authority that signed the server's certificate)", err)
	case errors.As(err, &wrongName):
		return ofServer, fmt.Errorf("%w (tls.serverName must be a name in the server's certificate)", err)
	case errors.As(err, &invalid):
		return ofServer, fmt.Errorf("%w (the server's certificate is not valid: renew it)", err)
	case errors.As(err, &noTLS), strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return ofServer, fmt.Errorf("%w (no TLS is spoken there: is it the port of http?)", err)
	case strings.Contains(text, "remote error: tls:"):
		return ofServer, fmt.Errorf("%w (the server refuses our side of TLS: tls.cert and tls.key may be missing or not accepted)", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return ofServer, fmt.Errorf("%w (nothing listens there: is Consul up?)", err)
	case errors.Is(err, context.DeadlineExceeded):
		return ofServer, errors.New("no answer in time (a wrong address, a firewall, or a server that hangs)")
	}
	return ofServer, err
}

func (c *Config) adviseRefusal(refused api.StatusError) (reach, error) {
	err := fmt.Errorf("it answers %d: %s", refused.Code, clean(refused.Body))
	has := func(part string) bool { return strings.Contains(refused.Body, part) }
	switch {
	case refused.Code == http.StatusTooManyRequests && has("concurrent connections"):
		return ofLimit, fmt.Errorf("%w (lower maxPolls, raise limits.http_max_conns_per_client of the agent, or use https, which needs few connections)", err)
	case refused.Code == http.StatusTooManyRequests:
		return ofLimit, fmt.Errorf("%w (the server's request_limits)", err)
	case refused.Code == http.StatusForbidden && has("ACL not found"):
		return ofToken, fmt.Errorf("%w (the token is unknown, deleted or expired: set %s anew)", err, c.tokenField())
	case refused.Code == http.StatusForbidden && c.Token == "" && c.TokenFile == "":
		return ofToken, fmt.Errorf("%w (set token or tokenFile: what anonymous callers may do is not enough)", err)
	case refused.Code == http.StatusForbidden:
		return ofToken, fmt.Errorf("%w (the token of %s lacks a right: reading needs service:read and node:read, registering service:write)", err, c.tokenField())
	case has("No path to datacenter"):
		return ofServer, fmt.Errorf("%w (datacenter %q is not known there)", err, c.Datacenter)
	case has("No cluster leader"):
		return ofServer, fmt.Errorf("%w (the servers have no leader: is a majority of them up?)", err)
	case refused.Code >= 500:
		return ofServer, err
	case refused.Code == http.StatusBadRequest:
		return ofQuestion, err
	case refused.Code == http.StatusNotFound, refused.Code >= 300 && refused.Code < 400:
		return ofServer, fmt.Errorf("%w (is this Consul's HTTP API? a path in the address is put before every path)", err)
	}
	return ofServer, err
}

func (c *Config) tokenField() string {
	if c.TokenFile != "" {
		return "tokenFile"
	}
	return "token"
}

// clean makes what a server says fit for one line of a log.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
	s = strings.TrimSpace(strings.ToValidUTF8(s, "?"))
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "..."
	}
	return s
}
