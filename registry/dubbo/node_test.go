package dubbo

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
)

// Where an instance's MetadataService is found, in all the ways in which applications say it.
func TestMetadataService(t *testing.T) {
	const endpoints = `"dubbo.endpoints":"[{\"port\":20880,\"protocol\":\"dubbo\"},{\"port\":21881,\"protocol\":\"tri\"}]"`
	for name, c := range map[string]struct{ metadata, protocol, address string }{
		"3.3":                 {`"dubbo.metadata-service.url-params":"{\"port\":\"21881\",\"protocol\":\"tri\"}"`, "tri", "192.0.2.1:21881"},
		"dubbo-go":            {`"meta-v":"1.0.0","dubbo.metadata-service.url-params":"{\"group\":\"goprov\",\"port\":\"20890\",\"protocol\":\"dubbo\",\"version\":\"1.0.0\"}"`, "dubbo", "192.0.2.1:20890"},
		"2.7, nested":         {`"dubbo.metadata-service.url-params":"{\"dubbo\":{\"version\":\"1.0.0\",\"port\":\"20881\"}}"`, "dubbo", "192.0.2.1:20881"},
		"a number":            {`"dubbo.metadata-service.url-params":"{\"port\":20881}"`, "dubbo", "192.0.2.1:20881"},
		"Alibaba":             {`"dubbo.metadata-service.urls":"[\"rest://192.0.2.9:80/x\",\"dubbo://192.0.2.9:20882/org.apache.dubbo.metadata.MetadataService?group=app\"]"`, "dubbo", "192.0.2.9:20882"},
		"endpoints alone":     {endpoints, "dubbo", "192.0.2.1:20880"},
		"garbage beside":      {`"dubbo.metadata-service.url-params":"{\"port\":\"x\"}",` + endpoints, "dubbo", "192.0.2.1:20880"},
		"another protocol":    {`"dubbo.metadata-service.url-params":"{\"port\":\"80\",\"protocol\":\"rest\"}"`, "", ""},
		"nothing":             {`"dubbo.metadata.revision":"r"`, "dubbo", "192.0.2.1:20880"},
		"endpoints of others": {`"dubbo.endpoints":"[{\"port\":80,\"protocol\":\"rest\"}]"`, "", ""},
		"a URL without port":  {`"dubbo.metadata-service.urls":"[\"tri://h\"]"`, "", ""},
		"remote":              {endpoints + `,"dubbo.metadata.storage-type":"remote"`, "", ""},
		"garbage":             {`"dubbo.metadata-service.url-params":"{\"port\":\"x\"}"`, "", ""},
		"not even an object":  {`"dubbo.metadata-service.url-params":"[]","dubbo.metadata-service.urls":"{}"`, "", ""},
		"a port out of range": {`"dubbo.metadata-service.url-params":"{\"port\":\"70000\"}"`, "", ""},
	} {
		var metadata map[string]string
		if err := json.Unmarshal([]byte("{"+c.metadata+"}"), &metadata); err != nil {
			t.Fatal(err)
		}
		if !IsNode(metadata) {
			t.Errorf("%s: not taken for Dubbo's", name)
		}
		if got := ReadNode("192.0.2.1", 20880, metadata).Source; got != (Source{c.protocol, c.address}) {
			t.Errorf("%s: %+v, want %s://%s", name, got, c.protocol, c.address)
		}
	}
}

func TestInstances(t *testing.T) {
	n := ReadNode("192.0.2.1", 20880, map[string]string{
		RevisionKey: "r", EndpointsKey: `[{"port":"50051","protocol":"tri"}]`, ParamsKey: "{}", URLsKey: "[]", "zone": "z", "timestamp": "2",
	})
	e := Exported{
		Service: registry.DubboService("a.S", "g", "1"), Protocol: "tri", Path: "x/a.S",
		Params: map[string]string{"weight": "50", "timestamp": "1", "methods": "m", "side": "provider", "application": "other"},
	}
	want := registry.Instance{
		Host: "192.0.2.1", Port: 50051, Protocol: "tri", Group: "g", Version: "1", Path: "x/a.S", Weight: 0.5, Zone: "z",
		Metadata: map[string]string{RevisionKey: "r", "zone": "z", "timestamp": "2", "weight": "50", "methods": "m", "application": "app"},
	}
	if d := cmp.Diff(want, n.Instance("app", &e)); d != "" {
		t.Error(d)
	}
	e.Port, e.Path = 1, "a.S"
	if i := n.Instance("app", &e); i.Port != 1 || i.Path != "" || i.Disabled {
		t.Errorf("%+v", i)
	}
	if e.Port, e.Protocol = 0, "dubbo"; n.Instance("app", &e).Port != 20880 {
		t.Error("neither the service nor the endpoints name a port: the instance's")
	}
	for _, said := range []map[string]string{{"enabled": "false"}, {"disabled": "true"}} {
		off := e
		off.Params = said
		if !n.Instance("app", &off).Disabled {
			t.Errorf("the service says %v", said)
		}
		m := maps.Clone(n.Metadata)
		maps.Copy(m, said)
		if !ReadNode("h", 1, m).Instance("app", &e).Disabled {
			t.Errorf("the instance says %v", said)
		}
	}
	if got := ReadNode("h", 1, map[string]string{OldRevisionKey: "old"}).Revision; got != "old" {
		t.Errorf("revision %q", got)
	}
	if IsNode(map[string]string{"dubbo": "x"}) || IsNode(nil) {
		t.Error("not every instance is Dubbo's")
	}
}

// Whatever an instance says, its services are instances that can be used, or have a reason.
func FuzzNode(f *testing.F) {
	f.Add(`[{"port":20880,"protocol":"dubbo"}]`, `{"port":"21881","protocol":"tri"}`, "", "50")
	f.Add("[null,{},7]", `{"dubbo":null,"tri":{"port":"99999"}}`, `["dubbo://h:1","://"]`, "-1")
	f.Fuzz(func(t *testing.T, endpoints, params, urls, weight string) {
		n := ReadNode("192.0.2.1", 1, map[string]string{EndpointsKey: endpoints, ParamsKey: params, URLsKey: urls, "weight": weight})
		if (n.Source.Address == "") != (n.Source.Protocol == "") {
			t.Errorf("%+v", n.Source)
		}
		i := n.Instance("app", &Exported{Protocol: "dubbo"})
		if err := Callable(&i); err != nil {
			t.Error(err)
		}
	})
}
