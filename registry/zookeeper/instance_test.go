package zookeeper

import (
	"testing"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/dubbo"
)

func FuzzInstanceNode(f *testing.F) {
	f.Add([]byte(java33Node("app", "192.0.2.1", 20880, "r1", localTri)))
	f.Add([]byte(spring("192.0.2.1", `"port":8080,"sslPort":8443`, `"instance_status":"UP"`)))
	f.Add([]byte(`{"payload":{"metadata":{"dubbo.metadata-service.urls":"[\"dubbo://h:1\"]","dubbo.endpoints":"[null,{},{\"port\":\"-1\"}]"}}}`))
	f.Add([]byte(`{"payload":{"metadata":{"dubbo.metadata-service.url-params":"{\"dubbo\":null}"}},"uriSpec":{"parts":[{}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := parseInstance(data, newShelf())
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
		for _, e := range []dubbo.Exported{{Service: registry.DubboService("a.S", "", ""), Protocol: "dubbo"}, {Protocol: "tri", Port: 1}} {
			if i, err := n.endpoint("app", &e); err == nil && i.Validate() != nil {
				t.Errorf("an instance that cannot be used: %+v", i)
			}
		}
	})
}
