package etcd

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/dubbo"
)

// filled is a state, and its three kinds of roots.
func filled() (st *state, plainRoot, nodesRoot, dubboRoot root) {
	return newState(), root{field: "prefix", base: "/p/", plain: true}, root{field: "servicesRoot", base: "/s/", nodes: true},
		root{field: "dubboRoot", base: "/d/", dubbo: true}
}

// changed are the subjects of the changes since the last call, as text, and whether the list may have changed.
func changed(st *state) (subjects string, list bool) {
	c := st.takeChanges()
	var all []string
	for s := range c.subjects {
		all = append(all, s.kind.String()+" "+s.name)
	}
	slices.Sort(all)
	return strings.Join(all, ", "), c.list
}

// TestChanges: each event touches the services that it is about, and no others.
func TestChanges(t *testing.T) {
	st, plainRoot, nodes, dubbo := filled()
	_, node := instanceOf("app", "h", 1, "r", metadataOf("app", providerURL("tri", "h", 1, map[string][]string{})))
	both := root{field: "prefix", base: "/b/", plain: true, nodes: true}
	for n, step := range []struct {
		root       root
		rel, value string
		remove     bool
		subjects   string
		list       bool
	}{
		{plainRoot, "orders/a", "h:1", false, "plain orders", true},
		{plainRoot, "orders/b", "h:2", false, "plain orders", false},
		{plainRoot, "orders/b", "h:3", false, "plain orders", false},
		{plainRoot, "orders/b", "", true, "plain orders", false},
		{plainRoot, "orders/never", "", true, "", false},
		{plainRoot, "never/a", "", true, "", false},
		{plainRoot, "folder", "", false, "", false},
		{plainRoot, "/a", "h:1", false, "", false},
		{plainRoot, "a/", "h:1", false, "", false},
		{plainRoot, "orders/a", "", true, "plain orders", true},
		{nodes, "app/h:1", "h:1", false, "", false}, // nothing plain stands there
		{nodes, "app/h:1", node, false, "dubbo " + users, true},
		{nodes, "app/h:1", node, false, "dubbo " + users, true},
		{nodes, "app/h:1", "", true, "dubbo " + users, true},
		{plainRoot, "app/h:1", node, false, "", false}, // and nothing of Dubbo's here
		{both, "app/h:1", "h:1", false, "plain app", true},
		{both, "app/h:1", node, false, "dubbo " + users + ", plain app", true}, // it was the last plain one
		{both, "app/h:1", "h:1", false, "dubbo " + users + ", plain app", true},
		{both, "app/h:1", "", true, "plain app", true},
		{dubbo, users + "/providers/dubbo%3A%2F%2Fh%3A1%2F" + users, "", false, "dubbo " + users, true},
		{dubbo, users + "/providers", "", false, "", false},
		{dubbo, users + "/consumers/x", "", false, "", false},
		{dubbo, "mapping/" + users, "app", false, "", false},
		{dubbo, users + "/providers/dubbo%3A%2F%2Fh%3A1%2F" + users, "", true, "dubbo " + users, true},
	} {
		if step.remove {
			st.remove(step.root, step.rel)
		} else {
			st.put(step.root, step.rel, []byte(step.value))
		}
		if subjects, list := changed(st); subjects != step.subjects || list != step.list {
			t.Errorf("step %d, %s%s: %q, list %v; want %q, %v", n, step.root.base, step.rel, subjects, list, step.subjects, step.list)
		}
	}
	if n := len(st.plain) + len(st.apps) + len(st.ifaces) + len(st.learn); n != 0 {
		t.Errorf("%d things are left", n)
	}
}

// TestOnlyFollowersWake: those of the service that changed, and those of the list if that may have changed.
func TestOnlyFollowersWake(t *testing.T) {
	x := newIndex()
	st, plainRoot, _, _ := filled()
	x.install(st)
	orders, other := subject{registry.Plain, "orders"}, subject{registry.Plain, "other"}
	a, b, c, list := x.join(&orders), x.join(&orders), x.join(&other), x.join(nil)
	woken := func(f *follower) bool {
		select {
		case <-f.wake:
			return true
		default:
			return false
		}
	}
	for _, f := range []*follower{a, b, c, list} {
		if !woken(f) {
			t.Error("a new follower was not woken")
		}
	}
	put := func(rel string) {
		x.mu.Lock()
		defer x.mu.Unlock()
		st.put(plainRoot, rel, []byte("h:1"))
		x.wake(st.takeChanges())
	}
	put("orders/a")
	if !woken(a) || !woken(b) || woken(c) || !woken(list) {
		t.Error("a new service")
	}
	put("orders/b")
	if !woken(a) || !woken(b) || woken(c) || woken(list) {
		t.Error("another instance")
	}
	x.leave(&orders, b)
	put("orders/b")
	put("orders/b")
	if !woken(a) || woken(a) || woken(b) {
		t.Error("after one has left, and two changes")
	}
	x.leave(&orders, a)
	x.leave(&other, c)
	x.leave(nil, list)
	if len(x.followers)+len(x.lists) != 0 {
		t.Error("followers are left")
	}
}

// TestInherit: what was learned before a reconnection is known after it, as long as somebody runs it.
func TestInherit(t *testing.T) {
	old, _, nodes, _ := filled()
	_, bare := instanceOf("app", "h", 1, "r1", nil)
	_, other := instanceOf("app", "h", 2, "r2", nil)
	old.put(nodes, "app/h:1", []byte(bare))
	old.learned(old.learn[revision{"app", "r1"}], []dubbo.Exported{{Service: registry.DubboService(users, "", ""), Protocol: "tri"}})
	next, _, _, _ := filled()
	next.put(nodes, "app/h:1", []byte(bare))
	next.put(nodes, "app/h:2", []byte(other))
	if !next.untried() {
		t.Error("nothing to ask for")
	}
	next.inherit(old)
	if l := next.learn[revision{"app", "r1"}]; !l.known || len(next.export[users]) != 1 {
		t.Errorf("%+v", l)
	}
	if l := next.learn[revision{"app", "r2"}]; l.known || !next.untried() {
		t.Errorf("%+v", l)
	}
	next.remove(nodes, "app/h:1")
	if _, there := next.learn[revision{"app", "r1"}]; there {
		t.Error("a revision that nobody runs is remembered")
	}
}

// TestNodeForms: what an application's instance may look like.
func TestNodeForms(t *testing.T) {
	java := `{"id":"x","serviceName":"app","host":"10.0.0.1","port":20880,"enabled":false,"healthy":true,"metadata":{
		"dubbo.metadata.revision":"r","weight":"300","dubbo.endpoints":"[{\"port\":20881,\"protocol\":\"tri\"}]",
		"dubbo.metadata-service.url-params":"{\"protocol\":\"tri\",\"port\":\"20890\"}"}}`
	n := parseAppNode("app", []byte(java))
	if n == nil || n.Host != "10.0.0.1" || !n.disabled || n.rev.id != "r" || n.Ports["tri"] != 20881 || n.Source != (dubbo.Source{Protocol: "tri", Address: "10.0.0.1:20890"}) {
		t.Fatalf("%+v", n)
	}
	i, err := n.instance(&dubbo.Exported{Service: registry.DubboService("a.B", "", ""), Protocol: "tri", Path: "other", Params: map[string]string{"release": "3"}})
	if err != nil || i.Port != 20881 || i.Weight != 3 || i.Path != "other" || !i.Disabled || i.Metadata["application"] != "app" || i.Metadata[dubbo.EndpointsKey] != "" {
		t.Errorf("%+v, %v", i, err)
	}
	if _, err := n.instance(&dubbo.Exported{Protocol: "rest"}); err == nil {
		t.Error("rest is spoken")
	}
	golang := `{"Host":"[2001:db8::1]","Port":1,"Weight":200,"Enable":true,"Healthy":false,"Tag":"blue","Metadata":{"dubbo.exported-services.revision":"old"}}`
	n = parseAppNode("app", []byte(golang))
	if n == nil || n.Host != "2001:db8::1" || n.disabled || !n.unhealthy || n.rev.id != "old" || n.Source.Address != "[2001:db8::1]:1" {
		t.Fatalf("%+v", n)
	}
	if i, err := n.instance(&dubbo.Exported{Protocol: "dubbo", Params: map[string]string{"weight": "1"}}); err != nil || i.Weight != 2 || i.Metadata["dubbo.tag"] != "blue" || !i.Unhealthy {
		t.Errorf("%+v, %v", i, err)
	}
	for _, bad := range []string{
		"", "h:1", `{"dubbo.metadata.revision":"r"}`, `{"metadata":{"x":"\"dubbo."}}`, `{"metadata":{"dubbo.x":"y"}`, `{"metadata":"\"dubbo.x\""}`,
		`{"metadata":{"dubbo.x":"` + strings.Repeat("x", maxValue*8) + `"}}`,
	} {
		if n := parseAppNode("app", []byte(bad)); n != nil {
			t.Errorf("%.80s: %+v", bad, n)
		}
	}
	if n := parseAppNode("app", []byte(`{"host":"0.0.0.0","port":1,"metadata":{"dubbo.x":""}}`)); n == nil || n.Source.Address != "" {
		t.Errorf("%+v", n)
	}
}
