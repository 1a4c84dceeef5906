package nacos

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
)

func TestWhatAnInstanceSays(t *testing.T) {
	for text, want := range map[string]registry.Instance{
		`{"ip":"10.0.0.1","port":80}`:                                {Host: "10.0.0.1", Port: 80, Weight: 1},
		`{"ip":"10.0.0.1","port":80,"weight":0,"ephemeral":false}`:   {Host: "10.0.0.1", Port: 80},
		`{"ip":"10.0.0.1","port":80,"weight":0.5,"enabled":false}`:   {Host: "10.0.0.1", Port: 80, Weight: 0.5, Disabled: true},
		`{"ip":"10.0.0.1","port":80,"healthy":false}`:                {Host: "10.0.0.1", Port: 80, Weight: 1, Unhealthy: true},
		`{"ip":"2001:db8::1","port":80}`:                             {Host: "2001:db8::1", Port: 80, Weight: 1},
		`{"ip":"[2001:db8::1]","port":80,"clusterName":"DEFAULT"}`:   {Host: "2001:db8::1", Port: 80, Weight: 1},
		`{"ip":"h","port":443,"metadata":{"secure":"TRUE"}}`:         {Host: "h", Port: 443, Weight: 1, Protocol: "https", Metadata: map[string]string{"secure": "TRUE"}},
		`{"ip":"h","port":9090,"metadata":{"gRPC_port":"9090"}}`:     {Host: "h", Port: 9090, Weight: 1, Protocol: "grpc", Metadata: map[string]string{"gRPC_port": "9090"}},
		`{"ip":"h","port":8080,"metadata":{"gRPC_port":"9090"}}`:     {Host: "h", Port: 8080, Weight: 1, Metadata: map[string]string{"gRPC_port": "9090"}},
		`{"ip":"h","port":80,"clusterName":"east"}`:                  {Host: "h", Port: 80, Weight: 1, Zone: "east"},
		`{"ip":"h","port":80,"metadata":{"preserved.x":"<\u0000>"}}`: {Host: "h", Port: 80, Weight: 1, Metadata: map[string]string{"preserved.x": "<\x00>"}},
	} {
		h := decodeHosts([]json.RawMessage{json.RawMessage(text)})
		if len(h.list) != 1 {
			t.Errorf("%s: %v", text, h.bad)
			continue
		}
		if d := cmp.Diff(want, h.list[0].plain()); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

// TestHostileInstances: each of them is skipped, by a name of bounded length, and the good ones beside it are used.
func TestHostileInstances(t *testing.T) {
	big := strings.Repeat("m", 1<<20)
	var raw []json.RawMessage
	hostile := []string{
		`{"ip":"10.0.0.2","port":80,"weight":"NaN"}`, `{"ip":"10.0.0.2","port":80,"weight":1e300}`, `{"ip":"10.0.0.2","port":-1}`,
		`{"ip":"10.0.0.2","port":99999999999999999999}`, `{"ip":"10.0.0.2/../x","port":80}`, `{"ip":"a%00b","port":80}`,
		`{"ip":"a\r\nHost: evil","port":80}`, `{"ip":"","port":80}`, `{"ip":"user@h","port":80}`, `{"port":80}`, `17`, `[]`,
		`{"ip":"` + big + `","port":80}`, `{"ip":"10.0.0.2","port":0,"instanceId":"` + big + `"}`, `{"ip":"10.0.0.2","port":80,"metadata":{"a":{}}}`,
	}
	for _, h := range hostile {
		raw = append(raw, json.RawMessage(h))
	}
	raw = append(raw, json.RawMessage(`{"ip":"10.0.0.1","port":80,"metadata":{"big":"`+big+`","%2e%2e/":"\u001b[2J"}}`))
	h := decodeHosts(raw)
	s := registry.Snapshot{}
	skipBad(&s, h)
	for i := range h.list {
		s.Add(h.list[i].name(), h.list[i].plain())
	}
	if len(s.Instances) != 1 || s.Instances[0].Metadata["big"] != big {
		t.Errorf("%d instances", len(s.Instances))
	}
	if s.SkippedCount != len(hostile) {
		t.Errorf("%d of %d are skipped: %.500v", s.SkippedCount, len(hostile), s.Skipped)
	}
	for _, k := range s.Skipped {
		if len(k.Entry) > 100 || len(k.Reason) > 500 {
			t.Errorf("a skipped entry of %d and %d bytes", len(k.Entry), len(k.Reason))
		}
	}
}

func TestWhatIsSaidTwiceIsKeptOnce(t *testing.T) {
	var raw []json.RawMessage
	for n := range 20 {
		raw = append(raw, json.RawMessage(fmt.Sprintf(
			`{"instanceId":"10.0.0.%d#80","ip":"10.0.0.%d","port":80,"clusterName":"east","metadata":{"version":"%d","zone":"a"}}`, n, n, n/10)))
	}
	a, b := decodeHosts(raw).list, decodeHosts(raw).list
	same := func(x, y string) bool { return unsafe.StringData(x) == unsafe.StringData(y) }
	if !same(a[3].IP, b[3].IP) || !same(a[3].ClusterName, a[4].ClusterName) || !same(a[0].Metadata["zone"], b[19].Metadata["zone"]) {
		t.Error("equal strings are kept twice")
	}
	if a[3].InstanceID != "" {
		t.Errorf("the id %q of a good instance is kept", a[3].InstanceID)
	}
	got := map[string]int{}
	for i := range a {
		got[fmt.Sprintf("%p", a[i].Metadata)]++
	}
	if len(got) != 2 {
		t.Errorf("%d maps for two kinds of metadata", len(got))
	}
}
