package consul

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/sluice-gateway/sluice/registry"
)

// Dubbo 2.7's layout in Consul: the service is named by the interface alone; each provider of any group, version and protocol is
// an instance of it, tagged "dubbo" and with each parameter of its URL as "k=v", the whole URL in Meta under "url".
const (
	dubboTag = "dubbo"
	urlKey   = "url"
)

// maxURL bounds a provider's URL. The methods of a large interface take some kilobytes.
const maxURL = 64 << 10

// dubboInstance is an entry as a provider; it is not wanted when it is of another group or version.
func (c *consul) dubboInstance(service registry.ServiceName, e *api.ServiceEntry) (registry.Instance, bool, error) {
	p, err := providerOf(e)
	if err != nil {
		return registry.Instance{}, false, err
	}
	group, version := p.params["group"], p.params["version"]
	if !service.Matches(group, version) || p.params["category"] != "" && p.params["category"] != "providers" {
		return registry.Instance{}, false, nil
	}
	if p.protocol != "dubbo" && p.protocol != "tri" {
		return registry.Instance{}, false, fmt.Errorf("protocol %q is not spoken", clean(p.protocol))
	}
	switch p.host {
	case "0.0.0.0", "::":
		return registry.Instance{}, false, fmt.Errorf("host %q is no address of one machine", p.host)
	}
	i := registry.Instance{
		Host: p.host, Port: p.port, Protocol: p.protocol, Group: intern(group), Version: intern(version),
		Zone: p.params["zone"], Metadata: p.params,
	}
	if p.path != service.Name {
		i.Path = p.path
	}
	c.setHealth(&i, e)
	i.Weight = min(i.Weight*dubboWeight(p.params["weight"]), 1e9)
	i.Disabled = i.Disabled || strings.EqualFold(p.params["disabled"], "true") || strings.EqualFold(p.params["enabled"], "false")
	return i, true, nil
}

// dubboWeight turns Dubbo's weight, where 100 is ordinary, into ours; what is no number counts as none, as in Java.
func dubboWeight(text string) float64 {
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 1
	case n <= 0:
		return 0
	}
	return float64(n) / 100
}

// provider is what a provider says of itself.
type provider struct {
	protocol, host string
	port           int
	path           string
	params         map[string]string
}

// providerOf reads the URL; Consul refuses values of Meta above 512 bytes, so it may be missing, and the tags say the same.
func providerOf(e *api.ServiceEntry) (*provider, error) {
	if text := e.Service.Meta[urlKey]; text != "" {
		return parseURL(text)
	}
	m := metadata(nil, e.Service.Tags)
	delete(m, tagsKey)
	if m["interface"] == "" {
		return nil, errors.New("neither a url in its Meta nor an interface among its tags")
	}
	p := &provider{protocol: "dubbo", host: hostOf(e), port: e.Service.DefaultPort(), path: m["path"], params: m}
	if m["protocol"] != "" {
		p.protocol = strings.ToLower(m["protocol"])
	}
	if p.path == "" {
		p.path = m["interface"]
	}
	return p, nil
}

// parseURL reads what Java's URL.toFullString writes, which escapes nothing; what others have escaped is unescaped.
func parseURL(text string) (*provider, error) {
	if len(text) > maxURL {
		return nil, fmt.Errorf("url: longer than %d bytes", maxURL)
	}
	if !strings.Contains(text, "://") {
		text = unescape(text)
	}
	p := &provider{}
	rest, ok := "", false
	if p.protocol, rest, ok = strings.Cut(text, "://"); !ok || p.protocol == "" {
		return nil, errors.New("url: not a URL")
	}
	p.protocol = intern(strings.ToLower(p.protocol))
	rest, query, _ := strings.Cut(rest, "?")
	address, path, _ := strings.Cut(rest, "/")
	p.path = path
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		address = address[at+1:]
	}
	colon := strings.LastIndexByte(address, ':') // IPv6 hosts come with and without brackets
	if colon < 0 || strings.HasSuffix(address, "]") {
		return nil, errors.New("url: no port")
	}
	port, err := strconv.ParseUint(address[colon+1:], 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("url: port %q is not in 1-65535", clean(address[colon+1:]))
	}
	p.port = int(port)
	p.host = strings.TrimSuffix(strings.TrimPrefix(address[:colon], "["), "]")
	p.params = make(map[string]string, strings.Count(query, "&")+1)
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key = unescape(key); key != "" {
			p.params[intern(key)] = intern(unescape(value))
		}
	}
	return p, nil
}

// unescape undoes an escaping, if there is one. A plus stays.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}
