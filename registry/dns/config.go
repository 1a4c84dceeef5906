package dns

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// Config is the section of a registry of type dns.
type Config struct {
	// Servers are the resolvers to ask, host or host:port, in this order. Without any those of resolvConf are asked.
	Servers []string `yaml:"servers"`
	// ResolvConf is the file that names the system's resolvers, read again when it has changed. Only its nameserver lines
	// count.
	ResolvConf string `yaml:"resolvConf"`
	// Port is that of services whose name does not say one: name:port does, and SRV records do.
	Port int `yaml:"port"`
	// Family is which addresses are asked for: any, ipv4 or ipv6.
	Family string `yaml:"family"`
	// MinTTL and MaxTTL bound how long an answer is believed before it is asked for again.
	MinTTL time.Duration `yaml:"minTTL"`
	MaxTTL time.Duration `yaml:"maxTTL"`
	// Timeout is how long one server may take to answer; each is asked twice before a lookup has failed.
	Timeout time.Duration `yaml:"timeout"`
}

// Default asks the system's resolvers.
func Default() *Config {
	return &Config{
		ResolvConf: "/etc/resolv.conf", Family: "any", MinTTL: time.Second, MaxTTL: 30 * time.Second, Timeout: 2 * time.Second,
	}
}

// Validate names each mistake by its place in the section.
func (c *Config) Validate() error {
	var errs []error
	seen := make([]string, 0, len(c.Servers))
	for n, s := range c.Servers {
		full, err := withPort(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("servers[%d]: %w", n, err))
			continue
		}
		if first := slices.Index(seen, full); first >= 0 {
			errs = append(errs, fmt.Errorf("servers[%d]: %q is already listed at [%d]", n, s, first))
		}
		seen = append(seen, full)
	}
	if len(c.Servers) == 0 && c.ResolvConf == "" {
		errs = append(errs, errors.New("servers: is empty, and resolvConf too"))
	}
	if c.Port < 0 || c.Port > 65535 {
		errs = append(errs, fmt.Errorf("port: %d is not in 1-65535", c.Port))
	}
	if !slices.Contains([]string{"any", "ipv4", "ipv6"}, c.Family) {
		errs = append(errs, fmt.Errorf("family: %q is not any, ipv4 or ipv6", c.Family))
	}
	if c.MinTTL < 100*time.Millisecond {
		errs = append(errs, fmt.Errorf("minTTL: %v is less than 100ms", c.MinTTL))
	}
	if c.MaxTTL < c.MinTTL {
		errs = append(errs, fmt.Errorf("maxTTL: %v is less than minTTL, %v", c.MaxTTL, c.MinTTL))
	}
	if c.Timeout < time.Millisecond {
		errs = append(errs, fmt.Errorf("timeout: %v is less than 1ms", c.Timeout))
	}
	return errors.Join(errs...)
}

// Resolve makes relative files count from the document's folder.
func (c *Config) Resolve(folder string) { registry.ResolvePath(&c.ResolvConf, folder) }

// Identity implements registry.Config.
func (c *Config) Identity() string {
	if len(c.Servers) == 0 {
		return "dns " + c.ResolvConf + " " + c.Family
	}
	return fmt.Sprintf("dns %v %s", c.Servers, c.Family)
}

// Build makes the registry. The section must not change afterwards.
func (c *Config) Build(opts registry.Options) (registry.Registry, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return newResolver(c, opts), nil
}

func withPort(server string) (string, error) {
	at := registry.Instance{Host: server, Port: 53}
	if host, port, err := net.SplitHostPort(server); err == nil {
		if at.Port, err = strconv.Atoi(port); err != nil {
			return "", fmt.Errorf("%q: port %q is not a number", server, port)
		}
		at.Host = host
	} else {
		at.Host = strings.TrimSuffix(strings.TrimPrefix(server, "["), "]")
	}
	if err := at.Validate(); err != nil {
		return "", fmt.Errorf("%q: %w", server, err)
	}
	return at.Address(), nil
}
