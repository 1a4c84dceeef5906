package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// java33Node is what Dubbo 3.3 registers of an application; metadata holds more of its keys, each with a comma before it.
func java33Node(app, host string, port int, revision, metadata string) string {
	return fmt.Sprintf(`{"name":%q,"id":"%s:%d","address":%q,"port":%d,"sslPort":null,
 "payload":{"@class":"org.apache.dubbo.registry.zookeeper.ZookeeperInstance","id":"%s:%d","name":%q,
  "metadata":{
   "dubbo.endpoints":"[{\"port\":21880,\"protocol\":\"dubbo\"},{\"port\":21881,\"protocol\":\"tri\"}]",
   "dubbo.metadata.revision":%q,
   "meta-v":"2.0.0","timestamp":"1795369980045"%s}},
 "registrationTimeUTC":1795369980965,"serviceType":"DYNAMIC","uriSpec":null}`, app, host, port, host, port, host, port, app, revision, metadata)
}

// Where the metadata is: on the instance, told as 3.3 does, or in the metadata centre.
const (
	localTri = `,"dubbo.metadata.storage-type":"local","dubbo.metadata-service.url-params":"{\"prefer.serialization\":\"hessian2,fastjson2\",\"version\":\"2.0.0\",\"dubbo\":\"2.0.2\",\"side\":\"provider\",\"port\":\"21881\",\"protocol\":\"tri\"}"`
	remote   = `,"dubbo.metadata.storage-type":"remote"`
)

// metadataInfo is a MetadataInfo of services given as [group/]interface[:version]:protocol=port.
func metadataInfo(app, revision string, services ...string) string {
	all := make([]string, len(services))
	for n, s := range services {
		key, port, _ := strings.Cut(s, "=")
		protocol := key[strings.LastIndexByte(key, ':')+1:]
		e := registry.ParseServiceName(registry.Dubbo, strings.TrimSuffix(key, ":"+protocol))
		all[n] = fmt.Sprintf(`%q:{"name":%q,"group":%q,"version":%q,"protocol":%q,"port":%s,"path":%q,"params":{"methods":"hello,get","timeout":"700"}}`,
			key, e.Name, e.Group, e.Version, protocol, port, e.Name)
	}
	return fmt.Sprintf(`{"app":%q,"revision":%q,"services":{%s}}`, app, revision, strings.Join(all, ","))
}

// asker is a metadata service for tests: it answers by application and revision, and notes who asked.
type asker struct {
	mu      sync.Mutex
	answers map[string]string
	asked   []string
}

func (a *asker) FetchMetadata(_ context.Context, protocol, address, app, revision string) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, protocol+"://"+address+" "+app+" "+revision)
	if answer, ok := a.answers[app+" "+revision]; ok {
		return []byte(answer), nil
	}
	return nil, errors.New("connection refused")
}

func (a *asker) answer(app, revision, info string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.answers == nil {
		a.answers = make(map[string]string)
	}
	a.answers[app+" "+revision] = info
}

func (a *asker) questions() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

func withAsker(a *asker) func(*Config, *registry.Options) {
	return func(_ *Config, o *registry.Options) { o.Dubbo = a }
}

func TestApplicationWithRemoteMetadata(t *testing.T) {
	for name, dir := range map[string]string{"java": "metadata/jprov", "dubbo-go": "jprov"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, shared.get(t))
			const iface = "lab.UserService"
			p := r.Watch(registry.DubboService(iface, "g1", "1.0.0"))
			p.Last()
			r.writer.put(r.rdubbo(dir, "ff31"), metadataInfo("jprov", "ff31", "g1/lab.UserService:1.0.0:dubbo=21880", "lab.UserService:tri=21881", "other.S:dubbo=1"))
			r.writer.live(r.rservices("jprov/localhost.:21880"), java33Node("jprov", "localhost.", 21880, "ff31", remote))
			r.writer.put(r.rdubbo("mapping", iface), "other,jprov") // it may be written last
			got := p.Until("the instance", registrytest.Has("dubbo://localhost:21880"))
			want := registry.Instance{
				Host: "localhost", Port: 21880, Protocol: "dubbo", Weight: 1, Group: "g1", Version: "1.0.0",
				Metadata: map[string]string{
					"application": "jprov", "methods": "hello,get", "timeout": "700", "timestamp": "1795369980045", "meta-v": "2.0.0",
					"dubbo.metadata.revision": "ff31", "dubbo.metadata.storage-type": "remote",
				},
			}
			if d := cmp.Diff(want, got.Instances[0]); d != "" {
				t.Error(d)
			}
			all := r.Watch(registry.DubboService(iface, "*", "*"))
			all.Until("both services", registrytest.Has("dubbo://localhost:21880", "tri://localhost:21881"))
			r.writer.remove(r.rservices("jprov/localhost.:21880"))
			p.Until("nobody", registrytest.Has())
		})
	}
}

// A provider that registers both ways is there once, with what it said by interface.
func TestRegisteredTwice(t *testing.T) {
	r := newRig(t, shared.get(t), withAsker(&asker{answers: map[string]string{
		"jprov 91": metadataInfo("jprov", "91", "g1/lab.UserService:1.0.0:dubbo=21880", "lab.UserService:tri=21881")}}))
	const iface = "lab.UserService"
	p := r.Watch(registry.DubboService(iface, "*", "*"))
	r.writer.live(r.rdubbo(iface, "providers", encode(java33("dubbo", "192.0.2.2:21880", iface, "&group=g1&version=1.0.0&weight=50"))), "")
	r.writer.live(r.rservices("jprov/192.0.2.2:21880"), java33Node("jprov", "192.0.2.2", 21880, "91", localTri))
	r.writer.put(r.rdubbo("mapping", iface), "jprov")
	got := p.Until("the tri endpoint, known by the application alone", registrytest.Has("dubbo://192.0.2.2:21880", "tri://192.0.2.2:21881"))
	for _, i := range got.Instances {
		if i.Protocol == "dubbo" && i.Weight != 0.5 {
			t.Errorf("weight %v, want 0.5 as registered by interface", i.Weight)
		}
	}
}

func TestLocalMetadataIsAskedOncePerRevision(t *testing.T) {
	a := &asker{answers: map[string]string{"app r1": metadataInfo("app", "r1", "a.S:dubbo=20880", "a.T:dubbo=20880")}}
	r := newRig(t, shared.get(t), withAsker(a))
	for _, iface := range []string{"a.S", "a.T"} {
		r.writer.put(r.rdubbo("mapping", iface), "app")
	}
	for n := range 20 {
		host := fmt.Sprintf("192.0.2.%d", n+1)
		r.writer.live(r.rservices("app", host+":20880"), java33Node("app", host, 20880, "r1", localTri))
	}
	s, u := r.Watch(registry.DubboService("a.S", "", "")), r.Watch(registry.DubboService("a.T", "", ""))
	services := r.WatchServices()
	twenty := func(s registry.Snapshot) bool { return len(s.Instances) == 20 }
	s.Until("20 instances", twenty)
	u.Until("20 instances", twenty)
	services.Until("both services", func(s registry.ServiceSet) bool { return len(s.Services) == 2 })
	if q := a.questions(); len(q) != 1 || !strings.HasPrefix(q[0], "tri://192.0.2.") || !strings.HasSuffix(q[0], ":21881 app r1") {
		t.Errorf("asked %q, want once", q)
	}
	// A rollout: the new revision is asked for once, and while it does not answer, the others stay.
	r.writer.live(r.rservices("app", "192.0.2.21:20880"), java33Node("app", "192.0.2.21", 20880, "r2", localTri))
	got := s.Until("the new one skipped", func(s registry.Snapshot) bool { return s.SkippedCount == 1 })
	if len(got.Instances) != 20 || got.Skipped[0].Entry != "app/192.0.2.21:20880" || !strings.Contains(got.Skipped[0].Reason, "connection refused") {
		t.Errorf("%d instances, skipped %+v", len(got.Instances), got.Skipped)
	}
	registrytest.Within(t, "the report", func() bool {
		return r.SawError("metadata of app, revision r2: ask tri://192.0.2.21:21881: connection refused")
	})
	a.answer("app", "r2", metadataInfo("app", "r2", "a.S:dubbo=20880"))
	s.Until("21 instances", func(s registry.Snapshot) bool { return len(s.Instances) == 21 && s.SkippedCount == 0 })
	u.Until("a.T without the new one", func(s registry.Snapshot) bool { return len(s.Instances) == 20 && s.SkippedCount == 0 })
}

// Metadata that nobody can be asked for hides nothing else.
func TestNoFetcher(t *testing.T) {
	r := newRig(t, shared.get(t))
	r.writer.put(r.rdubbo("mapping/a.S"), "app")
	r.writer.live(r.rdubbo("a.S/providers", encode(java33("dubbo", "192.0.2.9:20880", "a.S", ""))), "")
	r.writer.live(r.rservices("app/192.0.2.1:20880"), java33Node("app", "192.0.2.1", 20880, "r1", localTri))
	p := r.Watch(registry.DubboService("a.S", "", ""))
	got := p.Until("one instance, one skipped", func(s registry.Snapshot) bool { return len(s.Instances) == 1 && s.SkippedCount == 1 })
	if !strings.Contains(got.Skipped[0].Reason, "no instance says where to ask") {
		t.Errorf("%+v", got.Skipped)
	}
	r.writer.put(r.rdubbo("metadata/app/r1"), metadataInfo("app", "r1", "a.S:dubbo=20880")) // found at the next attempt
	p.Until("both", registrytest.Has("dubbo://192.0.2.9:20880", "dubbo://192.0.2.1:20880"))
}

// What else stands in the list of a Dubbo application does no harm.
func TestOddInstances(t *testing.T) {
	a := &asker{answers: map[string]string{"app r1": metadataInfo("app", "r1", "a.S:dubbo=0", "a.S:rest=8080")}}
	r := newRig(t, shared.get(t), withAsker(a))
	r.writer.put(r.rdubbo("mapping/a.S"), " app , app,, ../x")
	put := func(name, data string) { r.writer.live(r.rservices("app", name), data) }
	put("good", java33Node("app", "192.0.2.1", 20880, "r1", localTri))
	put("nothing exported", java33Node("app", "192.0.2.2", 20880, "0", localTri))
	put("disabled", strings.Replace(java33Node("app", "192.0.2.3", 20880, "r1", localTri), `"sslPort":null`, `"enabled":false`, 1))
	put("empty", "")
	put("binary", "\x00\xff\xfe")
	put("list", "[]")
	put("spring", `{"address":"192.0.2.4","port":8080,"payload":{"@class":"org.springframework.cloud.zookeeper.discovery.ZookeeperInstance","metadata":{"instance_status":"UP"}}}`)
	put("no address", java33Node("app", "", 20880, "r1", localTri))
	p := r.Watch(registry.DubboService("a.S", "", ""))
	got := p.Until("all seen", func(s registry.Snapshot) bool { return len(s.Instances) == 2 })
	skipped := map[string]string{}
	for _, s := range got.Skipped {
		skipped[s.Entry] += s.Reason + ";"
	}
	for entry, reason := range map[string]string{
		"app/empty": "no content", "app/binary": "not an instance's JSON", "app/list": "not an instance's JSON",
		"app/no address": "no host",
	} {
		if !strings.Contains(skipped[entry], reason) {
			t.Errorf("%s: %q, want %q", entry, skipped[entry], reason)
		}
	}
	if reason, skipped := skipped["app/good"]; skipped {
		t.Errorf("a rest port beside the others is nothing wrong: %s", reason)
	}
	for _, i := range got.Instances {
		if i.Disabled != (i.Host == "192.0.2.3") || i.Port != 21880 { // no port in the metadata: the protocol's endpoint
			t.Errorf("%+v", i)
		}
	}
}

// Dubbo 2.7 by application writes its mapping elsewhere, and no revision into its nodes.
func TestDubbo27Application(t *testing.T) {
	r := newRig(t, shared.get(t))
	old := func(host string, since time.Time) {
		r.writer.live(r.rservices("old", host+":20880"), fmt.Sprintf(`{"name":"old","id":"%[1]s:20880","address":%[1]q,"port":20880,"sslPort":null,
 "payload":{"@class":"org.apache.dubbo.registry.zookeeper.ZookeeperInstance","id":null,"name":"old",
  "metadata":{"dubbo.endpoints":"[{\"port\":20880,\"protocol\":\"dubbo\"}]","dubbo.metadata-service.url-params":"{\"dubbo\":{\"version\":\"1.0.0\",\"port\":\"20881\"}}","dubbo.metadata.storage-type":"local"}},
 "registrationTimeUTC":%[2]d,"serviceType":"DYNAMIC","uriSpec":null}`, host, since.UnixMilli()))
	}
	p := r.Watch(registry.DubboService("a.S", "", "1.0.0"))
	r.writer.put(r.rdubbo("metadata/old/AA"), metadataInfo("old", "AA", "a.S:1.0.0:dubbo=0"))
	r.writer.put(r.rdubbo("config/mapping/a.S/old"), "1795513125166")
	old("192.0.2.1", time.Now())
	p.Until("the instance", registrytest.Has("dubbo://192.0.2.1:20880"))
	// A newer revision does not export it any more: that is true of those that register from now on.
	time.Sleep(5 * time.Millisecond) // the times of creation must differ
	r.writer.put(r.rdubbo("metadata/old/BB"), metadataInfo("old", "BB", "a.T:1.0.0:dubbo=0"))
	old("192.0.2.2", time.Now())
	s := r.Watch(registry.DubboService("a.T", "", "1.0.0"))
	r.writer.put(r.rdubbo("config/mapping/a.T/old"), "1795513125166")
	s.Until("the new instance", registrytest.Has("dubbo://192.0.2.2:20880"))
	old("192.0.2.3", time.Now().Add(-time.Hour)) // neither was there then
	got := p.Until("the impossible one skipped", func(s registry.Snapshot) bool { return s.SkippedCount == 1 })
	if len(got.Instances) != 1 || got.Skipped[0].Entry != "old/192.0.2.3:20880" {
		t.Errorf("%+v", got)
	}
}
