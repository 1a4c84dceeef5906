package nacos

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

func in(namespace string) func(*Config, *registry.Options) {
	return func(c *Config, _ *registry.Options) { c.Namespace = namespace }
}

// TestUnknownNamespace asks a real server, which answers for it as for an empty one.
func TestUnknownNamespace(t *testing.T) {
	space := uniq(t, "ns")
	if err := shared(t).CreateNamespace(t.Context(), space); err != nil {
		t.Fatal(err)
	}
	wrong := newRig(t, shared(t).Addr(), in(space+"x"))
	wrong.Watch(registry.App("a")).Until("an answer all the same", registrytest.Has())
	registrytest.Within(t, "the error", func() bool {
		return wrong.SawError(fmt.Sprintf("namespace %q does not exist; the server has ", space+"x"))
	})
	if s := wrong.State(); s != registry.Live {
		t.Errorf("the state is %v", s)
	}

	// It comes to life when a provider registers in it.
	i := testbed.Instance{Namespace: space + "x", Service: "a", IP: "10.0.0.1", Port: 80}
	if err := shared(t).Register(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	alive := newRig(t, shared(t).Addr(), in(space+"x"))
	alive.Watch(registry.App("a")).Until("the instance", registrytest.Has("10.0.0.1:80"))

	empty := newRig(t, shared(t).Addr(), in(space))
	empty.Watch(registry.App("a")).Until("an answer", registrytest.Has())
	registrytest.Within(t, "the checks to be done", func() bool { return empty.checked() && alive.checked() })
	empty.NoErrors()
	alive.NoErrors()
}

// checked reports whether the session has no doubts about the namespace left.
func (r *rig) checked() bool {
	r.reg.mu.Lock()
	defer r.reg.mu.Unlock()
	return r.reg.session != nil && r.reg.session.spaceChecked.Load()
}

func TestNamespaceThatCannotBeSeen(t *testing.T) {
	f, d := startFake(t), newDoor(t)
	r := f.rig(d.behind(f), in("dev"))
	registrytest.Within(t, "a hint", func() bool {
		return r.SawError(`namespace "dev" holds no service in groups [DEFAULT_GROUP], and whether it exists cannot be seen: `+d.web.URL) &&
			r.SawError("answers 403 Forbidden (check that it is the namespace's id, not its name)")
	})
	f.with(func() { f.services["DEFAULT_GROUP@@a"] = nil })
	q := f.rig(d.behind(f), in("dev"))
	registrytest.Within(t, "the check to be done", q.checked)
	q.NoErrors()
	// Of Nacos 2.
	f.with(func() { clear(f.services) })
	d.with(func() {
		d.pages = map[string]string{"/nacos" + namespacesPathV2: `{"code":200,"data":[{"namespace":"","namespaceShowName":"public"},{"namespace":"7f-1","namespaceShowName":"dev"}]}`}
	})
	o := f.rig(d.behind(f), in("dev"))
	registrytest.Within(t, "the id", func() bool { return o.SawError(`it is the name of the one whose id is "7f-1", give the id`) })
}

func TestReadNamespaces(t *testing.T) {
	for body, want := range map[string]int{
		`{"code":0,"data":[{"namespace":"public","namespaceShowName":"public"},{"namespace":"a"}]}`: 2,
		`{"code":0,"data":[]}`: 0, `{"data":{}}`: 0, `[]`: 0, `<html>`: 0, ``: 0, `null`: 0,
	} {
		got, err := readNamespaces([]byte(body))
		if len(got) != want || (err == nil) != (want > 0) {
			t.Errorf("%s: %v %v", body, got, err)
		}
	}
	many := make([]namespace, 1000)
	for n := range many {
		many[n] = namespace{ID: fmt.Sprint("id", n), Name: strings.Repeat("x", 1<<10)}
	}
	if err := unknownNamespace("dev", many); len(err.Error()) > 5000 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
	if err := unknownNamespace("id7", many); err != nil {
		t.Error(err)
	}
}

// FuzzNamespaces reads whatever a server may say of its namespaces.
func FuzzNamespaces(f *testing.F) {
	f.Add([]byte(`{"code":0,"data":[{"namespace":"public","namespaceShowName":"public"},{"namespace":"a"}]}`))
	f.Add([]byte(`{"data":{}}`))
	f.Add([]byte(`<html>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		all, err := readNamespaces(body)
		if (err == nil) != (len(all) > 0) {
			t.Errorf("%v %v", all, err)
		}
		_ = unknownNamespace("dev", all)
	})
}
