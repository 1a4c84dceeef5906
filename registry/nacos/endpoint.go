package nacos

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

const defaultPort = 8848

// endpoints are the addresses for HTTP and for gRPC behind one entry of Addresses.
func (c *Config) endpoints(address string) (http, grpc string, err error) {
	_, bare := scheme(address)
	host, port := bare, defaultPort
	if h, p, err := net.SplitHostPort(bare); err == nil {
		if port, err = strconv.Atoi(p); err != nil {
			return "", "", fmt.Errorf("%q: port %q is not a number", address, p)
		}
		host = h
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	probe := registry.Instance{Host: host, Port: port}
	if err := probe.Validate(); err != nil {
		return "", "", fmt.Errorf("%q: %w", address, err)
	}
	http = probe.Address()
	if u, err := url.Parse("http://" + http); err != nil || u.Host != http {
		return "", "", fmt.Errorf("%q: host %q is not a name or an address", address, host)
	}
	probe.Port += c.GRPCPortOffset
	if err := probe.Validate(); err != nil {
		return "", "", fmt.Errorf("%q: grpcPortOffset %d: %w", address, c.GRPCPortOffset, err)
	}
	return http, probe.Address(), nil
}

// secure reports whether the login and gRPC behind one entry of Addresses are reached by TLS.
func (c *Config) secure(address string) (login, grpc bool) {
	switch s, _ := scheme(address); s {
	case "https":
		return true, true
	case "http":
		return false, c.TLS != nil
	}
	return c.TLS != nil, c.TLS != nil
}

// scheme splits an address before which there may be http:// or https://.
func scheme(address string) (scheme, rest string) {
	for _, s := range []string{"http", "https"} {
		if rest, ok := strings.CutPrefix(address, s+"://"); ok {
			return s, strings.TrimSuffix(rest, "/")
		}
	}
	return "", address
}

// loginBase is the URL below which the server behind one entry of Addresses has its HTTP API.
func (c *Config) loginBase(address string) (string, error) {
	http, _, err := c.endpoints(address)
	if err != nil {
		return "", err
	}
	base := "http://" + http
	if secure, _ := c.secure(address); secure {
		base = "https://" + http
	}
	return base + strings.TrimSuffix("/"+strings.Trim(c.ContextPath, "/"), "/"), nil
}

// secretOf is the text that is given, or that of the file.
func secretOf(field, text, file string) (string, error) {
	if file == "" {
		return text, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", field, err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
