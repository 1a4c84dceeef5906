package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// leaves know nothing of the gateway; every room may use them.
var leaves = []string{"strictyaml", "filewatch"}

// rooms says who may import whom within the module. The first room that a folder is in counts. A room always may import
// itself and what is below it.
var rooms = []struct {
	room    string
	imports []string
}{
	{"strictyaml/...", nil},
	{"filewatch/...", nil},
	{"protocol/dubbo/...", []string{"protocol", "protocol/socket", "protocol/dubbo/..."}},
	{"protocol/...", []string{"protocol", "protocol/socket"}},
	{"registry/file", []string{"registry", "registry/static"}}, // a file holds what the static registry's section holds
	{"registry/...", []string{"registry", "registry/dubbo"}},
	{"discovery/...", []string{"registry"}},
	{"flowcontrol/...", []string{"protocol"}},
	{"telemetry/...", []string{"protocol"}},
	{"config/...", []string{"config"}},
	// The registries themselves are named in cmd/sluice alone, here only the interface; so too each filter.
	{"proxy/filter/...", []string{"protocol/...", "config", "flowcontrol", "telemetry", "proxy/filter", "proxy/filter/header"}},
	{"proxy/...", []string{"protocol/...", "registry", "discovery", "flowcontrol", "config", "telemetry", "proxy", "proxy/route", "proxy/balance", "proxy/outlier", "proxy/health", "proxy/upstream", "proxy/filter"}},
	{"admin/...", []string{"protocol/...", "registry", "discovery", "flowcontrol", "config", "telemetry", "proxy", "proxy/upstream"}},
	{"cmd/sluice/...", []string{"protocol/...", "registry/...", "discovery/...", "flowcontrol/...", "config/...", "telemetry/...", "proxy/...", "admin/..."}},
	{"test/...", []string{"..."}},
	{"bench/...", []string{"..."}},
	{"examples/...", []string{"..."}},
}

// forTests are packages that any test may import, and no other code.
var forTests = []string{"test/testbed", "registry/registrytest", "proxy/filter/filtertest"}

func TestImportArrows(t *testing.T) { report(t, importArrows(load(t))) }

func importArrows(files []*file) []string {
	var bad []string
	for _, f := range files {
		for _, spec := range f.ast.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue
			}
			target, ours := strings.CutPrefix(name, module+"/")
			if ours && !mayImport(f, target) {
				bad = append(bad, fmt.Sprintf("%s: %s may not import %s", f.at(spec), f.dir, target))
			}
		}
	}
	return bad
}

func mayImport(f *file, target string) bool {
	if f.test && slices.ContainsFunc(forTests, func(p string) bool { return within(target, p) }) {
		return true
	}
	for _, r := range rooms {
		if !within(f.dir, r.room) {
			continue
		}
		if within(target, f.dir+"/...") {
			return true
		}
		for _, pattern := range slices.Concat(leaves, r.imports) {
			if pattern == "..." || within(target, pattern) {
				return true
			}
			// A test may use the real plug-ins behind an interface that its room knows.
			if f.test && within(target, pattern+"/...") {
				return true
			}
		}
		return false
	}
	return false // a new room: give it a line above
}

func TestNoBlankImports(t *testing.T) { report(t, blankImports(load(t))) }

// blankImports finds wiring by side effect; embed is the language's own.
func blankImports(files []*file) []string {
	var bad []string
	for _, f := range files {
		for _, spec := range f.ast.Imports {
			if spec.Name != nil && spec.Name.Name == "_" && spec.Path.Value != `"embed"` {
				bad = append(bad, fmt.Sprintf("%s: blank import of %s", f.at(spec), spec.Path.Value))
			}
		}
	}
	return bad
}
