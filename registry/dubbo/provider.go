package dubbo

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// Provider is the instance that a URL in the list of an interface's providers describes.
func (u *URL) Provider(iface string) (registry.Instance, error) {
	i := registry.Instance{
		Host: u.Host, Port: u.Port, Protocol: u.Protocol,
		Group: u.Params["group"], Version: u.Params["version"], Zone: u.Params["zone"],
		Weight:   Weight(u.Param("weight"), u.Params["release"]),
		Disabled: Disabled(u.Param),
		Metadata: u.Params,
	}
	if u.Path != iface {
		i.Path = u.Path
	}
	if err := Callable(&i); err != nil {
		return registry.Instance{}, err
	}
	return i, nil
}

// Spoken reports whether a gateway can speak a provider's protocol.
func Spoken(protocol string) bool { return protocol == "dubbo" || protocol == "tri" }

// Callable refuses what cannot be called: the other protocols that Dubbo can export, addresses that mean "every one of my
// own", and what cannot be dialled at all.
func Callable(i *registry.Instance) error {
	if !Spoken(i.Protocol) {
		return fmt.Errorf("protocol %q is not spoken", clip(i.Protocol))
	}
	switch i.Host {
	case "0.0.0.0", "::", "0:0:0:0:0:0:0:0":
		return fmt.Errorf("host %q is no address of one machine", i.Host)
	}
	if i.Port == 0 {
		return errors.New("no port")
	}
	return i.Validate()
}

// Weight turns Dubbo's weight, where 100 is ordinary, into ours. dubbo-go (which release tells) writes 0 when it was given
// none; anything that is no number counts as none, as in Java.
func Weight(text, release string) float64 {
	n, err := strconv.Atoi(text)
	switch {
	case err != nil, n <= 0 && IsGo(release):
		return 1
	case n <= 0:
		return 0
	}
	return min(float64(n)/100, 1e9)
}

// IsGo tells dubbo-go by the parameter release.
func IsGo(release string) bool { return strings.HasPrefix(release, "dubbo-golang") }

// Disabled reports whether parameters say that the provider is out of service.
func Disabled(param func(string) string) bool {
	return strings.EqualFold(param("disabled"), "true") || strings.EqualFold(param("enabled"), "false")
}

// In reads parameters from a map.
func In(params map[string]string) func(string) string {
	return func(name string) string { return params[name] }
}

// Identity tells the instances of one service apart. A provider usually registers both by interface and by application,
// and is one.
type Identity struct {
	protocol, host string
	port           int
	group, version string
}

// IdentityOf is an instance's.
func IdentityOf(i *registry.Instance) Identity {
	return Identity{i.Protocol, i.Host, i.Port, i.Group, i.Version}
}

// Applications are the applications that export an interface: comma-separated names, as the mapping of 3.x is written,
// and the names of more, in order. Those that valid refuses are left out.
func Applications(mapping string, more []string, valid func(string) error) []string {
	var apps []string
	for app := range strings.SplitSeq(mapping, ",") {
		if app = strings.TrimSpace(app); app != "" && valid(app) == nil {
			apps = append(apps, app)
		}
	}
	apps = append(apps, more...)
	slices.Sort(apps)
	return slices.Compact(apps)
}

// IsNoise names parameters that every provider writes and that say nothing to a caller: they are a quarter of a
// registry's memory.
func IsNoise(key string) bool {
	switch key {
	case "anyhost", "background", "bean.name", "bind.ip", "bind.port", "category", "deprecated", "dubbo", "dynamic",
		"executor-management-mode", "file-cache", "generic", "interface", "ipv6", "metadata-type", "pid", "qos.enable", "qos.port",
		"register", "register-mode", "server", "service-name-mapping", "service.filter", "side", "threadpool", "threads":
		return true
	}
	return false
}
