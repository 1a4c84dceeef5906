package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// bare is a folder that nobody watches, for reading files one by one.
func bare(t *testing.T, texts map[string]string) *folder {
	t.Helper()
	f := &folder{path: t.TempDir(), opts: registry.Options{Report: func(registry.State, error) {}}, files: map[string]*loaded{}, changed: make(chan struct{})}
	for name, text := range texts {
		f.put(t, name, text)
	}
	return f
}

func (f *folder) put(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(filepath.Join(f.path, name)), 0o700))
	must(t, os.WriteFile(filepath.Join(f.path, name), []byte(text), 0o600))
}

func TestListed(t *testing.T) {
	for name, want := range map[string]bool{
		"a.yaml": true, "a.yml": true, "a.b.yaml": true, "a.json": false, "a": false, ".a.yaml": false, "..data": false, ".yaml": false,
		"a.yaml~": false, "a.yaml.swp": false, "#a.yaml#": false, "a.YAML": false, "4913": false,
	} {
		if got := listed(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestDefinitionsMustBeObjects has everything that may stand where a definition is named.
func TestDefinitionsMustBeObjects(t *testing.T) {
	f := bare(t, map[string]string{
		"good.json": `{"canonicalName":"a.B"}`, "null.json": `null`, "list.json": `[{}]`, "text.json": `"x"`, "number.json": `7`, "empty.json": ``,
		"half.json": `{"a":`, "two.json": `{} {}`, "sub/deep.json": `{}`,
	})
	for definition, want := range map[string]string{
		"good.json":        "",
		"sub/deep.json":    "",
		"sub/../good.json": "",
		"./good.json":      "",
		"{a: [1, {b: c}]}": "",
		"{}":               "",
		"null.json":        "null.json is not a JSON object",
		"list.json":        "list.json is not a JSON object",
		"text.json":        "text.json is not a JSON object",
		"number.json":      "number.json is not a JSON object",
		"empty.json":       "empty.json is not a JSON object",
		"half.json":        "half.json is not a JSON object",
		"two.json":         "two.json is not a JSON object",
		"missing.json":     "read definition: ",
		"sub":              "read definition: ",
		"../good.json":     "must be a file inside the folder",
		"sub/../../x.json": "must be a file inside the folder",
		"/etc/hosts":       "must be a file inside the folder",
		"''":               "must be a file inside the folder",
		"[good.json]":      "must be the name of a JSON file, or the definition as a mapping",
		"true":             "must be the name of a JSON file, or the definition as a mapping",
		"1.5":              "must be the name of a JSON file, or the definition as a mapping",
	} {
		text := "dubbo:\n- interface: a.B\n  definition: " + definition
		named := map[string][]byte{}
		c, problems := f.parse("f.yaml", []byte(text), named)
		if want == "" {
			if problems != nil || len(c.definitions) != 1 {
				t.Errorf("%s: %v", definition, problems)
			}
			continue
		}
		if len(problems) != 1 || !strings.Contains(problems[0].Message, want) || problems[0].Path != "dubbo[0].definition" || problems[0].Pos.Line != 3 {
			t.Errorf("%s: %v, want %s", definition, problems, want)
		}
		if strings.HasSuffix(definition, ".json") && strings.HasPrefix(want, definition) && len(named) != 1 {
			t.Errorf("%s: its file is not watched", definition)
		}
	}
}

// TestLoadReadsOnlyWhatChanged follows one file: the same content is not parsed again, a changed definition is, a mistake
// keeps what was good, and the same trouble is not told twice.
func TestLoadReadsOnlyWhatChanged(t *testing.T) {
	f := bare(t, map[string]string{"d.json": `{"v":1}`, "a.yaml": "dubbo: [{interface: a.B, definition: d.json, instances: ['h:1']}]"})
	var now *loaded
	step := func(what string, again, problem bool, version string) {
		t.Helper()
		next, read := f.load("a.yaml", now)
		if read != again || (next.problem != nil) != problem {
			t.Fatalf("%s: read %v, %v", what, read, next.problem)
		}
		if !read && next != now {
			t.Fatalf("%s: another value without reading", what)
		}
		got := string(next.good.definitions[registry.DubboService("a.B", "", "")])
		if got != version || len(next.good.entries) != 1 {
			t.Fatalf("%s: definition %s, entries %v", what, got, next.good.entries)
		}
		now = next
	}
	step("first", true, false, `{"v":1}`)
	step("same", false, false, `{"v":1}`)
	f.put(t, "d.json", `{"v":2}`)
	step("definition changed", true, false, `{"v":2}`)
	f.put(t, "d.json", `{`)
	step("definition broken", true, true, `{"v":2}`)
	step("still broken", false, true, `{"v":2}`)
	f.put(t, "d.json", `{"v":3}`)
	step("definition good again", true, false, `{"v":3}`)
	f.put(t, "a.yaml", "dubbo: 7")
	step("file broken", true, true, `{"v":3}`)
	must(t, os.Remove(filepath.Join(f.path, "a.yaml")))
	step("file gone", true, true, `{"v":3}`)
	step("still gone", false, true, `{"v":3}`)
	f.put(t, "a.yaml", "dubbo: [{interface: a.B, definition: {v: 4}, instances: ['h:1']}]")
	step("file back", true, false, `{"v":4}`)
	must(t, os.Remove(filepath.Join(f.path, "d.json")))
	step("an unused definition goes", false, false, `{"v":4}`)
}

// TestOneServiceInManyFiles: instances add up in the order of the files' names, whoever lists one twice is told, and the
// first file's definition counts.
func TestOneServiceInManyFiles(t *testing.T) {
	r := run(t, t.TempDir())
	r.write("b.yaml", "services: {s: ['h:2', 'h:1']}\ndubbo: [{interface: a.B, definition: {from: b}, instances: ['h:8']}]")
	r.write("a.yml", "services: {s: ['h:1', 'h:3']}\ndubbo: [{interface: a.B, instances: ['h:9']}]")
	r.write("c.yaml", "dubbo: [{interface: a.B, definition: {from: c}}]")
	s := await(t, r.watch(registry.App("s")), addresses, "h:1 h:3 h:2 skipped:h:1")
	if s.Skipped[0].Reason != "is listed twice" {
		t.Errorf("%+v", s.Skipped)
	}
	await(t, r.watch(registry.DubboService("a.B", "", "")), addresses, "h:9 h:8")
	definitions := make(chan string, 100)
	r.start(func(ctx context.Context) error {
		return r.reg.(registry.DefinitionWatcher).WatchDefinition(ctx, registry.DubboService("a.B", "", ""), func(d []byte) { definitions <- string(d) })
	})
	await(t, definitions, func(s string) string { return s }, `{"from":"b"}`)
	must(t, os.Remove(filepath.Join(r.folder, "b.yaml")))
	await(t, definitions, func(s string) string { return s }, `{"from":"c"}`)
}

// TestManyWatchersSeeTheSameEnd: files change quickly while services are watched from many goroutines; each watcher ends
// with the last state, and an old state never comes after a newer one.
func TestManyWatchersSeeTheSameEnd(t *testing.T) {
	r := run(t, t.TempDir())
	const watchers, versions = 8, 30
	pushes := make([]chan registry.Snapshot, watchers)
	for i := range pushes {
		pushes[i] = r.watch(registry.App("s"))
	}
	for v := 1; v <= versions; v++ {
		r.write("s.yaml", fmt.Sprintf("services: {s: ['h:%d']}", v))
	}
	var all sync.WaitGroup
	errs := make(chan error, watchers)
	for _, p := range pushes {
		all.Go(func() {
			deadline := time.After(10 * time.Second)
			for last := 0; last < versions; {
				var s registry.Snapshot
				select {
				case s = <-p:
				case <-deadline:
					errs <- fmt.Errorf("the last version seen is %d", last)
					return
				}
				v := 0
				if len(s.Instances) > 0 {
					v = s.Instances[0].Port
				}
				if v <= last && v != 0 {
					errs <- fmt.Errorf("version %d after %d", v, last)
					return
				}
				last = v
			}
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}

func TestResolve(t *testing.T) {
	for path, want := range map[string]string{"services/": "/etc/sluice/services", "../x": "/etc/x", "/abs/y": "/abs/y", "": ""} {
		c := &Config{Path: path}
		c.Resolve("/etc/sluice")
		if c.Path != want {
			t.Errorf("%q: %q, want %q", path, c.Path, want)
		}
	}
}

// TestBadFilesInShort: a service that loses instances says which file is to blame, and only its first mistake.
func TestBadFilesInShort(t *testing.T) {
	f := bare(t, nil)
	_, problems := f.parse("x.yaml", []byte("services: {a: 7, b: 8}\nz: 1"), map[string][]byte{})
	b := bad("x.yaml", &loaded{problem: problems})
	if !strings.HasSuffix(b.reason, "must be a list, not a single value (and 2 more)") || b.services != nil {
		t.Errorf("%+v", b)
	}
	b = bad("x.yaml", &loaded{problem: errors.New("read service file: x"), good: &content{}})
	if b.reason != "read service file: x; its last good content stays" || b.services == nil {
		t.Errorf("%+v", b)
	}
}
