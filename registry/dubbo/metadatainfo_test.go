package dubbo

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
)

func TestMetadataInfo(t *testing.T) {
	got, err := ParseMetadataInfo([]byte(`{"app":"jprov","revision":"ff31","services":{
  "g1/lab.UserService:1.0.0:dubbo":{"name":"lab.UserService","group":"g1","version":"1.0.0","protocol":"dubbo","port":21880,"path":"lab.UserService","params":{"methods":"a,b","slow.timeout":700,"odd":{}}},
  "g2/lab.Other:2.0:tri":{"port":"21881"},
  "lab.Old:dubbo":{"name":"lab.Old","group":null,"protocol":"dubbo","path":"lab.Old","params":null},
  "broken":7, ":dubbo":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Exported{
		{Service: registry.DubboService("lab.UserService", "g1", "1.0.0"), Protocol: "dubbo", Port: 21880, Path: "lab.UserService", Params: map[string]string{"methods": "a,b", "slow.timeout": "700", "odd": "{}"}},
		{Service: registry.DubboService("lab.Other", "g2", "2.0"), Protocol: "tri", Port: 21881},
		{Service: registry.DubboService("lab.Old", "", ""), Protocol: "dubbo", Path: "lab.Old"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"", "[]", "null x", `{"services":[]}`} {
		if _, err := ParseMetadataInfo([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestServes(t *testing.T) {
	e := Exported{Service: registry.DubboService("a.S", "g", "1"), Protocol: "tri"}
	for _, asked := range []registry.ServiceName{registry.DubboService("a.S", "g", "1"), registry.DubboService("a.S", "*", "*")} {
		if !e.Serves(asked) {
			t.Errorf("%v is not served", asked)
		}
	}
	if e.Serves(registry.DubboService("a.S", "", "")) || e.Serves(registry.DubboService("a.T", "*", "*")) || !e.Listed() {
		t.Error("served to others")
	}
	own := Exported{Service: registry.DubboService("org.apache.dubbo.metadata.MetadataService", "app", "1.0.0"), Protocol: "dubbo"}
	if own.Listed() || !own.Serves(own.Service) {
		t.Error("2.7's own service can be called, and is not listed")
	}
	if e.Protocol = "rest"; e.Serves(e.Service) || e.Listed() {
		t.Error("another protocol")
	}
}

func FuzzMetadataInfo(f *testing.F) {
	f.Add([]byte(`{"app":"app","revision":"r1","services":{"g/a.S:1:dubbo":{"name":"a.S","group":"g","version":"1","protocol":"dubbo","port":1},"a.S:tri":{"port":2}}}`))
	f.Add([]byte(`{"services":{"":{},"::/:":{"params":{"a":{}}},"a":null}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		services, err := ParseMetadataInfo(data)
		if (services == nil) == (err == nil) {
			t.Fatal("neither services nor an error")
		}
		for _, s := range services {
			if s.Service.Name == "" {
				t.Error("a service without a name")
			}
		}
	})
}
