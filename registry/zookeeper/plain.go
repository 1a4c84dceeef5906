package zookeeper

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// plainWatch follows a Spring Cloud application. Dubbo's own nodes may stand in the same list; they are no HTTP services.
func plainWatch(root string, service registry.ServiceName, push func(registry.Snapshot)) func(*view) error {
	return func(v *view) error {
		nodes, err := v.instances(root, []string{service.Name})
		if err != nil {
			return err
		}
		if len(nodes) == 1 && nodes[0].name == "" {
			return nodes[0].err
		}
		s := registry.Snapshot{Service: service, Instances: make([]registry.Instance, 0, len(nodes))}
		for _, r := range nodes {
			switch {
			case r.err != nil:
				s.Skip(r.entry(), r.err.Error())
			case r.node.dubbo == nil:
				s.Add(r.entry(), r.node.plain())
			}
		}
		push(s)
		return nil
	}
}

// plain is the instance as Spring Cloud's own client would call it.
func (n *instanceNode) plain() registry.Instance {
	i := registry.Instance{
		Host: n.host, Port: int(n.port),
		Protocol: cmp.Or(n.metadata["protocol"], n.scheme, "http"),
		Weight:   plainWeight(n.metadata["weight"]),
		Zone:     n.metadata["zone"],
		Disabled: !n.enabled,
		Metadata: n.metadata,
	}
	if n.sslPort != 0 {
		i.Port, i.Protocol = int(n.sslPort), cmp.Or(n.metadata["protocol"], "https")
	}
	switch strings.ToUpper(n.metadata["instance_status"]) {
	case "DOWN", "OUT_OF_SERVICE":
		i.Disabled = true
	}
	return i
}

// plainWeight reads the weight that Spring Cloud's weighted balancer reads; 1 if there is none or it makes no sense.
func plainWeight(text string) float64 {
	w, err := strconv.ParseFloat(text, 64)
	if err != nil || !(w >= 0 && w <= 1e9) {
		return 1
	}
	return w
}
