package zookeeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-gateway/sluice/registry/dubbo"
)

// instanceNode is what an application registers of itself below the services' root: Curator's ServiceInstance, whose
// payload is Spring Cloud's or Dubbo's. There may be very many of them.
type instanceNode struct {
	host          string
	scheme        string            // "http" or "https", where its URI says so
	metadata      map[string]string // of the payload
	dubbo         *dubboApp         // nil for those that are not Dubbo's
	port, sslPort uint16
	enabled       bool
}

// dubboApp is what a Dubbo application says of itself.
type dubboApp struct {
	*dubbo.Node
	since string // when it registered, as it wrote it
}

// curator is the JSON of a node. Every part of it is read leniently, so that one odd field does not cost an instance.
type curator struct {
	Address dubbo.Text      `json:"address"`
	Port    dubbo.Number    `json:"port"`
	SSLPort dubbo.Number    `json:"sslPort"`
	Enabled dubbo.Text      `json:"enabled"`
	Since   dubbo.Text      `json:"registrationTimeUTC"`
	Payload json.RawMessage `json:"payload"`
	URISpec json.RawMessage `json:"uriSpec"`
}

type payload struct {
	Class    string      `json:"@class"`
	Metadata dubbo.Texts `json:"metadata"`
}

type uriSpec struct {
	Parts []struct {
		Value    string `json:"value"`
		Variable bool   `json:"variable"`
	} `json:"parts"`
}

// parseInstance reads a node's bytes; what it says like others is shared.
func parseInstance(data []byte, shared *shelf) (*instanceNode, error) {
	var c curator
	if len(data) == 0 {
		return nil, errors.New("no content")
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("not an instance's JSON: %w", err)
	}
	n := &instanceNode{
		host: dubbo.Unbracket(string(c.Address)), port: uint16(c.Port.Port()), sslPort: uint16(c.SSLPort.Port()), //nolint:gosec // ports
		enabled: !strings.EqualFold(string(c.Enabled), "false"),
	}
	var p payload
	if len(c.Payload) > 0 && c.Payload[0] == '{' {
		if err := json.Unmarshal(c.Payload, &p); err != nil {
			return nil, fmt.Errorf("payload: %w", err)
		}
	}
	n.metadata = shared.of(p.Metadata)
	n.scheme = scheme(c.URISpec)
	if strings.HasPrefix(p.Class, "org.apache.dubbo.") || dubbo.IsNode(n.metadata) {
		n.dubbo = &dubboApp{dubbo.ReadNode(n.host, int(n.port), n.metadata), string(c.Since)}
	}
	return n, nil
}

// scheme is the one that a URI specification spells out: ZooKeeper's clients usually leave it a variable.
func scheme(raw json.RawMessage) string {
	var spec uriSpec
	if len(raw) == 0 || json.Unmarshal(raw, &spec) != nil || len(spec.Parts) == 0 || spec.Parts[0].Variable {
		return ""
	}
	switch s, _, _ := strings.Cut(spec.Parts[0].Value, ":"); s {
	case "http":
		return "http" // not the JSON that s was cut out of
	case "https":
		return "https"
	}
	return ""
}
