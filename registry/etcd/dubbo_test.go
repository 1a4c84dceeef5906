package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"testing"

	"dubbo.apache.org/dubbo-go/v3/common"
	"dubbo.apache.org/dubbo-go/v3/metadata/info"

	"github.com/sluice-gateway/sluice/registry"
)

const users = "com.example.UserService"

// providerURL is what dubbo-go registers for an interface, made by its own code.
func providerURL(protocol, host string, port int, params url.Values) *common.URL {
	params.Set("interface", users)
	return common.NewURLWithOptions(
		common.WithProtocol(protocol), common.WithIp(host), common.WithPort(fmt.Sprint(port)), common.WithPath(users), common.WithParams(params))
}

// dubboKey is where dubbo-go's etcd registry puts it.
func dubboKey(c *Config, u *common.URL) string {
	return c.DubboRoot + "/" + users + "/providers/" + url.QueryEscape(u.String())
}

// TestProviders: what is registered by interface, told apart by group and version.
func TestProviders(t *testing.T) {
	c := section(t, shared.Addr())
	p := produce(t, shared.Addr())
	for _, folder := range []string{"", "/" + users, "/" + users + "/providers"} {
		p.put(c.DubboRoot+folder, "") // as dubbo-go's CreatePath does
	}
	one := dubboKey(c, providerURL("dubbo", "10.0.0.1", 20880, url.Values{"weight": {"200"}, "release": {"dubbo-golang-3.3.2"}, "application": {"users"}, "methods": {"getUser,setUser"}}))
	p.put(one, "")
	p.put(dubboKey(c, providerURL("tri", "10.0.0.2", 20881, url.Values{"group": {"g"}, "version": {"1.0"}})), "")
	p.put(dubboKey(c, providerURL("rest", "10.0.0.3", 8080, url.Values{})), "")
	p.put(c.DubboRoot+"/"+users+"/providers/not%zza%20url", "")
	p.put(c.DubboRoot+"/"+users+"/consumers/consumer%3A%2F%2F10.0.0.9%2F"+users, "")
	p.put(c.DubboRoot+"/mapping/"+users, "users")

	r := run(t, c)
	plain, group, any := r.Watch(registry.DubboService(users, "", "")), r.Watch(registry.DubboService(users, "g", "1.0")), r.Watch(registry.DubboService(users, "*", "*"))
	s := shows(t, plain, "dubbo://10.0.0.1:20880")
	if i := s.Instances[0]; i.Weight != 2 || i.Path != "" || i.Metadata["methods"] != "getUser,setUser" || i.Metadata["application"] != "users" {
		t.Errorf("%+v", i)
	}
	if s.SkippedCount != 2 { // the rest port, and what is no URL
		t.Errorf("skipped %+v", s.Skipped)
	}
	shows(t, group, "tri://10.0.0.2:20881")
	shows(t, any, "dubbo://10.0.0.1:20880", "tri://10.0.0.2:20881")
	list := r.WatchServices()
	lists := func(want ...registry.ServiceName) {
		t.Helper()
		list.Until(fmt.Sprint(want), func(s registry.ServiceSet) bool { return slices.Equal(s.Services, want) })
	}
	lists(registry.DubboService(users, "", ""), registry.DubboService(users, "g", "1.0"))
	p.remove(one)
	shows(t, plain)
	shows(t, any, "tri://10.0.0.2:20881")
	lists(registry.DubboService(users, "g", "1.0"))
}

// serviceInstance has the JSON of dubbo-go's registry.DefaultServiceInstance, whose package cannot be imported without all of
// dubbo-go.
type serviceInstance struct {
	ID, ServiceName, Host string
	Port                  int
	Weight                int64
	Enable, Healthy       bool
	Metadata              map[string]string
	ServiceMetadata       *info.MetadataInfo
	Address, GroupName    string
	Tag                   string
}

func instanceOf(app, host string, port int, revision string, m *info.MetadataInfo) (key, value string) {
	i := serviceInstance{
		ID: fmt.Sprintf("%s:%d", host, port), ServiceName: app, Host: host, Port: port, Enable: true, Healthy: true, ServiceMetadata: m,
		Metadata: map[string]string{
			"dubbo.metadata.storage-type": "local", "dubbo.metadata.revision": revision,
			"dubbo.endpoints": fmt.Sprintf(`[{"port":%d,"protocol":"tri"}]`, port),
		},
	}
	text, err := json.Marshal(i)
	if err != nil {
		panic(err)
	}
	return "/" + app + "/" + i.ID, string(text)
}

func metadataOf(app string, services ...*common.URL) *info.MetadataInfo {
	m := info.NewAppMetadataInfo(app)
	for _, u := range services {
		m.AddService(u)
	}
	return m
}

// TestApplications: what dubbo-go registers by application, told from plain services in the same folder.
func TestApplications(t *testing.T) {
	c := section(t, shared.Addr())
	p := produce(t, shared.Addr())
	m := metadataOf("users", providerURL("tri", "10.0.0.1", 20000, url.Values{"weight": {"50"}}), providerURL("dubbo", "10.0.0.1", 20880, url.Values{"group": {"g"}}))
	key, value := instanceOf("users", "10.0.0.1", 20000, "r1", m)
	p.put(c.ServicesRoot+key, value)
	p.put(c.ServicesRoot+"/orders/a", "10.0.0.8:80")

	r := run(t, c)
	w, g, none, app, list := r.Watch(registry.DubboService(users, "", "")), r.Watch(registry.DubboService(users, "g", "")),
		r.Watch(registry.DubboService("com.example.None", "", "")), r.Watch(registry.App("users")), r.WatchServices()
	i := shows(t, w, "tri://10.0.0.1:20000").Instances[0]
	if i.Weight != 0.5 || i.Metadata["application"] != "users" {
		t.Errorf("%+v", i)
	}
	shows(t, g, "dubbo://10.0.0.1:20880")
	shows(t, none)
	shows(t, app)
	list.Until("all", func(s registry.ServiceSet) bool {
		return slices.Equal(s.Services, []registry.ServiceName{registry.App("orders"), registry.DubboService(users, "", ""), registry.DubboService(users, "g", "")})
	})

	p.put(dubboKey(c, providerURL("tri", "10.0.0.1", 20000, url.Values{"weight": {"400"}})), "") // both ways
	w.Until("its own weight", func(s registry.Snapshot) bool { return len(s.Instances) == 1 && s.Instances[0].Weight == 4 })

	key2, value2 := instanceOf("users", "10.0.0.2", 20000, "r1", nil) // the same revision says the same
	p.put(c.ServicesRoot+key2, value2)
	shows(t, w, "tri://10.0.0.1:20000", "tri://10.0.0.2:20000")
	p.remove(c.ServicesRoot + key)
	p.remove(c.ServicesRoot + key2)
	shows(t, g)
	shows(t, w, "tri://10.0.0.1:20000") // by interface
}

// asked is an instance's MetadataService.
type asked map[string]string

func (a asked) FetchMetadata(_ context.Context, protocol, address, app, revision string) ([]byte, error) {
	if text, ok := a[protocol+"://"+address+"/"+app+"/"+revision]; ok {
		return []byte(text), nil
	}
	return nil, errors.New("connection refused")
}

// TestLearning: what an instance does not say itself is in etcd, or an instance is asked; a first push waits for it.
func TestLearning(t *testing.T) {
	c := section(t, shared.Addr())
	p := produce(t, shared.Addr())
	text := func(app string, port int) string {
		text, err := json.Marshal(metadataOf(app, providerURL("dubbo", "10.0.0.1", port, url.Values{})))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	p.put(c.DubboRoot+"/a/ra", text("a", 20880))
	for _, app := range []string{"a", "b", "c"} {
		key, value := instanceOf(app, "10.0.0.1", 20880+int(app[0]-'a'), "r"+app, nil)
		p.put(c.ServicesRoot+key, value)
	}
	key, value := instanceOf("d", "10.0.0.1", 1, "0", nil) // exports nothing, and nobody asks
	p.put(c.ServicesRoot+key, value)

	r := runWith(t, c, asked{"tri://10.0.0.1:20881/b/rb": text("b", 20881)})
	w := r.Watch(registry.DubboService(users, "", ""))
	shows(t, w, "dubbo://10.0.0.1:20880", "dubbo://10.0.0.1:20881")
	if first := w.All()[0]; len(first.Instances) != 2 {
		t.Errorf("the first push was half an answer: %+v", first)
	}
	r.AwaitError("metadata of c, revision rc", "tri://10.0.0.1:20882", "connection refused")
	p.put(c.DubboRoot+"/c/rc", text("c", 20882)) // it is tried again
	shows(t, w, "dubbo://10.0.0.1:20880", "dubbo://10.0.0.1:20881", "dubbo://10.0.0.1:20882")
}
