package nacos

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// advised adds to an error what may be done about it, for those who read it at night.
func advised(err error, advice string) error { return fmt.Errorf("%w (%s)", err, advice) }

// adviseConnect is about an attempt to connect.
func (c *Config) adviseConnect(err error) error {
	var (
		dns       *net.DNSError
		unknownCA x509.UnknownAuthorityError
		wrongName x509.HostnameError
		invalid   x509.CertificateInvalidError
		noTLS     tls.RecordHeaderError
	)
	text := err.Error()
	switch {
	case errors.As(err, &dns):
		return advised(err, "check the names in addresses")
	case errors.As(err, &unknownCA):
		return advised(err, "tls.ca must hold the authority that signed the server's certificate")
	case errors.As(err, &wrongName):
		return advised(err, "tls.serverName must be a name in the server's certificate")
	case errors.As(err, &invalid):
		return advised(err, "the server's certificate is not valid: renew it")
	case errors.As(err, &noTLS), strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return advised(err, "no TLS is spoken there: leave out tls, or write http:// before the address if only the login has none")
	case strings.Contains(text, "remote error: tls:"):
		return advised(err, "the server refuses our side of TLS: tls.cert and tls.key may be missing or not accepted")
	case errors.Is(err, syscall.ECONNREFUSED):
		return advised(err, fmt.Sprintf("nothing listens there: is the server up, and is its gRPC port the HTTP port %+d (grpcPortOffset)?", c.GRPCPortOffset))
	case errors.Is(err, context.DeadlineExceeded), status.Code(err) == codes.DeadlineExceeded, isTimeout(err):
		return advised(err, "no answer in time: a wrong address, a firewall, or a server that hangs")
	case status.Code(err) == codes.Unavailable && c.TLS == nil:
		return advised(err, "it closes the connection: a port that is not gRPC's, or one that takes TLS only and needs a section tls")
	}
	return err
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// adviseRefusal is about an answer of the server.
func (c *Config) adviseRefusal(err error, action string) error {
	if !forbidden(err) {
		return err
	}
	switch {
	case c.Username != "":
		return advised(err, fmt.Sprintf("user %q may not %s in namespace %q: grant it to a role of the user", c.Username, action, c.namespace()))
	case c.AccessKey != "":
		return advised(err, fmt.Sprintf("check accessKey and secretKey, and that they may %s in namespace %q", action, c.namespace()))
	}
	return advised(err, "the server asks who we are: give username and password, or accessKey and secretKey")
}
