package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/strictyaml"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// report is one call of Options.Report.
type report struct {
	state registry.State
	err   error
}

// running is a registry that runs until the test ends.
type running struct {
	t       *testing.T
	reg     registry.Registry
	folder  string
	reports chan report
}

func run(t *testing.T, folder string) *running {
	t.Helper()
	r := &running{t: t, folder: folder, reports: make(chan report, 1000)}
	reg, err := (&Config{Path: folder}).Build(registry.Options{Report: func(s registry.State, err error) { r.reports <- report{s, err} }})
	if err != nil {
		t.Fatal(err)
	}
	r.reg = reg
	r.start(reg.Run)
	return r
}

func (r *running) start(task func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- task(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
}

func (r *running) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.folder, name)
	must(r.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(r.t, os.WriteFile(path+".new", []byte(text), 0o600))
	must(r.t, os.Rename(path+".new", path))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *running) watch(name registry.ServiceName) chan registry.Snapshot {
	pushes := make(chan registry.Snapshot, 1000)
	r.start(func(ctx context.Context) error {
		return r.reg.Watch(ctx, name, func(s registry.Snapshot) { pushes <- s })
	})
	return pushes
}

// addresses is a snapshot in short.
func addresses(s registry.Snapshot) string {
	var all []string
	for _, i := range s.Instances {
		all = append(all, i.Address())
	}
	for _, skipped := range s.Skipped {
		all = append(all, "skipped:"+skipped.Entry)
	}
	return strings.Join(all, " ")
}

// await waits for a push that looks as wanted; others may come before it.
func await[T any](t *testing.T, pushes chan T, show func(T) string, want string) T {
	t.Helper()
	deadline := time.After(10 * time.Second)
	got := "nothing"
	for {
		select {
		case v := <-pushes:
			if got = show(v); got == want {
				return v
			}
		case <-deadline:
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

func (r *running) awaitReport(state registry.State, message string) {
	r.t.Helper()
	await(r.t, r.reports, func(p report) string {
		ok := p.state == state && (message == "" && p.err == nil || message != "" && p.err != nil && strings.Contains(p.err.Error(), message))
		if ok {
			return "as wanted"
		}
		return fmt.Sprint(p.state, " ", p.err)
	}, "as wanted")
}

func names(s registry.ServiceSet) string { return fmt.Sprint(s.Services) }

func TestServicesComeChangeAndGo(t *testing.T) {
	r := run(t, t.TempDir())
	r.awaitReport(registry.Live, "")
	sets := make(chan registry.ServiceSet, 1000)
	r.start(func(ctx context.Context) error {
		return r.reg.WatchServices(ctx, func(s registry.ServiceSet) { sets <- s })
	})
	a := r.watch(registry.App("a"))
	await(t, sets, names, "[]")
	await(t, a, addresses, "")
	r.write("one.yaml", `services: {a: ["h:1"], b: ["h:9"]}`)
	await(t, a, addresses, "h:1")
	await(t, sets, names, "[a b]")
	r.write("two.yml", `services: {a: ["h:2", "h:1"]}`) // the same service, and one instance again
	s := await(t, a, addresses, "h:1 h:2 skipped:h:1")
	if s.Service != registry.App("a") || s.SkippedCount != 1 {
		t.Errorf("%+v", s)
	}
	r.write("one.yaml", `services: {a: ["h:3"]}`)
	await(t, a, addresses, "h:3 h:2 h:1")
	await(t, sets, names, "[a]")
	must(t, os.Remove(filepath.Join(r.folder, "two.yml")))
	await(t, a, addresses, "h:3")
	r.write("one.yaml", "")
	await(t, a, addresses, "")
	await(t, sets, names, "[]")
	r.write(".hidden.yaml", `services: {a: ["h:4"]}`)
	r.write("note.txt", `not: [yaml`)
	r.write("below/x.yaml", `services: {a: ["h:5"]}`)
	must(t, os.Mkdir(filepath.Join(r.folder, "folder.yaml"), 0o700))
	r.write("last.yaml", `services: {a: ["h:6"]}`)
	await(t, a, addresses, "h:6")
	if n := len(r.reports); n > 0 {
		t.Errorf("%d reports, such as %v", n, <-r.reports)
	}
}

func TestDubbo(t *testing.T) {
	r := run(t, t.TempDir())
	r.write("d.yaml", `
dubbo:
  - {interface: a.B, group: g, version: 1.0.0, path: x/a.B, instances: ["h:1"]}
  - {interface: a.B, protocol: tri, instances: [{address: "h:2", weight: 0}]}
`)
	one := await(t, r.watch(registry.DubboService("a.B", "g", "1.0.0")), addresses, "h:1")
	want := []registry.Instance{{Host: "h", Port: 1, Weight: 1, Protocol: "dubbo", Group: "g", Version: "1.0.0", Path: "x/a.B"}}
	if d := cmp.Diff(want, one.Instances); d != "" {
		t.Error(d)
	}
	all := await(t, r.watch(registry.DubboService("a.B", "*", "*")), addresses, "h:2 h:1")
	if i := all.Instances[0]; i.Protocol != "tri" || i.Weight != 0 {
		t.Errorf("%+v", i)
	}
	await(t, r.watch(registry.DubboService("a.C", "*", "*")), addresses, "")
}

func TestDefinitions(t *testing.T) {
	r := run(t, t.TempDir())
	watch := func(name registry.ServiceName) chan string {
		pushes := make(chan string, 1000)
		r.start(func(ctx context.Context) error {
			return r.reg.(registry.DefinitionWatcher).WatchDefinition(ctx, name, func(d []byte) { pushes <- string(d) })
		})
		return pushes
	}
	show := func(s string) string { return s }
	r.write("defs/b.json", `{"canonicalName": "a.B"}`)
	r.write("d.yaml", `
dubbo:
  - {interface: a.B, definition: defs/b.json, instances: ["h:1"]}
  - {interface: a.C, version: "2", definition: {canonicalName: a.C, methods: [{name: m}]}}
  - {interface: a.D}
`)
	b := watch(registry.DubboService("a.B", "", ""))
	await(t, b, show, `{"canonicalName": "a.B"}`)
	await(t, watch(registry.DubboService("a.C", "", "2")), show, `{"canonicalName":"a.C","methods":[{"name":"m"}]}`)
	await(t, watch(registry.DubboService("a.C", "", "")), show, "")
	await(t, watch(registry.DubboService("a.D", "", "")), show, "")
	r.write("defs/b.json", `{"canonicalName": "a.B", "x": 1}`)
	await(t, b, show, `{"canonicalName": "a.B", "x": 1}`)

	r.write("defs/b.json", `[`) // the last good one stays
	r.awaitReport(registry.Live, "d.yaml:3:22: dubbo[0].definition: defs/b.json is not a JSON object")
	must(t, os.Remove(filepath.Join(r.folder, "defs/b.json")))
	r.awaitReport(registry.Live, "d.yaml:3:22: dubbo[0].definition: read definition")
	r.write("defs/b.json", `{"back": true}`)
	await(t, b, show, `{"back": true}`)
	r.write("e.yaml", `dubbo: [{interface: a.E, definition: ../b.json}, {interface: a.F, definition: 7}, {interface: a.G, definition: /etc/passwd}]`)
	r.awaitReport(registry.Live, "dubbo[0].definition: must be a file inside the folder")
}

func TestBadFileHidesNothing(t *testing.T) {
	r := run(t, t.TempDir())
	r.write("a.yaml", `services: {a: ["h:1"]}`)
	r.write("b.yaml", `services: {b: ["h:2"]}`)
	a, b := r.watch(registry.App("a")), r.watch(registry.App("b"))
	await(t, a, addresses, "h:1")
	await(t, b, addresses, "h:2")

	r.write("b.yaml", "services:\n  b: [\"h:2\", \"h:x\"]\n  a: 7\nsevices: {}\n")
	s := await(t, b, addresses, "h:2 skipped:b.yaml")
	for _, part := range []string{"b.yaml:2:14: services.b[1]: ", "(and 2 more)", "last good content stays"} {
		if !strings.Contains(s.Skipped[0].Reason, part) {
			t.Errorf("%q lacks %q", s.Skipped[0].Reason, part)
		}
	}
	r.awaitReport(registry.Live, `b.yaml:4:1: sevices: unknown key "sevices"; did you mean "services"?`)
	r.write("a.yaml", `services: {a: ["h:3"]}`)
	await(t, a, addresses, "h:3") // b.yaml never listed it

	r.write("c.yaml", "a: [") // never good: any service may be in it
	await(t, a, addresses, "h:3 skipped:c.yaml")
	await(t, b, addresses, "h:2 skipped:b.yaml skipped:c.yaml")
	r.awaitReport(registry.Live, "c.yaml:1:4: cannot be read as YAML")

	must(t, os.Remove(filepath.Join(r.folder, "c.yaml")))
	r.write("b.yaml", `services: {b: ["h:4"]}`)
	await(t, b, addresses, "h:4")
	await(t, a, addresses, "h:3")
	if err := os.Symlink("nowhere", filepath.Join(r.folder, "d.yaml")); err != nil {
		t.Fatal(err)
	}
	r.awaitReport(registry.Live, "read service file: open ")
	await(t, a, addresses, "h:3 skipped:d.yaml")
}

func TestFolderGoneAndBack(t *testing.T) {
	r := run(t, filepath.Join(t.TempDir(), "etc", "services"))
	a := r.watch(registry.App("a"))
	r.awaitReport(registry.Stale, "read folder of services: open ")
	r.write("a.yaml", `services: {a: ["h:1"]}`)
	r.awaitReport(registry.Live, "")
	await(t, a, addresses, "h:1")

	must(t, os.Rename(r.folder, r.folder+".old"))
	r.awaitReport(registry.Stale, fs.ErrNotExist.Error()[:4])
	if n := len(a); n > 0 {
		t.Errorf("%d pushes while the folder is gone: %+v", n, <-a)
	}
	must(t, os.Rename(r.folder+".old", r.folder))
	r.awaitReport(registry.Live, "")
	await(t, a, addresses, "h:1") // pushed again, as proof
}

func TestConfigMap(t *testing.T) {
	folder := t.TempDir()
	publish := func(n int) {
		version := filepath.Join(folder, fmt.Sprint("..v", n))
		must(t, os.Mkdir(version, 0o700))
		must(t, os.WriteFile(filepath.Join(version, "a.yaml"), fmt.Appendf(nil, `services: {a: ["h:%d"]}`, n), 0o600))
		must(t, os.Symlink(filepath.Base(version), filepath.Join(folder, "..data_tmp")))
		must(t, os.Rename(filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data")))
		must(t, os.RemoveAll(filepath.Join(folder, fmt.Sprint("..v", n-1))))
	}
	publish(1)
	must(t, os.Symlink("..data/a.yaml", filepath.Join(folder, "a.yaml")))
	r := run(t, folder)
	a := r.watch(registry.App("a"))
	for n := 1; n < 5; n++ {
		await(t, a, addresses, fmt.Sprint("h:", n))
		publish(n + 1)
	}
}

func TestUnchangedIsNotPushedAgain(t *testing.T) {
	r := run(t, t.TempDir())
	r.write("a.yaml", `services: {a: ["h:1"]}`)
	a, b := r.watch(registry.App("a")), r.watch(registry.App("b"))
	await(t, a, addresses, "h:1")
	for i := range 5 {
		r.write("b.yaml", fmt.Sprintf(`services: {b: ["h:%d"]}`, 10+i))
		await(t, b, addresses, fmt.Sprint("h:", 10+i))
	}
	if n := len(a); n > 0 {
		t.Errorf("%d pushes of a state that did not change", n)
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err == nil || err.Error() != "path: is missing" {
		t.Error(err)
	}
	if _, err := Default().Build(registry.Options{}); err == nil {
		t.Error("built without a path")
	}
	var _ registry.Config = Default()
}

// TestReadme reads the examples: the section, and the file with the definition that it names.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	must(t, err)
	blocks := strings.Split(string(text), "```yaml\n")
	if len(blocks) != 3 {
		t.Fatalf("%d examples", len(blocks)-1)
	}
	section, _, _ := strings.Cut(blocks[1], "```")
	root, problems := strictyaml.Read("README.md", []byte(section), nil)
	must(t, problems.Err())
	c := Default()
	var d strictyaml.Decoder
	d.Decode(root.Field("registries").Value.Items[0].Without("name", "type"), nil, c)
	if err := errors.Join(d.Problems().Err(), c.Validate()); err != nil || c.Path != "services/" {
		t.Fatal(err, c)
	}
	file, _, _ := strings.Cut(blocks[2], "```")
	r := run(t, t.TempDir())
	r.write("user-service.json", `{"canonicalName": "com.example.UserService"}`)
	r.write("users.yaml", file)
	await(t, r.watch(registry.App("accounts")), addresses, "10.0.0.7:8080 10.0.0.8:8080")
	await(t, r.watch(registry.DubboService("com.example.UserService", "*", "*")), addresses, "10.0.0.9:20880 10.0.0.10:20880")
}

// FuzzParse feeds any file: no panic, and either services or problems.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`services: {a: ["h:1", {address: "h:2", metadata: {x: 1}}]}`))
	f.Add([]byte(`dubbo: [{interface: a.B, definition: {a: b}, instances: ["[::1]:1"]}]`))
	f.Add([]byte("dubbo: [{definition: x.json}]\nservices: {: }"))
	reg := &folder{path: f.TempDir()}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, problems := reg.parse("f.yaml", data, map[string][]byte{})
		if (c == nil) == (problems == nil) {
			t.Fatal(c, problems)
		}
	})
}
