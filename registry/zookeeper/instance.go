package zookeeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// instanceNode is what an application registers of itself below the services' root: Curator's ServiceInstance, whose
// payload is Spring Cloud's or Dubbo's.
type instanceNode struct {
	host          string
	port, sslPort int
	scheme        string // "http" or "https", where its URI says so
	enabled       bool
	since         string            // when it registered, as it wrote it
	metadata      map[string]string // of the payload

	dubbo *dubboApp // nil for those that are not Dubbo's
}

// dubboApp is what a Dubbo application says of itself.
type dubboApp struct {
	revision string
	remote   bool           // its MetadataInfo stands in the metadata centre
	ports    map[string]int // by protocol
	// metadataProtocol and metadataAddress are where its MetadataService answers; empty if it does not say.
	metadataProtocol, metadataAddress string
}

// curator is the JSON of a node. Every part of it is read leniently, so that one odd field does not cost an instance.
type curator struct {
	Address text            `json:"address"`
	Port    number          `json:"port"`
	SSLPort number          `json:"sslPort"`
	Enabled text            `json:"enabled"`
	Since   text            `json:"registrationTimeUTC"`
	Payload json.RawMessage `json:"payload"`
	URISpec json.RawMessage `json:"uriSpec"`
}

type payload struct {
	Class    string          `json:"@class"`
	Metadata map[string]text `json:"metadata"`
}

type uriSpec struct {
	Parts []struct {
		Value    string `json:"value"`
		Variable bool   `json:"variable"`
	} `json:"parts"`
}

// parseInstance reads a node's bytes.
func parseInstance(data []byte) (*instanceNode, error) {
	var c curator
	if len(data) == 0 {
		return nil, errors.New("no content")
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("not an instance's JSON: %w", err)
	}
	n := &instanceNode{
		host: unbracket(string(c.Address)), port: int(c.Port), sslPort: int(c.SSLPort),
		enabled: !isFalse(string(c.Enabled)), since: string(c.Since),
	}
	var p payload
	if len(c.Payload) > 0 && c.Payload[0] == '{' {
		if err := json.Unmarshal(c.Payload, &p); err != nil {
			return nil, fmt.Errorf("payload: %w", err)
		}
	}
	n.metadata = make(map[string]string, len(p.Metadata))
	for k, v := range p.Metadata {
		n.metadata[k] = string(v)
	}
	n.scheme = scheme(c.URISpec)
	n.dubbo = parseDubboApp(n, p.Class)
	return n, nil
}

// scheme is the one that a URI specification spells out: ZooKeeper's clients usually leave it a variable.
func scheme(raw json.RawMessage) string {
	var spec uriSpec
	if len(raw) == 0 || json.Unmarshal(raw, &spec) != nil || len(spec.Parts) == 0 || spec.Parts[0].Variable {
		return ""
	}
	s, _, _ := strings.Cut(spec.Parts[0].Value, ":")
	if s == "http" || s == "https" {
		return s
	}
	return ""
}

const (
	revisionKey  = "dubbo.metadata.revision"
	oldRevision  = "dubbo.exported-services.revision"
	storageKey   = "dubbo.metadata.storage-type"
	endpointsKey = "dubbo.endpoints"
	paramsKey    = "dubbo.metadata-service.url-params"
	urlsKey      = "dubbo.metadata-service.urls"
)

// parseDubboApp finds Dubbo's keys, or returns nil.
func parseDubboApp(n *instanceNode, class string) *dubboApp {
	m := n.metadata
	found := strings.HasPrefix(class, "org.apache.dubbo.")
	for _, key := range []string{revisionKey, oldRevision, storageKey, endpointsKey, paramsKey, urlsKey} {
		if _, ok := m[key]; ok {
			found = true
		}
	}
	if !found {
		return nil
	}
	d := &dubboApp{revision: m[revisionKey], remote: m[storageKey] == "remote", ports: map[string]int{}}
	if d.revision == "" {
		d.revision = m[oldRevision]
	}
	var endpoints []struct {
		Port     number `json:"port"`
		Protocol text   `json:"protocol"`
	}
	if json.Unmarshal([]byte(m[endpointsKey]), &endpoints) == nil {
		for _, e := range endpoints {
			d.ports[string(e.Protocol)] = int(e.Port)
		}
	}
	d.findMetadataService(n)
	return d
}

// findMetadataService reads the three ways in which applications say where their MetadataService is: parameters (3.x),
// parameters by protocol (2.7), and URLs (Spring Cloud Alibaba).
func (d *dubboApp) findMetadataService(n *instanceNode) {
	protocol, port := "", 0
	var params map[string]json.RawMessage
	if json.Unmarshal([]byte(n.metadata[paramsKey]), &params) == nil {
		protocol, port = serviceParams(params)
		for _, p := range []string{"dubbo", "tri"} {
			var nested map[string]json.RawMessage
			if port == 0 && json.Unmarshal(params[p], &nested) == nil {
				_, port = serviceParams(nested)
				protocol = p
			}
		}
	}
	host := n.host
	var urls []string
	if port == 0 && json.Unmarshal([]byte(n.metadata[urlsKey]), &urls) == nil {
		for _, text := range urls {
			if u, err := parseURL(text); err == nil && (u.protocol == "dubbo" || u.protocol == "tri") {
				protocol, host, port = u.protocol, u.host, u.port
				break
			}
		}
	}
	if port == 0 && n.metadata[paramsKey] == "" && !d.remote {
		for _, p := range []string{"dubbo", "tri"} { // what serves the application serves its metadata too
			if port == 0 {
				protocol, port = p, d.ports[p]
			}
		}
	}
	at := registry.Instance{Host: host, Port: port}
	if at.Validate() == nil {
		d.metadataProtocol, d.metadataAddress = protocol, at.Address()
	}
}

func serviceParams(params map[string]json.RawMessage) (protocol string, port int) {
	var p text
	var n number
	_ = json.Unmarshal(params["protocol"], &p)
	_ = json.Unmarshal(params["port"], &n)
	if p == "" {
		p = "dubbo"
	}
	return string(p), int(n)
}

// text is a JSON string, or the text of a number or boolean; anything else is empty.
type text string

// UnmarshalJSON never fails: what is no text is none.
func (t *text) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) > 0 && b[0] == '"':
		var s string
		if json.Unmarshal(b, &s) == nil {
			*t = text(s)
		}
	case string(b) == "null", len(b) > 0 && (b[0] == '{' || b[0] == '['):
	default:
		*t = text(b)
	}
	return nil
}

// number is a JSON number, or a string that holds one; anything else is 0.
type number int

// UnmarshalJSON never fails: what is no number is 0, which is no port either.
func (n *number) UnmarshalJSON(b []byte) error {
	var t text
	_ = t.UnmarshalJSON(b)
	if i, err := strconv.ParseInt(string(t), 10, 32); err == nil {
		*n = number(i)
	}
	return nil
}
