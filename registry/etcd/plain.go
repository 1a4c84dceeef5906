package etcd

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/dubbo"
)

// plainValue is the JSON of one instance, as several frameworks write it: our own; etcd's naming/endpoints (Op, Addr,
// Metadata); go-kratos (endpoints, metadata); Kitex and Hertz (network, address, weight, tags). Names are taken in any case.
type plainValue struct {
	Address   dubbo.Text   `json:"address"`
	Addr      dubbo.Text   `json:"addr"`
	Host      dubbo.Text   `json:"host"`
	IP        dubbo.Text   `json:"ip"`
	Port      dubbo.Number `json:"port"`
	Weight    dubbo.Number `json:"weight"`
	Protocol  dubbo.Text   `json:"protocol"`
	Scheme    dubbo.Text   `json:"scheme"`
	Zone      dubbo.Text   `json:"zone"`
	Enabled   flag         `json:"enabled"`
	Healthy   flag         `json:"healthy"`
	Metadata  dubbo.Texts  `json:"metadata"`
	Tags      dubbo.Texts  `json:"tags"`
	Endpoints []string     `json:"endpoints"`
	Op        dubbo.Number `json:"op"`
}

// parsePlain reads the value of a plain key: JSON, or an address alone.
func parsePlain(v value) (registry.Instance, error) {
	if v.size > maxValue {
		return registry.Instance{}, fmt.Errorf("value of %d bytes is longer than %d", v.size, maxValue)
	}
	body := strings.TrimSpace(v.text)
	switch {
	case body == "":
		return registry.Instance{}, errors.New("no value")
	case body[0] != '{':
		if len(body) > 512 {
			return registry.Instance{}, errors.New("neither JSON nor an address")
		}
		i := registry.Instance{Weight: 1}
		err := setAddress(&i, body)
		return i, err
	}
	var p plainValue
	// An odd list of endpoints is no reason to give up the rest.
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		if typed := (*json.UnmarshalTypeError)(nil); !errors.As(err, &typed) {
			return registry.Instance{}, errors.New("not valid JSON")
		}
	}
	return p.instance()
}

func (p *plainValue) instance() (registry.Instance, error) {
	i := registry.Instance{Weight: 1, Metadata: p.Metadata, Unhealthy: p.Healthy.no(), Disabled: p.Enabled.no()}
	if len(i.Metadata) == 0 {
		i.Metadata = p.Tags
	}
	if p.Op.Value == 1 { // etcd's naming: being taken away
		i.Disabled = true
	}
	i.Port = p.Port.Port()
	i.Host = string(cmp.Or(p.Host, p.IP))
	address := string(cmp.Or(p.Address, p.Addr))
	if address == "" && i.Host == "" {
		address = choose(p.Endpoints)
	}
	if address != "" {
		if err := setAddress(&i, address); err != nil {
			return i, err
		}
	}
	i.Protocol = strings.ToLower(string(cmp.Or(p.Protocol, p.Scheme, dubbo.Text(i.Metadata["protocol"]), dubbo.Text(i.Protocol))))
	i.Zone = cmp.Or(string(p.Zone), i.Metadata["zone"])
	weight := p.Weight
	if !weight.Given {
		_ = weight.UnmarshalJSON([]byte(i.Metadata["weight"]))
	}
	if weight.Given {
		i.Weight = weight.Value
	}
	return i, i.Validate()
}

// choose takes one of several endpoints of the same process: one that speaks HTTP, else the first.
func choose(endpoints []string) string {
	for _, e := range endpoints {
		if strings.HasPrefix(e, "http://") || strings.HasPrefix(e, "https://") {
			return e
		}
	}
	if len(endpoints) == 0 {
		return ""
	}
	return endpoints[0]
}

// setAddress reads host:port, or scheme://host:port with anything behind it, into i. A host alone leaves the port.
func setAddress(i *registry.Instance, address string) error {
	if scheme, rest, ok := strings.Cut(address, "://"); ok {
		rest, query, _ := strings.Cut(rest, "?")
		address, _, _ = strings.Cut(rest, "/")
		i.Protocol = strings.ToLower(scheme)
		if secure, err := url.ParseQuery(query); err == nil && secure.Get("isSecure") == "true" && i.Protocol == "http" {
			i.Protocol = "https" // go-kratos
		}
		if i.Port == 0 {
			i.Port = map[string]int{"http": 80, "https": 443}[i.Protocol]
		}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		i.Host = dubbo.Unbracket(address)
		return i.Validate()
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("port %q is not a number", clip(port))
	}
	i.Host, i.Port = host, n
	return i.Validate()
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

// flag is a JSON boolean, or a string that holds one.
type flag struct{ yes, given bool }

// UnmarshalJSON never fails: what is no boolean is none.
func (f *flag) UnmarshalJSON(b []byte) error {
	var t dubbo.Text
	_ = t.UnmarshalJSON(b)
	if yes, err := strconv.ParseBool(strings.ToLower(string(t))); err == nil {
		*f = flag{yes, true}
	}
	return nil
}

func (f flag) no() bool { return f.given && !f.yes }
