package nacos

import (
	"encoding/json"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/dubbo"
)

const pushedService = `{"headers":{},"requestId":"8","serviceInfo":{"name":"svc","groupName":"DEFAULT_GROUP","clusters":"","cacheMillis":10000,"hosts":[` +
	`{"ip":"1.2.3.4","port":80,"weight":2.0,"healthy":true,"enabled":true,"ephemeral":true,"clusterName":"DEFAULT","serviceName":"DEFAULT_GROUP@@svc",` +
	`"metadata":{"a":"b"},"instanceHeartBeatInterval":5000,"instanceHeartBeatTimeOut":15000,"ipDeleteTimeout":30000}],` +
	`"lastRefTime":1795511092772,"checksum":"","allIps":false,"reachProtectionThreshold":false,"valid":true},"module":"naming"}`

// FuzzMessage reads whatever a server may send: no panic, and no instance that cannot be dialled.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		pushedService,
		`{"headers":{},"abilityTable":{"supportPersistentInstanceByGrpc":true,"fuzzyWatch":true},"module":"internal"}`,
		`{"headers":{},"requestId":"3","syncType":"FUZZY_WATCH_INIT_NOTIFY","groupKeyPattern":"public>>DEFAULT_GROUP>>*","contexts":[{"serviceKey":"public@@DEFAULT_GROUP@@svc","changedType":"ADD_SERVICE"}],"totalBatch":1,"currentBatch":1,"module":"naming"}`,
		`{"serviceKey":"public@@DEFAULT_GROUP@@svc","changedType":"DELETE_SERVICE"}`,
		`{"requestId":"1","dataId":"x.Y","group":"mapping","tenant":"public","module":"config"}`,
		`{"serverIp":"10.0.0.1","serverPort":"8848"}`, `{"serverIp":"10.0.0.1","serverPort":8848}`,
		`{"resultCode":200,"count":1,"serviceNames":["svc"],"success":true}`,
		`{"resultCode":500,"errorCode":301,"message":"Connection is unregistered.","success":false}`,
		`{"resultCode":200,"content":"app1","contentType":"text","md5":"f92ea1839dc16d7396db358365da7066"}`,
		`{"resultCode":200,"changedConfigs":[{"group":"mapping","dataId":"x.Y","tenant":""}]}`,
		`{"accessToken":"t","tokenTtl":18000}`, `{"data":{"accessToken":"t"}}`, `null`, `[]`, `{"serviceInfo":{"hosts":[null,1]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if m, err := decodeMessage("Fuzz", body); err == nil {
			for i := range m.Contexts {
				_, _, _ = m.Contexts[i].split()
			}
			_, _, _ = m.split()
			_ = resetError(m)
			if m.ServiceInfo != nil {
				checkHosts(t, m.ServiceInfo)
			}
		}
		_ = requestID(body)
		for _, out := range []answer{&answerHead{}, &serverCheckAnswer{}, &subscribeAnswer{}, &serviceListAnswer{}, &configListenAnswer{}, &configAnswer{}} {
			_ = decodeAnswer("Fuzz", body, out)
		}
		if token, ttl, err := readToken(body); err == nil && (token == "" || ttl <= 0) {
			t.Errorf("token %q for %v", token, ttl)
		}
	})
}

func checkHosts(t *testing.T, s *serviceInfo) {
	_ = s.key()
	h := decodeHosts(s.Hosts)
	if len(h.list)+len(h.bad) != len(s.Hosts) {
		t.Errorf("%d hosts became %d and %d bad ones", len(s.Hosts), len(h.list), len(h.bad))
	}
	var snapshot registry.Snapshot
	skipBad(&snapshot, h)
	for i := range h.list {
		snapshot.Add(h.list[i].name(), h.list[i].plain())
		if node, err := readAppNode("app", &h.list[i]); err == nil {
			e := dubbo.Exported{Protocol: "dubbo"}
			snapshot.Add(h.list[i].name(), node.instance(&e))
		}
		if w := dubboWeight(&h.list[i], h.list[i].Metadata["weight"]); w != w {
			t.Error("a weight that is no number")
		}
	}
	for i := range snapshot.Instances {
		if err := snapshot.Instances[i].Validate(); err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkPush is what one push of a service costs until its snapshot is ready.
func BenchmarkPush(b *testing.B) {
	var one struct {
		ServiceInfo serviceInfo `json:"serviceInfo"`
	}
	if err := json.Unmarshal([]byte(pushedService), &one); err != nil {
		b.Fatal(err)
	}
	for range 999 {
		one.ServiceInfo.Hosts = append(one.ServiceInfo.Hosts, one.ServiceInfo.Hosts[0])
	}
	body, err := json.Marshal(&one)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		m, err := decodeMessage(typeNotifySubscriber, body)
		if err != nil {
			b.Fatal(err)
		}
		h := decodeHosts(m.ServiceInfo.Hosts)
		var s registry.Snapshot
		for i := range h.list {
			s.Add(h.list[i].name(), h.list[i].plain())
		}
		if len(s.Instances) != 1000 {
			b.Fatal(len(s.Instances))
		}
	}
}
