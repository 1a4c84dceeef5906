package docs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/file"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// snippet is a fenced block of YAML in a page. A word behind "yaml" says what it is: nothing for a configuration, whole or
// in part; "services" for a file of the registry of that type; "tls" for a configuration that names certificates; "kubernetes" for manifests.
type snippet struct {
	page string
	line int
	kind string
	text string
}

func (s snippet) name() string { return fmt.Sprintf("%s:%d", filepath.Base(s.page), s.line) }

// pages are those whose snippets count.
func pages(t *testing.T) []string {
	t.Helper()
	guide, err := filepath.Glob(filepath.Join(root, "docs/guide/*.md"))
	if err != nil || len(guide) < 9 {
		t.Fatalf("pages of the guide: %v, %v", guide, err)
	}
	return append(guide, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md"))
}

func snippets(t *testing.T, page string) []snippet {
	t.Helper()
	var all []snippet
	var open *snippet
	for n, line := range strings.Split(read(t, page), "\n") {
		switch {
		case open != nil && line == "```":
			if open.kind != "other" {
				all = append(all, *open)
			}
			open = nil
		case open != nil:
			open.text += line + "\n"
		case strings.HasPrefix(line, "```"):
			open = &snippet{page: page, line: n + 1, kind: "other"}
			if rest, ok := strings.CutPrefix(line, "```yaml"); ok {
				open.kind = strings.TrimSpace(rest)
			}
		}
	}
	if open != nil {
		t.Fatalf("%s: the block does not end", open.name())
	}
	return all
}

func has(text, key string) bool { return regexp.MustCompile(`(?m)^` + key + `:`).MatchString(text) }

// whole says whether a configuration needs nothing else.
func (s snippet) whole() bool { return has(s.text, "listeners") && has(s.text, "routes") }

// completed is a configuration with what the page left out for brevity.
func (s snippet) completed() string {
	text := s.text
	for _, part := range []struct{ key, text string }{
		{"listeners", `listeners: [{name: web, address: "127.0.0.1:8080"}]`},
		{"registries", `registries: [{name: nacos, type: nacos, addresses: ["127.0.0.1:8848"]}]`},
		{"routes", `routes: [{name: health, match: {path: /healthz}, filters: [fixedResponse]}]`},
	} {
		if !has(text, part.key) {
			text += part.text + "\n"
		}
	}
	return text
}

// TestSnippets executes every snippet: all are checked, whole configurations are started, with registries that nobody
// answers for.
func TestSnippets(t *testing.T) {
	started := 0
	for _, page := range pages(t) {
		for _, s := range snippets(t, page) {
			t.Run(s.name(), func(t *testing.T) {
				switch s.kind {
				case "":
					s.checked(t)
					if s.whole() {
						started++
						s.started(t)
					}
				case "services":
					s.listed(t)
				case "tls":
					s.secured(t)
				case "kubernetes":
					s.manifests(t)
				default:
					t.Errorf("nobody knows how to execute a snippet of the kind %q", s.kind)
				}
			})
		}
	}
	if started < 4 {
		t.Errorf("%d whole configurations were started: are they found?", started)
	}
}

// TestRegistrySnippets checks the sections that the registries' own pages show.
func TestRegistrySnippets(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(root, "registry/*/README.md"))
	if err != nil || len(pages) < 4 {
		t.Fatalf("pages %v, %v", pages, err)
	}
	for _, page := range pages {
		found := false
		for _, s := range snippets(t, page) {
			if has(s.text, "registries") {
				found = true
				t.Run(filepath.Base(filepath.Dir(page)), s.checked)
			}
		}
		if !found {
			t.Errorf("%s shows no section", page)
		}
	}
}

func (s snippet) checked(t *testing.T) {
	t.Helper()
	if out, err := check(t, write(t, filepath.Join(t.TempDir(), "sluice.yaml"), s.completed())); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// secured checks a configuration with the certificates and keys that it names beside it.
func (s snippet) secured(t *testing.T) {
	t.Helper()
	folder := t.TempDir()
	ca := testbed.NewCA(t)
	copied := func(from, name string) {
		t.Helper()
		write(t, filepath.Join(folder, name), read(t, from))
	}
	if err := os.Mkdir(filepath.Join(folder, "tls"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`cert: (tls/\w+\.pem), key: (tls/\w+\.key)`).FindAllStringSubmatch(s.text, -1) {
		pair := ca.Server("a.test")
		copied(pair.Cert, m[1])
		copied(pair.Key, m[2])
	}
	for _, m := range regexp.MustCompile(`(?:ca|clientCA): (tls/\w+\.pem)`).FindAllStringSubmatch(s.text, -1) {
		copied(ca.File(), m[1])
	}
	if out, err := check(t, write(t, filepath.Join(folder, "sluice.yaml"), s.completed())); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// started runs the configuration at other addresses, and asks whether all its routes serve.
func (s snippet) started(t *testing.T) {
	t.Helper()
	web, admin, nobody := free(t), free(t), free(t)
	text := regexp.MustCompile(`address: "(127\.0\.0\.1)?:8080"`).ReplaceAllString(s.text, fmt.Sprintf("address: %q", web))
	text = regexp.MustCompile(`(?m)^admin:.*$`).ReplaceAllString(text, "")
	for _, port := range []string{"8848", "2181"} {
		text = strings.ReplaceAll(text, "127.0.0.1:"+port, nobody)
		text = strings.ReplaceAll(text, "nacos:"+port, nobody)
	}
	text += fmt.Sprintf("admin: {address: %q}\n", admin)
	if !strings.Contains(text, web) {
		t.Fatal("no listener's address was found")
	}
	start(t, write(t, filepath.Join(t.TempDir(), "sluice.yaml"), text), admin)
	_, body, err := request(t.Context(), "GET", "http://"+admin+"/api/v1/status", "")
	if err != nil {
		t.Fatal(err)
	}
	var status struct {
		Routes     []struct{ Name string }
		Registries []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	var want struct{ Routes, Registries []any }
	if err := yaml.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	if len(status.Routes) != len(want.Routes) || len(status.Registries) != len(want.Registries) {
		t.Errorf("status has %d routes and %d registries: %s", len(status.Routes), len(status.Registries), body)
	}
	if code, body, err := request(t.Context(), "GET", "http://"+web+"/no/such/route", ""); err != nil || code != 404 {
		t.Errorf("a request that no route wants: %d %s %v", code, body, err)
	}
}

// listed gives the snippet to the registry of type file.
func (s snippet) listed(t *testing.T) {
	t.Helper()
	folder := t.TempDir()
	write(t, filepath.Join(folder, "services.yaml"), s.text)
	c := discovery.New(slog.New(slog.DiscardHandler), nil)
	t.Cleanup(c.Close)
	if err := c.Apply(map[string]discovery.Spec{"folder": {Config: &file.Config{Path: folder}}}); err != nil {
		t.Fatal(err)
	}
	names := make(chan int, 10)
	t.Cleanup(c.SubscribeServices("folder", func(set *registry.ServiceSet) { names <- len(set.Services) }).Close)
	select {
	case n := <-names:
		if n == 0 {
			t.Error("no service is in it")
		}
	case <-time.After(patience):
		t.Error("the registry does not answer")
	}
	if st := c.Registries()[0]; st.LastError != "" {
		t.Error(st.LastError)
	}
}

// manifests reads Kubernetes' documents, and executes the configuration that a ConfigMap holds.
func (s snippet) manifests(t *testing.T) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader([]byte(s.text)))
	found := false
	for {
		var m struct {
			Kind string
			Data map[string]string
		}
		err := d.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.Kind == "" {
			t.Error("a manifest has no kind")
		}
		if text, ok := m.Data["sluice.yaml"]; ok {
			found = true
			inner := snippet{page: s.page, line: s.line, text: text}
			inner.checked(t)
			inner.started(t)
		}
	}
	if !found {
		t.Error("no ConfigMap holds a sluice.yaml")
	}
}

// TestShownMistake makes the mistake that the first page describes, and looks whether the page tells the truth.
func TestShownMistake(t *testing.T) {
	page := filepath.Join(root, "docs/guide/getting-started.md")
	first := snippets(t, page)[0]
	wrong := strings.Replace(first.text, "parts:", "part:", 1)
	out, err := check(t, write(t, filepath.Join(t.TempDir(), "sluice.yaml"), wrong))
	if err == nil {
		t.Fatal("no mistake was found")
	}
	if said, _, _ := strings.Cut(out, "\n"); !strings.Contains(read(t, page), said) {
		t.Errorf("the page does not show what is said: %s", said)
	}
}
