package static

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// Config is the section of a registry of type static.
type Config struct {
	// Services lists the instances of each plain service, by its name.
	Services map[string][]Instance `yaml:"services"`
	// Dubbo lists Dubbo services.
	Dubbo []DubboService `yaml:"dubbo"`
}

// DubboService is one Dubbo service and who provides it.
type DubboService struct {
	// Interface is the Java interface's full name. Required.
	Interface string `yaml:"interface"`
	// Group and Version are the service's own; empty is a value like any other.
	Group   string `yaml:"group"`
	Version string `yaml:"version"`
	// Protocol is what the instances speak unless they say otherwise: dubbo (default) or tri.
	Protocol string `yaml:"protocol"`
	// Path is the service's path when it is not the interface's name.
	Path string `yaml:"path"`
	// Instances are its providers.
	Instances []Instance `yaml:"instances"`
}

// Instance is one address of a service: in YAML the address alone, or a mapping.
type Instance struct {
	// Address is host:port, with IPv6 hosts in brackets. Required.
	Address string `yaml:"address"`
	// Weight is relative to the other instances: 1 is ordinary, 0 is never picked.
	Weight float64 `yaml:"weight"`
	// Zone the instance runs in.
	Zone string `yaml:"zone"`
	// Protocol the instance speaks, if not the service's: http, https, h2c, dubbo, tri and so on.
	Protocol string `yaml:"protocol"`
	// Metadata is free; filters and balancers may read it.
	Metadata map[string]string `yaml:"metadata"`
	// Disabled keeps the instance listed but out of service.
	Disabled bool `yaml:"disabled"`
}

// Default is a registry without services.
func Default() *Config { return &Config{} }

// Validate names each mistake by its place in the section.
func (c *Config) Validate() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		field := "services." + name
		if name == "" {
			errs = append(errs, errors.New("services: a name is empty"))
		}
		errs = append(errs, validateInstances(field, c.Services[name])...)
	}
	seen := map[registry.ServiceName]int{}
	for n := range c.Dubbo {
		d := &c.Dubbo[n]
		field := fmt.Sprintf("dubbo[%d]", n)
		if err := d.validate(); err != nil {
			errs = append(errs, fmt.Errorf("%s.%w", field, err))
		} else if first, ok := seen[d.ServiceName()]; ok {
			errs = append(errs, fmt.Errorf("%s: service %s is already listed in dubbo[%d]", field, d.ServiceName(), first))
		} else {
			seen[d.ServiceName()] = n
		}
		errs = append(errs, validateInstances(field+".instances", d.Instances)...)
	}
	return errors.Join(errs...)
}

// Authored implements registry.Authored.
func (c *Config) Authored() {}

// Identity implements registry.Config.
func (c *Config) Identity() string { return "static" }

// Build makes the registry. The section must not change afterwards.
func (c *Config) Build(opts registry.Options) (registry.Registry, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &static{entries: c.Entries(), report: opts.Report}, nil
}

// ServiceName is the service's exact name.
func (d *DubboService) ServiceName() registry.ServiceName {
	return registry.DubboService(d.Interface, d.Group, d.Version)
}

func (d *DubboService) validate() error {
	switch {
	case d.Interface == "":
		return errors.New("interface: is missing")
	case strings.ContainsAny(d.Interface, "/:* \t\r\n"):
		return fmt.Errorf("interface: %q is not a Java interface's name", d.Interface)
	case d.Group == "*":
		return errors.New("group: must be exact; * is for routes")
	case d.Version == "*":
		return errors.New("version: must be exact; * is for routes")
	}
	return nil
}

func validateInstances(field string, list []Instance) []error {
	var errs []error
	seen := map[string]int{}
	for n := range list {
		i := list[n].instance()
		at := fmt.Sprintf("%s[%d]", field, n)
		if list[n].Address == "" {
			errs = append(errs, fmt.Errorf("%s.address: is missing", at))
			continue
		}
		if !splits(list[n].Address) {
			errs = append(errs, fmt.Errorf("%s: address %q: must be host:port", at, list[n].Address))
			continue
		}
		if err := i.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("%s: address %q: %w", at, list[n].Address, err))
			continue
		}
		// A Dubbo process may offer one service over two protocols at one address.
		key := i.Protocol + " " + i.Address()
		if first, ok := seen[key]; ok {
			errs = append(errs, fmt.Errorf("%s: address %q is already listed at [%d]", at, list[n].Address, first))
			continue
		}
		seen[key] = n
	}
	return errs
}

func splits(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = strconv.Atoi(port)
	return err == nil
}

// instance is what the registry pushes. An address that cannot be split gives an instance without host or port, which
// its own Validate refuses.
func (i *Instance) instance() registry.Instance {
	out := registry.Instance{
		Protocol: i.Protocol, Weight: i.Weight, Zone: i.Zone, Metadata: i.Metadata, Disabled: i.Disabled,
	}
	host, port, err := net.SplitHostPort(i.Address)
	if err == nil {
		out.Host = host
		out.Port, _ = strconv.Atoi(port)
	}
	return out
}

// SetDefaults gives an instance the ordinary weight.
func (i *Instance) SetDefaults() { i.Weight = 1 }

// UnmarshalText reads the short form: the address alone.
func (i *Instance) UnmarshalText(text []byte) error {
	i.Address = string(text)
	return nil
}
