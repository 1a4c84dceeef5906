package consul

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/dubbo"
)

// Dubbo 2.7's layout in Consul: the service is named by the interface alone; each provider of any group, version and protocol is
// an instance of it, tagged "dubbo" and with each parameter of its URL as "k=v", the whole URL in Meta under "url".
const (
	dubboTag = "dubbo"
	urlKey   = "url"
)

// dubboInstance is an entry as a provider; it is not wanted when it is of another group or version.
func (c *consul) dubboInstance(service registry.ServiceName, e *api.ServiceEntry) (registry.Instance, bool, error) {
	u, err := providerOf(e)
	if err != nil {
		return registry.Instance{}, false, err
	}
	if !service.Matches(u.Params["group"], u.Params["version"]) || cmp.Or(u.Params["category"], "providers") != "providers" {
		return registry.Instance{}, false, nil
	}
	i, err := u.Provider(service.Name)
	if err != nil {
		return registry.Instance{}, false, err
	}
	weight, disabled := i.Weight, i.Disabled
	c.setHealth(&i, e)
	i.Weight, i.Disabled = min(i.Weight*weight, 1e9), i.Disabled || disabled
	return i, true, nil
}

// providerOf reads the URL; Consul refuses values of Meta above 512 bytes, so it may be missing, and the tags say the same.
func providerOf(e *api.ServiceEntry) (*dubbo.URL, error) {
	if text := e.Service.Meta[urlKey]; text != "" {
		if !strings.Contains(text, "://") { // what Java writes is not escaped
			text = dubbo.Unescape(text)
		}
		u, err := dubbo.ParseURL(text)
		if err != nil {
			return nil, fmt.Errorf("url: %w", err)
		}
		u.Params = metadata(u.Params, nil)
		return u, nil
	}
	m := metadata(nil, e.Service.Tags)
	delete(m, tagsKey)
	if m["interface"] == "" {
		return nil, errors.New("neither a url in its Meta nor an interface among its tags")
	}
	return &dubbo.URL{
		Protocol: strings.ToLower(cmp.Or(m["protocol"], "dubbo")), Host: hostOf(e), Port: e.Service.DefaultPort(),
		Path: cmp.Or(m["path"], m["interface"]), Params: m,
	}, nil
}
