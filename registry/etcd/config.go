package etcd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

const defaultPort = 2379

// Config is the section of a registry of type etcd.
type Config struct {
	// Addresses are the servers' client addresses: host:port, host (then port 2379), or either with http:// or https://
	// before it. Any of them serves; the next one is tried when one fails.
	Addresses []string `yaml:"addresses"`
	// Prefix is where plain services stand, as {prefix}/{service}/{anything}. Empty means that the keys begin with the
	// service's name, as go-zero writes them.
	Prefix string `yaml:"prefix"`
	// DubboRoot is where Dubbo's providers stand, as {dubboRoot}/{interface}/providers/{url}; empty turns it off.
	DubboRoot string `yaml:"dubboRoot"`
	// ServicesRoot is where Dubbo's applications stand, as {servicesRoot}/{application}/{host:port}; empty turns it off. It
	// may be the same as prefix.
	ServicesRoot string `yaml:"servicesRoot"`
	// Username and Password log in; without a name nobody does.
	Username string `yaml:"username"`
	Password string `yaml:"password"`
	// PasswordFile holds the password instead, read again at each login; space around it is no part of it.
	PasswordFile string `yaml:"passwordFile"`
	// TLS is needed for servers that speak it; an https:// address alone trusts the system's authorities.
	TLS *registry.TLS `yaml:"tls"`
	// LeaseTTL is how long the gateway's own registration outlives the gateway, if it cannot withdraw it; whole seconds.
	LeaseTTL time.Duration `yaml:"leaseTTL"`
	// Timeouts bound single steps.
	Timeouts Timeouts `yaml:"timeouts"`
}

// Timeouts bound single steps of the conversation with the server.
type Timeouts struct {
	// Request is one question and its answer; the first one includes the dial.
	Request time.Duration `yaml:"request"`
	// KeepAlive is the time between two signs of life that are asked for; a server that gives none within twice Request is
	// left.
	KeepAlive time.Duration `yaml:"keepAlive"`
}

// Default is everything but the addresses.
func Default() *Config {
	return &Config{
		Prefix: "/services", DubboRoot: "/dubbo", ServicesRoot: "/services",
		LeaseTTL: 10 * time.Second,
		Timeouts: Timeouts{Request: 3 * time.Second, KeepAlive: 3 * time.Second},
	}
}

// Validate names each mistake by its place in the section.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Addresses) == 0 {
		errs = append(errs, errors.New("addresses: is missing"))
	}
	seen := make([]string, 0, len(c.Addresses))
	for n, a := range c.Addresses {
		e, err := c.endpoint(a)
		if err != nil {
			errs = append(errs, fmt.Errorf("addresses[%d]: %w", n, err))
			continue
		}
		if first := slices.Index(seen, e.address); first >= 0 {
			errs = append(errs, fmt.Errorf("addresses[%d]: %q is already listed at [%d]", n, a, first))
		}
		seen = append(seen, e.address)
		if c.TLS != nil && strings.HasPrefix(a, "http://") {
			errs = append(errs, fmt.Errorf("addresses[%d]: %q says http:// while there is a tls section", n, a))
		}
	}
	errs = append(errs, c.checkRoots()...)
	if c.Username == "" && (c.Password != "" || c.PasswordFile != "") {
		errs = append(errs, errors.New("username: is missing while there is a password"))
	}
	if c.Password != "" && c.PasswordFile != "" {
		errs = append(errs, errors.New("passwordFile: there is a password as well"))
	}
	if err := c.TLS.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("tls: %w", err))
	}
	if c.LeaseTTL < time.Second || c.LeaseTTL%time.Second != 0 {
		errs = append(errs, fmt.Errorf("leaseTTL: %v is not a number of whole seconds", c.LeaseTTL))
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"timeouts.request", c.Timeouts.Request},
		{"timeouts.keepAlive", c.Timeouts.KeepAlive},
	} {
		if d.value < time.Millisecond {
			errs = append(errs, fmt.Errorf("%s: %v is less than 1ms", d.field, d.value))
		}
	}
	return errors.Join(errs...)
}

// checkRoots refuses roots of which one lies inside another: a key would belong to both.
func (c *Config) checkRoots() []error {
	var errs []error
	for _, r := range []struct{ field, value string }{{"dubboRoot", c.DubboRoot}, {"servicesRoot", c.ServicesRoot}} {
		if strings.Trim(r.value, "/") == "" && r.value != "" {
			errs = append(errs, fmt.Errorf("%s: %q is every key; give a name, or empty to turn it off", r.field, r.value))
		}
	}
	if c.DubboRoot != "" && base(c.DubboRoot) == base(c.ServicesRoot) {
		errs = append(errs, fmt.Errorf("servicesRoot: %q is dubboRoot as well", c.ServicesRoot))
	}
	all := c.roots()
	for i := range all {
		for j := range all {
			if i != j && strings.HasPrefix(all[j].base, all[i].base) {
				errs = append(errs, fmt.Errorf("%s: %q lies inside %s %q; keep them apart, or turn off the one that is not used with \"\"",
					all[j].field, all[j].base, all[i].field, all[i].base))
			}
		}
	}
	return errs
}

// root is one range of keys that is read and watched.
type root struct {
	field               string
	base                string // what all its keys begin with, the final slash included
	plain, dubbo, nodes bool   // what may stand in it
}

// base is a prefix with the slash that ends it; empty stays empty.
func base(prefix string) string {
	if prefix == "" {
		return ""
	}
	return strings.TrimRight(prefix, "/") + "/"
}

// roots are the ranges, without doubles.
func (c *Config) roots() []root {
	all := []root{{field: "prefix", base: base(c.Prefix), plain: true}}
	if c.ServicesRoot != "" {
		if base(c.ServicesRoot) == all[0].base {
			all[0].nodes = true
		} else {
			all = append(all, root{field: "servicesRoot", base: base(c.ServicesRoot), nodes: true})
		}
	}
	if c.DubboRoot != "" {
		all = append(all, root{field: "dubboRoot", base: base(c.DubboRoot), dubbo: true})
	}
	return all
}

// Resolve makes relative files count from the document's folder.
func (c *Config) Resolve(folder string) {
	c.TLS.Resolve(folder)
	registry.ResolvePath(&c.PasswordFile, folder)
}

// password is the one to log in with now.
func (c *Config) password() (string, error) {
	if c.PasswordFile == "" {
		return c.Password, nil
	}
	text, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("passwordFile: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// Identity implements registry.Config.
func (c *Config) Identity() string {
	return fmt.Sprintf("etcd %v prefix %q dubbo %q services %q", c.Addresses, c.Prefix, c.DubboRoot, c.ServicesRoot)
}

// Build makes the registry. The section must not change afterwards.
func (c *Config) Build(opts registry.Options) (registry.Registry, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return newClient(c, opts), nil
}

// endpoint is one server.
type endpoint struct {
	address string // host:port
	tls     bool
}

func (c *Config) endpoint(address string) (endpoint, error) {
	e := endpoint{tls: c.TLS != nil}
	rest := address
	if after, ok := strings.CutPrefix(address, "https://"); ok {
		e.tls, rest = true, after
	} else if after, ok := strings.CutPrefix(address, "http://"); ok {
		rest = after
	}
	rest = strings.TrimSuffix(rest, "/")
	at := registry.Instance{Host: rest, Port: defaultPort}
	if host, port, err := net.SplitHostPort(rest); err == nil {
		if at.Port, err = strconv.Atoi(port); err != nil {
			return e, fmt.Errorf("%q: port %q is not a number", address, port)
		}
		at.Host = host
	} else {
		at.Host = strings.TrimSuffix(strings.TrimPrefix(rest, "["), "]")
	}
	if err := at.Validate(); err != nil {
		return e, fmt.Errorf("%q: %w", address, err)
	}
	e.address = at.Address()
	return e, nil
}
