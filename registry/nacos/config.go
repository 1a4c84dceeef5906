package nacos

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// Config is the section of a registry of type nacos.
type Config struct {
	// Addresses are the servers' HTTP addresses, host:port or host (then port 8848). Any of them serves; the next one is
	// tried when one fails. Names are looked up anew at each attempt. With https:// before it an address is reached by TLS
	// even without a section tls; with http:// its login is not, though gRPC may be.
	Addresses []string `yaml:"addresses"`
	// Namespace is the namespace's id; public by default.
	Namespace string `yaml:"namespace"`
	// Groups are searched for services; a service found in several of them has the instances of all.
	Groups []string `yaml:"groups"`
	// Clusters, if any, are the only clusters whose instances are used.
	Clusters []string `yaml:"clusters"`
	// Username and Password log in; without a name nobody does. PasswordFile holds the password instead, and is read at
	// each login.
	Username     string `yaml:"username"`
	Password     string `yaml:"password"`
	PasswordFile string `yaml:"passwordFile"`
	// AccessKey and SecretKey sign each request, as Alibaba Cloud's MSE asks for. SecretKeyFile holds the secret instead,
	// and is read at each connection.
	AccessKey     string `yaml:"accessKey"`
	SecretKey     string `yaml:"secretKey"`
	SecretKeyFile string `yaml:"secretKeyFile"`
	// TLS is for gRPC and the login.
	TLS *registry.TLS `yaml:"tls"`
	// ContextPath is the server's, for the login.
	ContextPath string `yaml:"contextPath"`
	// GRPCPortOffset is what is added to an address's port to get that of gRPC; 1000 everywhere but behind port mappings.
	GRPCPortOffset int `yaml:"grpcPortOffset"`
	// ListInterval is how often the list of services is read where the server does not push it (Nacos 2, or a Nacos 3 over
	// the limits of its fuzzy watch), or four times as long as reading takes if that is more. Where it is pushed it is read
	// for control at thirty times this interval.
	ListInterval time.Duration `yaml:"listInterval"`
	// Settle is how long after a reconnection an empty answer is doubted.
	Settle time.Duration `yaml:"settle"`
	// Timeouts bound single steps.
	Timeouts Timeouts `yaml:"timeouts"`
}

// Timeouts bound single steps of the conversation with the server.
type Timeouts struct {
	// Connect is from the dial to the server's acknowledgement of the connection, login included.
	Connect time.Duration `yaml:"connect"`
	// Request is one question and its answer.
	Request time.Duration `yaml:"request"`
	// KeepAlive is the time between two health checks of the connection; one that is not answered within twice Request ends it.
	KeepAlive time.Duration `yaml:"keepAlive"`
}

// Default is everything but the addresses.
func Default() *Config {
	return &Config{
		Namespace:      "public",
		Groups:         []string{"DEFAULT_GROUP"},
		ContextPath:    "/nacos",
		GRPCPortOffset: 1000,
		ListInterval:   2 * time.Second,
		Settle:         10 * time.Second,
		Timeouts:       Timeouts{Connect: 5 * time.Second, Request: 3 * time.Second, KeepAlive: 5 * time.Second},
	}
}

// Validate names each mistake by its place in the section.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Addresses) == 0 {
		errs = append(errs, errors.New("addresses: is missing"))
	}
	for n, a := range c.Addresses {
		if _, _, err := c.endpoints(a); err != nil {
			errs = append(errs, fmt.Errorf("addresses[%d]: %w", n, err))
		} else if first := slices.Index(c.Addresses, a); first < n {
			errs = append(errs, fmt.Errorf("addresses[%d]: %q is already listed at [%d]", n, a, first))
		}
	}
	if len(c.Groups) == 0 {
		errs = append(errs, errors.New("groups: is empty"))
	}
	for n, g := range c.Groups {
		if err := checkName(g); err != nil {
			errs = append(errs, fmt.Errorf("groups[%d]: %w", n, err))
		} else if first := slices.Index(c.Groups, g); first < n {
			errs = append(errs, fmt.Errorf("groups[%d]: %q is already listed at [%d]", n, g, first))
		}
	}
	for n, name := range c.Clusters {
		if name == "" || strings.ContainsAny(name, ", \t\r\n") {
			errs = append(errs, fmt.Errorf("clusters[%d]: %q is not a cluster's name", n, name))
		}
	}
	if strings.ContainsAny(c.Namespace, "@> \t\r\n") {
		errs = append(errs, fmt.Errorf("namespace: %q is not a namespace's id", c.Namespace))
	}
	errs = append(errs, c.checkSecrets()...)
	if err := c.TLS.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("tls: %w", err))
	}
	if strings.ContainsAny(c.ContextPath, "?# \t\r\n") {
		errs = append(errs, fmt.Errorf("contextPath: %q is not a path", c.ContextPath))
	}
	for _, d := range []struct {
		field string
		value time.Duration
		least time.Duration
	}{
		{"listInterval", c.ListInterval, 100 * time.Millisecond},
		{"settle", c.Settle, 0},
		{"timeouts.connect", c.Timeouts.Connect, time.Millisecond},
		{"timeouts.request", c.Timeouts.Request, time.Millisecond},
		{"timeouts.keepAlive", c.Timeouts.KeepAlive, time.Millisecond},
	} {
		if d.value < d.least {
			errs = append(errs, fmt.Errorf("%s: %v is less than %v", d.field, d.value, d.least))
		}
	}
	return errors.Join(errs...)
}

// checkSecrets is about what the servers know us by.
func (c *Config) checkSecrets() []error {
	var errs []error
	if c.Username == "" && (c.Password != "" || c.PasswordFile != "") {
		errs = append(errs, errors.New("username: is missing while there is a password"))
	}
	if c.Password != "" && c.PasswordFile != "" {
		errs = append(errs, errors.New("passwordFile: is given beside password"))
	}
	switch secret := c.SecretKey != "" || c.SecretKeyFile != ""; {
	case c.AccessKey == "" && secret:
		errs = append(errs, errors.New("accessKey: is missing while there is a secret key"))
	case c.AccessKey != "" && !secret:
		errs = append(errs, errors.New("secretKey: is missing while there is an access key"))
	}
	if c.SecretKey != "" && c.SecretKeyFile != "" {
		errs = append(errs, errors.New("secretKeyFile: is given beside secretKey"))
	}
	return errs
}

// Resolve makes relative files count from folder, where the document stands.
func (c *Config) Resolve(folder string) {
	registry.ResolvePath(&c.PasswordFile, folder)
	registry.ResolvePath(&c.SecretKeyFile, folder)
	c.TLS.Resolve(folder)
}

// Identity implements registry.Config.
func (c *Config) Identity() string {
	return fmt.Sprintf("nacos %v namespace %s groups %v clusters %v", c.Addresses, c.namespace(), c.Groups, c.Clusters)
}

// Build makes the registry. The section must not change afterwards.
func (c *Config) Build(opts registry.Options) (registry.Registry, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return newClient(c, opts), nil
}

// namespace is the id that naming requests carry: servers before 3 do not take an empty one for public.
func (c *Config) namespace() string {
	if c.Namespace == "" {
		return "public"
	}
	return c.Namespace
}

// tenant is the namespace as configuration requests carry it: there public is empty (2.x), which 3.x takes as well.
func (c *Config) tenant() string {
	if c.Namespace == "public" {
		return ""
	}
	return c.Namespace
}

// checkName refuses the names of services and groups that no server takes.
func checkName(s string) error {
	switch {
	case s == "":
		return errors.New("name is empty")
	case len(s) > 512:
		return fmt.Errorf("name of %d bytes is longer than 512", len(s))
	case strings.Contains(s, "@@") || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return fmt.Errorf("name %q holds spaces, control characters or @@", s)
	}
	return nil
}
