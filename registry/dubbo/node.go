package dubbo

import (
	"cmp"
	"encoding/json"

	"github.com/sluice-gateway/sluice/registry"
)

// Keys of the metadata of an application's instance (org.apache.dubbo.registry.client.metadata.ServiceInstanceMetadataUtils).
const (
	RevisionKey = "dubbo.metadata.revision"
	// OldRevisionKey is 2.7.5's.
	OldRevisionKey = "dubbo.exported-services.revision"
	StorageKey     = "dubbo.metadata.storage-type"
	EndpointsKey   = "dubbo.endpoints"
	ParamsKey      = "dubbo.metadata-service.url-params"
	URLsKey        = "dubbo.metadata-service.urls"
)

// NoRevision is the revision of an application that exports nothing.
const NoRevision = "0"

// Node is what one instance of a Dubbo application says of itself.
type Node struct {
	// Host and Port are where it is registered; the services that it exports may have ports of their own.
	Host string
	Port int
	// Metadata is as it was registered.
	Metadata map[string]string
	// Revision of what it exports: "" if it does not say (2.7), NoRevision if that is nothing.
	Revision string
	// Ports are by protocol.
	Ports map[string]int
	// Source is where its MetadataService answers; without an address if it does not say.
	Source Source
}

// Source is an instance's MetadataService: its protocol, and host:port.
type Source struct{ Protocol, Address string }

// IsNode reports whether an instance's metadata is a Dubbo application's.
func IsNode(metadata map[string]string) bool {
	for _, key := range []string{RevisionKey, OldRevisionKey, StorageKey, EndpointsKey, ParamsKey, URLsKey} {
		if _, ok := metadata[key]; ok {
			return true
		}
	}
	return false
}

// ReadNode reads an instance's metadata. What is odd in it counts as not said.
func ReadNode(host string, port int, metadata map[string]string) *Node {
	n := &Node{
		Host: host, Port: port, Metadata: metadata, Ports: map[string]int{},
		Revision: cmp.Or(metadata[RevisionKey], metadata[OldRevisionKey]),
	}
	var endpoints []struct {
		Port     Number `json:"port"`
		Protocol Text   `json:"protocol"`
	}
	if json.Unmarshal([]byte(metadata[EndpointsKey]), &endpoints) == nil {
		for _, e := range endpoints {
			n.Ports[string(e.Protocol)] = e.Port.Port()
		}
	}
	n.findSource()
	return n
}

// findSource reads the three ways in which applications say where their MetadataService is: parameters (3.x), parameters
// by protocol (2.7), and URLs (Spring Cloud Alibaba). If they say nothing, what serves the application serves it too,
// unless the metadata is kept elsewhere.
func (n *Node) findSource() {
	protocol, port := "", 0
	var params map[string]json.RawMessage
	if json.Unmarshal([]byte(n.Metadata[ParamsKey]), &params) == nil {
		protocol, port = serviceParams(params)
		for _, p := range []string{"dubbo", "tri"} {
			var nested map[string]json.RawMessage
			if port == 0 && json.Unmarshal(params[p], &nested) == nil {
				_, port = serviceParams(nested)
				protocol = p
			}
		}
	}
	host := n.Host
	var urls []string
	if port == 0 && json.Unmarshal([]byte(n.Metadata[URLsKey]), &urls) == nil {
		for _, text := range urls {
			if u, err := ParseURL(text); err == nil && Spoken(u.Protocol) && u.Port != 0 {
				protocol, host, port = u.Protocol, u.Host, u.Port
				break
			}
		}
	}
	if port == 0 && n.Metadata[StorageKey] != "remote" {
		for _, p := range []string{"dubbo", "tri"} {
			if port == 0 {
				protocol, port = p, n.Ports[p]
			}
		}
		if len(n.Ports) == 0 && n.Metadata[ParamsKey]+n.Metadata[URLsKey] == "" { // it has the one port
			protocol, port = "dubbo", n.Port
		}
	}
	at := registry.Instance{Host: host, Port: port, Protocol: protocol}
	if Callable(&at) == nil {
		n.Source = Source{protocol, at.Address()}
	}
}

func serviceParams(params map[string]json.RawMessage) (protocol string, port int) {
	var p Text
	var n Number
	_ = p.UnmarshalJSON(params["protocol"])
	_ = n.UnmarshalJSON(params["port"])
	return string(cmp.Or(p, "dubbo")), n.Port()
}

// Instance is where n serves what its application exports: the instance's host, and the service's own port. Its metadata
// are the parameters of the service and of the instance together, and application.
func (n *Node) Instance(application string, e *Exported) registry.Instance {
	i := registry.Instance{
		Host: n.Host, Port: cmp.Or(e.Port, n.Ports[e.Protocol], n.Port), Protocol: e.Protocol,
		Group: e.Service.Group, Version: e.Service.Version,
		Weight:   Weight(cmp.Or(n.Metadata["weight"], e.Params["weight"]), e.Params["release"]),
		Disabled: Disabled(In(n.Metadata)) || Disabled(In(e.Params)),
		Zone:     n.Metadata["zone"],
		Metadata: make(map[string]string, len(e.Params)+len(n.Metadata)+1),
	}
	if e.Path != e.Service.Name {
		i.Path = e.Path
	}
	for k, v := range e.Params {
		if !IsNoise(k) {
			i.Metadata[k] = v
		}
	}
	for k, v := range n.Metadata {
		switch k {
		case EndpointsKey, ParamsKey, URLsKey: // said already, and long
		default:
			i.Metadata[k] = v
		}
	}
	i.Metadata["application"] = application
	return i
}
