package consul

import (
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/sluice-gateway/sluice/registry"
)

// provide registers a provider as Dubbo 2.7's ConsulRegistry does: the interface as name, every parameter as a tag, the URL in
// Meta if it fits.
func (a *agent) provide(iface, protocol, host string, port int, params ...string) string {
	a.t.Helper()
	params = append(params, "interface="+iface, "side=provider", "dubbo=2.0.2")
	url := protocol + "://" + host + ":" + formatInt(port) + "/" + iface + "?" + strings.Join(params, "&")
	return a.register(iface, host, port, func(r *api.AgentServiceRegistration) {
		r.Tags = append(slices.Clone(params), "dubbo")
		if len(url) <= 512 {
			r.Meta = map[string]string{"url": url}
		}
		r.Check = &api.AgentServiceCheck{TTL: "16s", DeregisterCriticalServiceAfter: "20s", Status: api.HealthPassing}
	})
}

func TestDubboProviders(t *testing.T) {
	server := shared.get(t)
	a := newAgent(t, server)
	r := newRig(t, server.Addr())
	iface := "com.example." + strings.ReplaceAll(uniqueName(t), "-", "_")
	exact := r.Watch(registry.DubboService(iface, "blue", "1.0"))
	bare := r.Watch(registry.DubboService(iface, "", ""))
	every := r.Watch(registry.DubboService(iface, "*", "*"))
	list := r.WatchServices()
	every.Until("nothing at first", has())

	for _, id := range []string{
		a.provide(iface, "dubbo", "192.0.2.1", 20880, "group=blue", "version=1.0", "weight=200", "application=shop"),
		a.provide(iface, "dubbo", "192.0.2.2", 20880, "group=blue", "version=2.0", "x="+strings.Repeat("y", 600)),
		a.provide(iface, "tri", "192.0.2.3", 50051),
		a.provide(iface, "rest", "192.0.2.4", 8080),
		a.register(iface, "192.0.2.5", 80), // no provider: something else of that name
	} {
		defer a.deregister(id)
	}
	s := exact.Until("the one of this group and version", has("192.0.2.1:20880"))
	if i := s.Instances[0]; i.Protocol != "dubbo" || i.Weight != 2 || i.Group != "blue" || i.Version != "1.0" || i.Path != "" || i.Metadata["application"] != "shop" {
		t.Errorf("%+v", i)
	}
	s = bare.Until("the one without", has("192.0.2.3:50051"))
	if i := s.Instances[0]; i.Protocol != "tri" || i.Weight != 1 {
		t.Errorf("%+v", i)
	}
	s = every.Until("all that can be called", has("192.0.2.1:20880", "192.0.2.2:20880", "192.0.2.3:50051"))
	if s.SkippedCount != 1 || !strings.Contains(s.Skipped[0].Reason, `protocol "rest"`) {
		t.Errorf("%+v", s.Skipped)
	}
	list.Until("the names", func(s registry.ServiceSet) bool {
		return slices.Contains(s.Services, registry.DubboService(iface, "blue", "1.0")) &&
			slices.Contains(s.Services, registry.DubboService(iface, "blue", "2.0")) && !slices.Contains(s.Services, registry.App(iface))
	})
}

func TestDubboEntries(t *testing.T) {
	r := &consul{config: Default()}
	service := registry.DubboService("a.B", "*", "*")
	for name, c := range map[string]struct {
		entry *api.ServiceEntry
		want  string
	}{
		"by tags":          {entry(tags("dubbo", "interface=a.B", "path=x/a.B", "protocol=tri", "version=3", "weight=50")), "tri|192.0.2.1:80|||3|x/a.B|0.5|"},
		"disabled":         {entry(meta("url", "dubbo://h:1/a.B?enabled=false")), "dubbo|h:1|||||1| disabled"},
		"unhealthy":        {entry(meta("url", "dubbo://h:1/a.B?weight=0"), checks("critical")), "dubbo|h:1|||||0| unhealthy"},
		"weights multiply": {entry(meta("url", "dubbo://h:1/a.B?weight=300"), func(e *api.ServiceEntry) { e.Service.Weights.Passing = 2 }), "dubbo|h:1|||||6|"},
		"weight nonsense":  {entry(meta("url", "dubbo://h:1/a.B?weight=1e3")), "dubbo|h:1|||||1|"},
		"consumer":         {entry(meta("url", "dubbo://h:1/a.B?category=consumers")), ""},
		"any address":      {entry(meta("url", "dubbo://0.0.0.0:1/a.B")), "! host \"0.0.0.0\" is no address of one machine"},
		"no URL, no tags":  {entry(tags("dubbo")), "! neither a url in its Meta nor an interface among its tags"},
		"escaped":          {entry(meta("url", "dubbo%3A%2F%2Fh%3A1%2Fa.B%3Fversion%3D1")), "dubbo|h:1|||1||1|"},
		"no port":          {entry(meta("url", "dubbo://h/a.B")), "! no port"},
		"bad URL":          {entry(meta("url", "x")), "! url: not a URL"},
	} {
		s := snapshot(service, []*api.ServiceEntry{c.entry}, r.dubboInstance)
		got := ""
		for _, i := range s.Instances {
			got += describe(i)
		}
		for _, k := range s.Skipped {
			got += "! " + k.Reason
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestNamesOf(t *testing.T) {
	for _, c := range []struct {
		tags []string
		want string
	}{
		{nil, "a.B"},
		{[]string{"group=g"}, "a.B"}, // no tag dubbo
		{[]string{"dubbo"}, "a.B"},
		{[]string{"version=1", "dubbo", "group=g", "version=1"}, "g/a.B:1"},
		{[]string{"dubbo", "version=1", "version=2", "group=g", "group=h", "x"}, "g/a.B:1 g/a.B:2 h/a.B:1 h/a.B:2"},
	} {
		var got []string
		for _, n := range namesOf("a.B", c.tags) {
			if (n.Kind == registry.Dubbo) != slices.Contains(c.tags, "dubbo") {
				t.Errorf("%v: %v", c.tags, n.Kind)
			}
			got = append(got, n.String())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v: %v, want %s", c.tags, got, c.want)
		}
	}
	var many []string
	for n := range 40 {
		many = append(many, "group="+formatInt(n), "version="+formatInt(n))
	}
	if n := len(namesOf("a.B", append(many, "dubbo"))); n != maxPairs {
		t.Errorf("%d pairs", n)
	}
}
