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
func (c *Config) advise(err error) (error, reach) {
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
		return err, ofQuestion
	case errors.As(err, &strange):
		return fmt.Errorf("%w (is this Consul's HTTP API, or something in between?)", err), ofServer
	case errors.As(err, &dns):
		return fmt.Errorf("%w (check the names in addresses)", err), ofServer
	case errors.As(err, &unknownCA):
		return fmt.Errorf("%w (tls.ca must hold the authority that signed the server's certificate)", err), ofServer
	case errors.As(err, &wrongName):
		return fmt.Errorf("%w (tls.serverName must be a name in the server's certificate)", err), ofServer
	case errors.As(err, &invalid):
		return fmt.Errorf("%w (the server's certificate is not valid: renew it)", err), ofServer
	case errors.As(err, &noTLS), strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%w (no TLS is spoken there: is it the port of http?)", err), ofServer
	case strings.Contains(text, "remote error: tls:"):
		return fmt.Errorf("%w (the server refuses our side of TLS: tls.cert and tls.key may be missing or not accepted)", err), ofServer
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w (nothing listens there: is Consul up?)", err), ofServer
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time (a wrong address, a firewall, or a server that hangs)"), ofServer
	}
	return err, ofServer
}

func (c *Config) adviseRefusal(refused api.StatusError) (error, reach) {
	err := fmt.Errorf("it answers %d: %s", refused.Code, clean(refused.Body))
	has := func(part string) bool { return strings.Contains(refused.Body, part) }
	switch {
	case refused.Code == http.StatusTooManyRequests && has("concurrent connections"):
		return fmt.Errorf("%w (lower maxPolls, raise limits.http_max_conns_per_client of the agent, or use https, which needs few connections)", err), ofLimit
	case refused.Code == http.StatusTooManyRequests:
		return fmt.Errorf("%w (the server's request_limits)", err), ofLimit
	case refused.Code == http.StatusForbidden && has("ACL not found"):
		return fmt.Errorf("%w (the token is unknown, deleted or expired: set %s anew)", err, c.tokenField()), ofToken
	case refused.Code == http.StatusForbidden && c.Token == "" && c.TokenFile == "":
		return fmt.Errorf("%w (set token or tokenFile: what anonymous callers may do is not enough)", err), ofToken
	case refused.Code == http.StatusForbidden:
		return fmt.Errorf("%w (the token of %s lacks a right: it needs service:read and node:read)", err, c.tokenField()), ofToken
	case has("No path to datacenter"):
		return fmt.Errorf("%w (datacenter %q is not known there)", err, c.Datacenter), ofServer
	case has("No cluster leader"):
		return fmt.Errorf("%w (the servers have no leader: is a majority of them up?)", err), ofServer
	case refused.Code >= 500:
		return err, ofServer
	case refused.Code == http.StatusBadRequest:
		return err, ofQuestion
	case refused.Code == http.StatusNotFound, refused.Code >= 300 && refused.Code < 400:
		return fmt.Errorf("%w (is this Consul's HTTP API? a path in the address is put before every path)", err), ofServer
	}
	return err, ofServer
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
