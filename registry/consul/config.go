package consul

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// Config is the section of a registry of type consul.
type Config struct {
	// Address is the one agent or server that is asked: host, host:port (8500, with TLS 8501) or a URL, whose path is put
	// before every path of the API. An agent on this machine is the usual choice.
	Address string `yaml:"address"`
	// Addresses are several of them, instead of Address: the next one is asked when one fails.
	Addresses []string `yaml:"addresses"`
	// TLS is how the servers are reached by TLS; with it, or with https before an address, HTTP/2 is used where the server
	// speaks it.
	TLS *registry.TLS `yaml:"tls"`
	// Token is the ACL token; it needs service:read and node:read on what is to be seen, and service:write on what is to be
	// registered.
	Token string `yaml:"token"`
	// TokenFile is a file that holds the token instead. It is read again when it changes and when a token is refused.
	TokenFile string `yaml:"tokenFile"`
	// Datacenter is asked for; empty means the agent's own.
	Datacenter string `yaml:"datacenter"`
	// Namespace and Partition are passed on to Consul Enterprise.
	Namespace string `yaml:"namespace"`
	Partition string `yaml:"partition"`
	// Tags, if any, must all be on an instance, or it is not seen.
	Tags []string `yaml:"tags"`
	// PassingOnly takes instances out of use that have a check in state warning; those with a critical one always are.
	PassingOnly bool `yaml:"passingOnly"`
	// Wait is how long a blocking query may wait at the server.
	Wait time.Duration `yaml:"wait"`
	// MaxPolls bounds the blocking queries at a time over HTTP/1.1, where each needs a connection; an agent allows 200 in
	// its default configuration (limits.http_max_conns_per_client). Services beyond it take turns.
	MaxPolls int `yaml:"maxPolls"`
	// Timeouts bound single steps.
	Timeouts Timeouts `yaml:"timeouts"`
}

// Timeouts bound single steps of the conversation with the server.
type Timeouts struct {
	// Connect is for one connection, TLS included.
	Connect time.Duration `yaml:"connect"`
	// Request is one question that does not wait, and its answer.
	Request time.Duration `yaml:"request"`
	// KeepAlive is the time between two looks at the server: whether it answers, has a leader and knows the token.
	KeepAlive time.Duration `yaml:"keepAlive"`
}

// Default is everything but the addresses.
func Default() *Config {
	return &Config{
		PassingOnly: true,
		Wait:        time.Minute,
		MaxPolls:    100,
		Timeouts:    Timeouts{Connect: 3 * time.Second, Request: 5 * time.Second, KeepAlive: 5 * time.Second},
	}
}

// Validate names each mistake by its place in the section.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case c.Address != "" && len(c.Addresses) > 0:
		add("address: is given beside addresses; one of them is enough")
	case c.Address == "" && len(c.Addresses) == 0:
		add("addresses: is missing")
	case c.Address != "":
		if _, err := c.endpoint(c.Address); err != nil {
			add("address: %w", err)
		}
	}
	for n, a := range c.Addresses {
		if _, err := c.endpoint(a); err != nil {
			add("addresses[%d]: %w", n, err)
		} else if first := slices.Index(c.Addresses, a); first < n {
			add("addresses[%d]: %q is already listed at [%d]", n, a, first)
		}
	}
	if err := c.TLS.Validate(); err != nil {
		add("tls: %w", err)
	}
	if c.Token != "" && c.TokenFile != "" {
		add("token: is given beside tokenFile; one of them is enough")
	}
	if !headerSafe(c.Token) {
		add("token: holds spaces or characters that no token has")
	}
	for n, tag := range c.Tags {
		if tag == "" {
			add("tags[%d]: is empty", n)
		}
	}
	if c.Wait < time.Second || c.Wait > 10*time.Minute { // Consul itself waits for at most ten minutes
		add("wait: %v is not in 1s-10m", c.Wait)
	}
	if c.MaxPolls < 1 || c.MaxPolls > 10_000 {
		add("maxPolls: %d is not in 1-10000", c.MaxPolls)
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"connect", c.Timeouts.Connect}, {"request", c.Timeouts.Request}, {"keepAlive", c.Timeouts.KeepAlive}} {
		if d.value < 10*time.Millisecond || d.value > time.Minute {
			add("timeouts.%s: %v is not in 10ms-1m", d.field, d.value)
		}
	}
	return errors.Join(errs...)
}

// Resolve makes relative files count from folder, where the document stands.
func (c *Config) Resolve(folder string) {
	c.TLS.Resolve(folder)
	registry.ResolvePath(&c.TokenFile, folder)
}

// Identity implements registry.Config.
func (c *Config) Identity() string {
	return fmt.Sprintf("consul %v datacenter %q namespace %q partition %q tags %v",
		c.addresses(), c.Datacenter, c.Namespace, c.Partition, c.Tags)
}

// Build makes the registry; it connects when it runs. The section must not change afterwards.
func (c *Config) Build(opts registry.Options) (registry.Registry, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if _, err := c.TLS.Config(); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return newConsul(c, opts), nil
}

func (c *Config) addresses() []string {
	if c.Address != "" {
		return []string{c.Address}
	}
	return c.Addresses
}

// endpoint is one server.
type endpoint struct {
	scheme string
	host   string // with its port
	prefix string // of every path
}

func (e endpoint) String() string { return e.scheme + "://" + e.host + e.prefix }

func (c *Config) endpoint(address string) (endpoint, error) {
	e := endpoint{scheme: "http"}
	if c.TLS != nil {
		e.scheme = "https"
	}
	rest := address
	if scheme, after, ok := strings.Cut(address, "://"); ok {
		if scheme != "http" && scheme != "https" {
			return e, fmt.Errorf("%q: scheme %q is not http or https", address, scheme)
		}
		if scheme == "http" && c.TLS != nil {
			return e, fmt.Errorf("%q: says http, while there is a section tls", address)
		}
		e.scheme, rest = scheme, after
	}
	hostPort, path, _ := strings.Cut(rest, "/")
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		if strings.Contains(hostPort, ":") && !strings.HasPrefix(hostPort, "[") {
			return e, fmt.Errorf("%q: must be host, host:port or a URL, with IPv6 hosts in brackets", address)
		}
		host, port = strings.TrimSuffix(strings.TrimPrefix(hostPort, "["), "]"), ""
	}
	if port == "" {
		port = map[string]string{"http": "8500", "https": "8501"}[e.scheme]
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return e, fmt.Errorf("%q: port %q is not a number", address, port)
	}
	probe := registry.Instance{Host: host, Port: n}
	if err := probe.Validate(); err != nil {
		return e, fmt.Errorf("%q: %w", address, err)
	}
	e.host = probe.Address()
	if path = strings.TrimRight(path, "/"); path != "" {
		e.prefix = "/" + path
	}
	if u, err := url.Parse(e.String()); err != nil || u.RawQuery != "" || u.Fragment != "" {
		return e, fmt.Errorf("%q: is not a URL of scheme, host, port and path", address)
	}
	return e, nil
}

func (c *Config) endpoints() []endpoint {
	all := make([]endpoint, 0, len(c.addresses()))
	for _, a := range c.addresses() {
		e, _ := c.endpoint(a) // validated
		all = append(all, e)
	}
	return all
}

// headerSafe reports whether a token can be sent as a header: visible ASCII.
func headerSafe(token string) bool {
	return !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}
