package zookeeper

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

func TestJavaProviders(t *testing.T) {
	if testing.Short() {
		t.Skip("each provider takes seconds to start")
	}
	remote := []string{"-Ddubbo.application.metadata-type=remote"}
	for _, c := range []struct {
		name    string
		options testbed.ProviderOptions
	}{
		{"3.3.6 all, dubbo and tri", testbed.ProviderOptions{Protocols: []string{"dubbo", "tri"}}},
		{"3.3.6 interface", testbed.ProviderOptions{RegisterMode: "interface"}},
		{"3.3.6 instance, dubbo", testbed.ProviderOptions{RegisterMode: "instance"}},
		{"3.3.6 instance, tri", testbed.ProviderOptions{RegisterMode: "instance", Protocols: []string{"tri"}}},
		{"3.3.6 instance, dubbo and tri", testbed.ProviderOptions{RegisterMode: "instance", Protocols: []string{"dubbo", "tri"}}},
		{"3.3.6 instance, remote metadata", testbed.ProviderOptions{RegisterMode: "instance", JVM: remote}},
		{"2.7.23 interface", testbed.ProviderOptions{Version: "2.7.23"}},
		{"2.7.23 instance", testbed.ProviderOptions{Version: "2.7.23", RegisterMode: "instance"}},
		{"2.7.23 instance, remote metadata", testbed.ProviderOptions{Version: "2.7.23", RegisterMode: "instance", JVM: remote}},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := testbed.StartZooKeeper(t)
			w := watch(t, server)
			c.options.Registry = "zookeeper://" + server.Addr()
			c.options.Parameters = map[string]string{"weight": "250"}
			p := testbed.StartDubboProvider(t, c.options)
			protocols := c.options.Protocols
			if len(protocols) == 0 {
				protocols = []string{"dubbo"}
			}
			var one, both []string
			for _, name := range protocols {
				address := name + "://localhost:" + strings.TrimPrefix(p.AddrOf(name), "127.0.0.1:")
				if c.options.Protocols == nil {
					address = name + "://localhost:" + strings.TrimPrefix(p.Addr(), "127.0.0.1:")
				}
				one, both = append(one, address), append(both, address, address)
			}
			w.untilInstances(plain, one...)
			w.untilInstances(grouped, one...)
			w.untilInstances(every, both...)
			w.until("two services listed", func() bool {
				w.mu.Lock()
				defer w.mu.Unlock()
				return slices.Equal(w.set.Services, []registry.ServiceName{plain, grouped})
			})
			w.until("the definition", func() bool {
				w.mu.Lock()
				defer w.mu.Unlock()
				return strings.Contains(w.definition, `"canonicalName":"com.example.UserService"`)
			})
			w.check(c.options)
			stopped := make(chan error, 1)
			go func() { stopped <- p.Stop() }() // its nodes are gone long before it is
			w.untilInstances(every)
			w.until("no service listed", func() bool {
				w.mu.Lock()
				defer w.mu.Unlock()
				return len(w.set.Services) == 0
			})
			if err := <-stopped; err != nil {
				t.Error(err)
			}
		})
	}
}

// check looks at what an instance says, as far as the version of Dubbo stores it.
func (w *watched) check(o testbed.ProviderOptions) {
	w.mu.Lock()
	defer w.mu.Unlock()
	byApplication := o.RegisterMode == "instance"
	terse := byApplication && o.Version == "2.7.23"
	for name, s := range w.snapshots {
		if s.SkippedCount > 0 {
			w.t.Errorf("%v: skipped %+v", name, s.Skipped)
		}
		for _, i := range s.Instances {
			m := i.Metadata
			if i.Disabled || i.Path != "" || m["application"] != "users" || m["release"] == "" {
				w.t.Errorf("%v: %+v", name, i)
			}
			if !terse && (i.Weight != 2.5 || !strings.Contains(m["methods"], "whoami") || m["timestamp"] == "") {
				w.t.Errorf("%v: %+v", name, i)
			}
			if _, by := m["dubbo.metadata.revision"]; by != (byApplication && !terse) {
				w.t.Errorf("%v: by application: %v", name, by)
			}
		}
	}
}
