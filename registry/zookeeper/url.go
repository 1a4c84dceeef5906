package zookeeper

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// maxURL bounds the name of one provider's node. The methods of a large interface take some kilobytes.
const maxURL = 64 << 10

// dubboURL is what Dubbo writes as the name of a node: a provider or an override.
type dubboURL struct {
	protocol, host string
	port           int
	path           string // without the leading slash
	params         map[string]string
}

// parseURL reads a node's name. Java escapes the whole URL once; dubbo-go has escaped the parameters before that.
func parseURL(name string) (*dubboURL, error) {
	if len(name) > maxURL {
		return nil, fmt.Errorf("longer than %d bytes", maxURL)
	}
	text, err := url.QueryUnescape(name)
	if err != nil {
		return nil, errors.New("not an escaped URL")
	}
	u := &dubboURL{}
	rest, ok := "", false
	if u.protocol, rest, ok = strings.Cut(text, "://"); !ok || u.protocol == "" {
		return nil, errors.New("not a URL")
	}
	rest, query, _ := strings.Cut(rest, "?")
	address, path, _ := strings.Cut(rest, "/")
	u.path = path
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		address = address[at+1:]
	}
	if err := u.setAddress(address); err != nil {
		return nil, err
	}
	u.params = make(map[string]string, strings.Count(query, "&")+1)
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name = unescape(name); name != "" {
			u.params[name] = unescape(value)
		}
	}
	return u, nil
}

// setAddress splits at the last colon: Java writes IPv6 hosts with and without brackets.
func (u *dubboURL) setAddress(address string) error {
	u.host = address
	if colon := strings.LastIndexByte(address, ':'); colon >= 0 && !strings.HasSuffix(address, "]") {
		port, err := strconv.ParseUint(address[colon+1:], 10, 16)
		if err != nil {
			return fmt.Errorf("port %q is not in 1-65535", clip(address[colon+1:]))
		}
		u.host, u.port = address[:colon], int(port)
	}
	u.host = unbracket(u.host)
	return nil
}

func unbracket(host string) string {
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		return host[1 : len(host)-1]
	}
	return host
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

// param is a parameter of the provider, or of the defaults that Dubbo before 2.7 put beside it.
func (u *dubboURL) param(name string) string {
	if v, ok := u.params[name]; ok {
		return v
	}
	return u.params["default."+name]
}

// provider turns the URL into an instance of the interface whose list it stands in.
func (u *dubboURL) provider(iface string) (registry.Instance, error) {
	err := checkProvider(u.protocol, u.host, u.port)
	if err != nil {
		return registry.Instance{}, err
	}
	i := registry.Instance{
		Host: u.host, Port: u.port, Protocol: u.protocol,
		Group: u.params["group"], Version: u.params["version"],
		Weight:   dubboWeight(u.param("weight"), u.params["release"]),
		Disabled: isTrue(u.param("disabled")) || isFalse(u.param("enabled")),
		Zone:     u.params["zone"],
		Metadata: u.params,
	}
	if u.path != iface {
		i.Path = u.path
	}
	err = i.Validate()
	return i, err
}

// checkProvider refuses what cannot be called: the other protocols that Dubbo can export, and addresses that mean "every
// one of my own".
func checkProvider(protocol, host string, port int) error {
	switch protocol {
	case "dubbo", "tri":
	default:
		return fmt.Errorf("protocol %q is not spoken", clip(protocol))
	}
	switch host {
	case "0.0.0.0", "::", "0:0:0:0:0:0:0:0":
		return fmt.Errorf("host %q is no address of one machine", host)
	}
	if port == 0 {
		return errors.New("no port")
	}
	return nil
}

// dubboWeight turns Dubbo's weight, where 100 is ordinary, into ours. dubbo-go writes 0 when it was given none; anything
// that is no number counts as none, as in Java.
func dubboWeight(text, release string) float64 {
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 1
	case n <= 0 && strings.HasPrefix(release, "dubbo-golang"):
		return 1
	case n <= 0:
		return 0
	}
	return min(float64(n)/100, 1e9)
}

func isTrue(s string) bool  { return strings.EqualFold(s, "true") }
func isFalse(s string) bool { return strings.EqualFold(s, "false") }

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
