package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/config"
)

const root = "../.."

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPageIsCurrent(t *testing.T) {
	want, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("%s is out of date; go run ./config/reference writes it:\n%s", page, d)
	}
}

func TestRowsSayWhatTheTypesSay(t *testing.T) {
	text, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		"| `listeners` | list of [sections](#listeners) |  | The addresses that take traffic. |",
		"| `headerBytes` | size | `64KB` | The whole head but the request line: over it 431. |",
		"| `idle` | duration | `2m` | How long a connection may wait for its next request. |",
		"| `cookies` | mapping of names to [sections](#routesmatchheadersname) |",
		"| `preserveHost` | true or false | `true` |",
		"## `routes[].match.headers.NAME`",
		"| `accessLog` | [section](#accesslog) |  | `accessLog` says where one line per request goes. |",
		"| `services` | mapping of names to lists of sections |",
		"## `shutdown`",
		"### `static`",
		"### `file`",
		"### `requestSize`",
	} {
		if !strings.Contains(text, row) {
			t.Errorf("lacks %s", row)
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "| `") && strings.HasSuffix(line, "|  |") {
			t.Errorf("a key without a meaning: %s", line)
		}
	}
}

func TestLinksLead(t *testing.T) {
	text, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	for line := range strings.SplitSeq(text, "\n") {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			anchors[anchor(title)] = true
		}
	}
	for _, part := range strings.Split(text, "](#")[1:] {
		if to, _, _ := strings.Cut(part, ")"); !anchors[to] {
			t.Errorf("no section #%s", to)
		}
	}
}

// TestExamplesParse reads the page's documents; what a registry or a filter takes is checked where it lives.
func TestExamplesParse(t *testing.T) {
	anything := func() any { return &map[string]any{} }
	kinds := config.Kinds{Registries: map[string]func() any{"nacos": anything, "zookeeper": anything}}
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("no example")
	}
	for _, block := range blocks {
		example, _, _ := strings.Cut(block, "```")
		if _, problems := config.Parse(page, []byte(example), kinds); problems != nil {
			t.Error(problems)
		}
	}
}

func TestRunWrites(t *testing.T) {
	copied := t.TempDir()
	for _, folder := range []string{"config", "registry", "proxy/filter", "cmd/sluice"} {
		if err := os.CopyFS(filepath.Join(copied, folder), os.DirFS(filepath.Join(root, folder))); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(copied); err != nil {
		t.Fatal(err)
	}
	want, _ := generate(root)
	if got, err := os.ReadFile(filepath.Join(copied, page)); err != nil || string(got) != want {
		t.Error("another page", err)
	}
	if err := run(t.TempDir()); err == nil {
		t.Error("a page without types")
	}
}
