package zookeeper

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// defaultPort is ZooKeeper's own.
const defaultPort = "2181"

// Config is the section of a registry of type zookeeper.
type Config struct {
	// Addresses are the servers of the ensemble, host or host:port (2181); IPv6 hosts in brackets. Names are resolved at
	// every connect. Required.
	Addresses []string `yaml:"addresses"`
	// Username and Password authenticate with the digest scheme; without them the session is anonymous.
	Username string `yaml:"username"`
	Password string `yaml:"password"`
	// TLS is how the servers' secure port is reached; none means in clear.
	TLS *registry.TLS `yaml:"tls"`
	// SessionTimeout is asked of the server, which may bound it. A silent server is given up after two thirds of it.
	SessionTimeout time.Duration `yaml:"sessionTimeout"`
	// ConnectTimeout bounds connecting to one server, and then ZooKeeper's handshake with it.
	ConnectTimeout time.Duration `yaml:"connectTimeout"`
	// DubboRoot is the node below which Dubbo keeps interfaces, mappings and metadata (the group of its registry).
	DubboRoot string `yaml:"dubboRoot"`
	// ServicesRoot is the node below which applications register instances: Spring Cloud's and Dubbo's own root.
	ServicesRoot string `yaml:"servicesRoot"`
}

// Default fills in what a section does not say.
func Default() *Config {
	return &Config{
		SessionTimeout: 10 * time.Second,
		ConnectTimeout: 3 * time.Second,
		DubboRoot:      "/dubbo",
		ServicesRoot:   "/services",
	}
}

// Validate names each mistake by its field.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Addresses) == 0 {
		errs = append(errs, errors.New("addresses: is missing"))
	}
	for n, a := range c.Addresses {
		if _, err := withPort(a); err != nil {
			errs = append(errs, fmt.Errorf("addresses[%d]: %q: %w", n, a, err))
		}
	}
	switch {
	case c.Username == "" && c.Password != "":
		errs = append(errs, errors.New("username: is missing, but password is given"))
	case c.Username != "" && c.Password == "":
		errs = append(errs, errors.New("password: is missing, but username is given"))
	case strings.Contains(c.Username, ":"):
		errs = append(errs, errors.New("username: must not contain a colon"))
	}
	if c.SessionTimeout < time.Second || c.SessionTimeout > 10*time.Minute {
		errs = append(errs, fmt.Errorf("sessionTimeout: %v is not in 1s-10m", c.SessionTimeout))
	}
	if c.ConnectTimeout < 10*time.Millisecond || c.ConnectTimeout > time.Minute {
		errs = append(errs, fmt.Errorf("connectTimeout: %v is not in 10ms-1m", c.ConnectTimeout))
	}
	if err := checkRoot(c.DubboRoot); err != nil {
		errs = append(errs, fmt.Errorf("dubboRoot: %w", err))
	}
	if err := checkRoot(c.ServicesRoot); err != nil {
		errs = append(errs, fmt.Errorf("servicesRoot: %w", err))
	}
	if err := c.TLS.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("tls: %w", err))
	}
	return errors.Join(errs...)
}

// Resolve makes the paths of files count from folder, where the document stands.
func (c *Config) Resolve(folder string) { c.TLS.Resolve(folder) }

// Identity implements registry.Config.
func (c *Config) Identity() string {
	return fmt.Sprintf("zookeeper %v dubbo %s services %s", c.Addresses, c.DubboRoot, c.ServicesRoot)
}

// Build makes the registry; it connects when it runs. The section must not change afterwards.
func (c *Config) Build(opts registry.Options) (registry.Registry, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	var secure *tls.Config
	if c.TLS != nil {
		var err error
		if secure, err = c.TLS.Config(); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
	}
	return newZooKeeper(c, opts, secure), nil
}

// withPort completes an address.
func withPort(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		if strings.Contains(address, ":") && !strings.HasPrefix(address, "[") {
			return "", errors.New("must be host or host:port, with IPv6 hosts in brackets")
		}
		host, port = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]"), defaultPort
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("port %q is not in 1-65535", port)
	}
	if host == "" || strings.ContainsAny(host, " \t/[]@") {
		return "", fmt.Errorf("host %q is not a name or an address", host)
	}
	return net.JoinHostPort(host, port), nil
}

// checkRoot wants an absolute path below which names can be hung with a slash.
func checkRoot(path string) error {
	if !strings.HasPrefix(path, "/") || len(path) < 2 {
		return fmt.Errorf("%q must begin with a slash and name a node", path)
	}
	for _, part := range strings.Split(path[1:], "/") {
		if err := checkPart(part); err != nil {
			return fmt.Errorf("%q: %w", path, err)
		}
	}
	return nil
}

// checkPart refuses what ZooKeeper refuses as one part of a path, so that no name can reach another node.
func checkPart(part string) error {
	if part == "" {
		return errors.New("a part of the path is empty")
	}
	if part == "." || part == ".." {
		return fmt.Errorf("%q is not a node's name", part)
	}
	for _, r := range part {
		switch {
		case r == '/', r <= 0x1f, r >= 0x7f && r <= 0x9f, r >= 0xd800 && r <= 0xf8ff, r >= 0xfff0 && r <= 0xffff:
			return fmt.Errorf("%q is not allowed in a node's name", r)
		}
	}
	return nil
}
