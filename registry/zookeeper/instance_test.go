package zookeeper

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Where an instance's MetadataService is found, in all the ways in which applications say it.
func TestMetadataService(t *testing.T) {
	node := func(metadata string) string {
		return `{"address":"192.0.2.1","port":20880,"payload":{"@class":"org.apache.dubbo.registry.zookeeper.ZookeeperInstance","metadata":{` + metadata + `}}}`
	}
	const endpoints = `"dubbo.endpoints":"[{\"port\":20880,\"protocol\":\"dubbo\"},{\"port\":21881,\"protocol\":\"tri\"}]"`
	for name, c := range map[string]struct{ metadata, protocol, address string }{
		"3.3":                 {`"dubbo.metadata-service.url-params":"{\"port\":\"21881\",\"protocol\":\"tri\"}"`, "tri", "192.0.2.1:21881"},
		"dubbo-go":            {`"meta-v":"1.0.0","dubbo.metadata-service.url-params":"{\"group\":\"goprov\",\"port\":\"20890\",\"protocol\":\"dubbo\",\"version\":\"1.0.0\"}"`, "dubbo", "192.0.2.1:20890"},
		"2.7, nested":         {`"dubbo.metadata-service.url-params":"{\"dubbo\":{\"version\":\"1.0.0\",\"port\":\"20881\"}}"`, "dubbo", "192.0.2.1:20881"},
		"a number":            {`"dubbo.metadata-service.url-params":"{\"port\":20881}"`, "dubbo", "192.0.2.1:20881"},
		"Alibaba":             {`"dubbo.metadata-service.urls":"[\"rest://192.0.2.9:80/x\",\"dubbo://192.0.2.9:20882/org.apache.dubbo.metadata.MetadataService?group=app\"]"`, "dubbo", "192.0.2.9:20882"},
		"endpoints alone":     {endpoints, "dubbo", "192.0.2.1:20880"},
		"remote":              {endpoints + `,"dubbo.metadata.storage-type":"remote"`, "", ""},
		"garbage":             {`"dubbo.metadata-service.url-params":"{\"port\":\"x\"}"`, "", ""},
		"not even an object":  {`"dubbo.metadata-service.url-params":"[]","dubbo.metadata-service.urls":"{}"`, "", ""},
		"a port out of range": {`"dubbo.metadata-service.url-params":"{\"port\":\"70000\"}"`, "", ""},
	} {
		n, err := parseInstance([]byte(node(c.metadata)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n.dubbo == nil {
			t.Errorf("%s: not taken for Dubbo's", name)
			continue
		}
		if n.dubbo.metadataProtocol != c.protocol || n.dubbo.metadataAddress != c.address {
			t.Errorf("%s: %s://%s, want %s://%s", name, n.dubbo.metadataProtocol, n.dubbo.metadataAddress, c.protocol, c.address)
		}
	}
}

func TestMetadataInfo(t *testing.T) {
	got, err := parseMetadataInfo([]byte(`{"app":"jprov","revision":"ff31","services":{
  "g1/lab.UserService:1.0.0:dubbo":{"name":"lab.UserService","group":"g1","version":"1.0.0","protocol":"dubbo","port":21880,"path":"lab.UserService","params":{"methods":"a,b","slow.timeout":700}},
  "g2/lab.Other:2.0:tri":{"port":"21881"},
  "lab.Old:dubbo":{"name":"lab.Old","group":null,"protocol":"dubbo","path":"lab.Old","params":null},
  "broken":7, ":dubbo":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []exported{
		{iface: "lab.UserService", group: "g1", version: "1.0.0", protocol: "dubbo", port: 21880, path: "lab.UserService", params: map[string]string{"methods": "a,b", "slow.timeout": "700"}},
		{iface: "lab.Other", group: "g2", version: "2.0", protocol: "tri", port: 21881, params: map[string]string{}},
		{iface: "lab.Old", protocol: "dubbo", path: "lab.Old", params: map[string]string{}},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(exported{})); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"", "[]", "null x", `{"services":[]}`} {
		if _, err := parseMetadataInfo([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzInstanceNode(f *testing.F) {
	f.Add([]byte(java33Node("app", "192.0.2.1", 20880, "r1", localTri)))
	f.Add([]byte(spring("192.0.2.1", `"port":8080,"sslPort":8443`, `"instance_status":"UP"`)))
	f.Add([]byte(`{"payload":{"metadata":{"dubbo.metadata-service.urls":"[\"dubbo://h:1\"]","dubbo.endpoints":"[null,{},{\"port\":\"-1\"}]"}}}`))
	f.Add([]byte(`{"payload":{"metadata":{"dubbo.metadata-service.url-params":"{\"dubbo\":null}"}},"uriSpec":{"parts":[{}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := parseInstance(data)
		if (n == nil) == (err == nil) {
			t.Fatal("neither an instance nor an error")
		}
		if err != nil {
			return
		}
		_ = n.plain()
		if n.dubbo == nil {
			return
		}
		for _, e := range []exported{{iface: "a.S", protocol: "dubbo"}, {iface: "a.S", protocol: "tri", port: 1}} {
			if i, err := e.endpoint("app", n); err == nil && i.Validate() != nil {
				t.Errorf("an instance that cannot be used: %+v", i)
			}
		}
	})
}

func FuzzMetadataInfo(f *testing.F) {
	f.Add([]byte(metadataInfo("app", "r1", "g/a.S:1:dubbo=1", "a.S:tri=2")))
	f.Add([]byte(`{"services":{"":{},"::/:":{"params":{"a":{}}},"a":null}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		services, err := parseMetadataInfo(data)
		if (services == nil) == (err == nil) {
			t.Fatal("neither services nor an error")
		}
		for _, s := range services {
			if s.iface == "" {
				t.Error("a service without a name")
			}
		}
	})
}
