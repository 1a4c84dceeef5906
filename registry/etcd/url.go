package etcd

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// maxURL bounds the key of one provider.
const maxURL = 64 << 10

// parseProvider reads a provider's URL, protocol://host:port/path?parameters, escaped as a whole. dubbo-go has escaped the
// parameters once more before that.
func parseProvider(iface, escaped string) (registry.Instance, error) {
	if len(escaped) > maxURL {
		return registry.Instance{}, fmt.Errorf("longer than %d bytes", maxURL)
	}
	plain, err := url.QueryUnescape(escaped)
	if err != nil {
		return registry.Instance{}, errors.New("not an escaped URL")
	}
	protocol, rest, ok := strings.Cut(plain, "://")
	if !ok || protocol == "" {
		return registry.Instance{}, errors.New("not a URL")
	}
	rest, query, _ := strings.Cut(rest, "?")
	address, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		address = address[at+1:]
	}
	params := make(map[string]string, strings.Count(query, "&")+1)
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name = unescape(name); name != "" {
			params[name] = unescape(value)
		}
	}
	i := registry.Instance{
		Protocol: protocol, Group: params["group"], Version: params["version"], Zone: params["zone"],
		Weight:   dubboWeight(params["weight"], params["release"]),
		Disabled: strings.EqualFold(params["disabled"], "true") || strings.EqualFold(params["enabled"], "false"),
		Metadata: params,
	}
	// Split at the last colon: IPv6 hosts come with and without brackets.
	i.Host = address
	if colon := strings.LastIndexByte(address, ':'); colon >= 0 && !strings.HasSuffix(address, "]") {
		port, err := strconv.ParseUint(address[colon+1:], 10, 16)
		if err != nil {
			return registry.Instance{}, fmt.Errorf("port %q is not in 1-65535", clip(address[colon+1:]))
		}
		i.Host, i.Port = address[:colon], int(port)
	}
	i.Host = strings.TrimSuffix(strings.TrimPrefix(i.Host, "["), "]")
	if path != iface {
		i.Path = path
	}
	return i, callable(&i)
}

// callable refuses what no Dubbo client can call: other protocols, and addresses that mean "every one of my own".
func callable(i *registry.Instance) error {
	if i.Protocol != "dubbo" && i.Protocol != "tri" {
		return fmt.Errorf("protocol %q is not spoken", clip(i.Protocol))
	}
	switch i.Host {
	case "0.0.0.0", "::", "0:0:0:0:0:0:0:0":
		return fmt.Errorf("host %q is no address of one machine", i.Host)
	}
	return i.Validate()
}

// unescape undoes a second escaping. A plus stays: in Java's single escaping it is one.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// dubboWeight turns Dubbo's weight, where 100 is ordinary, into ours. dubbo-go writes 0 when it was given none; anything
// that is no number counts as none, as in Java.
func dubboWeight(text, release string) float64 {
	n, err := strconv.Atoi(text)
	switch {
	case err != nil, n <= 0 && strings.HasPrefix(release, "dubbo-golang"):
		return 1
	case n <= 0:
		return 0
	}
	return min(float64(n)/100, 1e9)
}
