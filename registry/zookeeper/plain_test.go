package zookeeper

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
)

// spring is what Spring Cloud ZooKeeper registers.
func spring(address, ports, metadata string) string {
	return `{"name":"web","id":"6c0f","address":"` + address + `",` + ports +
		`,"payload":{"@class":"org.springframework.cloud.zookeeper.discovery.ZookeeperInstance","id":"application-1","name":"web","metadata":{` + metadata + `}},` +
		`"registrationTimeUTC":1795369980965,"serviceType":"DYNAMIC","uriSpec":{"parts":[{"value":"scheme","variable":true},{"value":"://","variable":false},` +
		`{"value":"address","variable":true},{"value":":","variable":false},{"value":"port","variable":true}]}}`
}

func TestPlainInstances(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		want registry.Instance
	}{
		"spring": {
			spring("192.0.2.1", `"port":8080,"sslPort":null`, `"instance_status":"UP","weight":"2.5","zone":"b"`),
			registry.Instance{Host: "192.0.2.1", Port: 8080, Protocol: "http", Weight: 2.5, Zone: "b",
				Metadata: map[string]string{"instance_status": "UP", "weight": "2.5", "zone": "b"}},
		},
		"secure": {
			spring("web-1.example.com", `"port":8080,"sslPort":8443`, `"instance_status":"UP"`),
			registry.Instance{Host: "web-1.example.com", Port: 8443, Protocol: "https", Weight: 1, Metadata: map[string]string{"instance_status": "UP"}},
		},
		"down": {
			spring("192.0.2.1", `"port":8080,"sslPort":null`, `"instance_status":"DOWN"`),
			registry.Instance{Host: "192.0.2.1", Port: 8080, Protocol: "http", Weight: 1, Disabled: true, Metadata: map[string]string{"instance_status": "DOWN"}},
		},
		"out of service": {
			spring("192.0.2.1", `"port":8080`, `"instance_status":"OUT_OF_SERVICE"`),
			registry.Instance{Host: "192.0.2.1", Port: 8080, Protocol: "http", Weight: 1, Disabled: true, Metadata: map[string]string{"instance_status": "OUT_OF_SERVICE"}},
		},
		"protocol in metadata, IPv6, odd weight": {
			spring("[2001:db8::1]", `"port":"9000","sslPort":0`, `"protocol":"h2c","weight":"NaN","flag":true,"n":7,"none":null,"list":[1]`),
			registry.Instance{Host: "2001:db8::1", Port: 9000, Protocol: "h2c", Weight: 1,
				Metadata: map[string]string{"protocol": "h2c", "weight": "NaN", "flag": "true", "n": "7", "none": "", "list": "[1]"}},
		},
		"scheme spelled out": {
			`{"address":"192.0.2.1","port":8443,"uriSpec":{"parts":[{"value":"https://","variable":false},{"value":"address","variable":true}]}}`,
			registry.Instance{Host: "192.0.2.1", Port: 8443, Protocol: "https", Weight: 1},
		},
		"bare Curator, disabled": {
			`{"address":"192.0.2.1","port":80,"enabled":false,"payload":"text","uriSpec":"text"}`,
			registry.Instance{Host: "192.0.2.1", Port: 80, Protocol: "http", Weight: 1, Disabled: true},
		},
	} {
		n, err := parseInstance([]byte(c.data), newShelf())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n.dubbo != nil {
			t.Errorf("%s: taken for Dubbo's", name)
		}
		if d := cmp.Diff(c.want, n.plain()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestWatchPlain(t *testing.T) {
	r := newRig(t, shared.get(t))
	p := r.Watch(registry.App("web"))
	p.Last()
	put := func(id, data string) { r.writer.live(r.rservices("web", id), data) }
	put("a", spring("192.0.2.1", `"port":8080,"sslPort":null`, `"instance_status":"UP"`))
	put("b", spring("192.0.2.2", `"port":8080,"sslPort":null`, `"instance_status":"UP"`))
	put("dubbo", java33Node("web", "192.0.2.3", 20880, "r1", localTri)) // of the same application, but no HTTP
	put("broken", "{")
	put("portless", spring("192.0.2.4", `"port":0`, ``))
	got := p.Until("two, and two skipped", func(s registry.Snapshot) bool { return len(s.Instances) == 2 && s.SkippedCount == 2 })
	want := []registry.Skipped{{Entry: "web/broken", Reason: "not an instance's JSON: unexpected end of JSON input"}, {Entry: "web/portless", Reason: "port 0 is not in 1-65535"}}
	if d := cmp.Diff(want, got.Skipped); d != "" {
		t.Error(d)
	}
	// An instance that changes its own node: that node is read again, the others are not.
	before := p.Count()
	put("b", spring("192.0.2.2", `"port":8080,"sslPort":null`, `"instance_status":"OUT_OF_SERVICE"`))
	p.Until("b disabled", func(s registry.Snapshot) bool { return s.Instances[1].Disabled && !s.Instances[0].Disabled })
	if p.Count() != before+1 {
		t.Errorf("%d pushes for one change", p.Count()-before)
	}
	for _, id := range []string{"a", "b", "dubbo", "broken", "portless"} {
		r.writer.remove(r.rservices("web", id))
	}
	p.Until("nobody", func(s registry.Snapshot) bool { return len(s.Instances) == 0 && s.SkippedCount == 0 })
}
