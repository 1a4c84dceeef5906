// Package filtertest helps the tests of filters: it reads the example of a filter's README as the document's reader would,
// and runs requests through what comes out.
package filtertest

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/filter"
)

// Kinds names the filters that an example may use.
type Kinds map[string]func() filter.Config

// Examples returns the YAML blocks of the README in the test's folder.
func Examples(tb testing.TB) []string {
	tb.Helper()
	b, err := os.ReadFile("README.md")
	if err != nil {
		tb.Fatal(err)
	}
	var blocks []string
	for rest := string(b); ; {
		_, after, ok := strings.Cut(rest, "```yaml\n")
		if !ok {
			break
		}
		var block string
		block, rest, ok = strings.Cut(after, "```")
		if !ok {
			tb.Fatal("README.md: a block does not end")
		}
		blocks = append(blocks, block)
	}
	if len(blocks) == 0 {
		tb.Fatal("README.md has no example")
	}
	return blocks
}

// Parse reads filters ("filters:" and a list) strictly and returns the mistakes, if any.
func Parse(kinds Kinds, filters string) ([]protocol.Filter, error) {
	text := "listeners: [{name: web, address: \":0\"}]\nregistries: [{name: r, type: none}]\nroutes:\n  - name: r\n    match: {path: /**}\n    to: {service: s, registry: r}\n"
	k := config.Kinds{Filters: map[string]func() any{}, Registries: map[string]func() any{"none": func() any { return &struct{}{} }}}
	for name, build := range kinds {
		k.Filters[name] = func() any { return build() }
		if a, ok := build().(filter.Answerer); ok && a.Answers() && strings.Contains(filters, name) {
			text = strings.Replace(text, "    to: {service: s, registry: r}\n", "", 1)
		}
	}
	text += "    " + strings.ReplaceAll(strings.TrimSuffix(filters, "\n"), "\n", "\n    ") + "\n"
	doc, mistakes := config.Parse("README.md", []byte(text), k)
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	var out []protocol.Filter
	for _, p := range doc.Routes[0].Filters {
		f, err := p.Config.(filter.Config).Build()
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// Build is Parse for filters that are good.
func Build(tb testing.TB, kinds Kinds, filters string) []protocol.Filter {
	tb.Helper()
	out, err := Parse(kinds, filters)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// Request makes a request of "METHOD scheme://authority/path?query" and lines "Name: value".
func Request(line string, fields ...string) *protocol.Request {
	method, url, _ := strings.Cut(line, " ")
	scheme, url, _ := strings.Cut(url, "://")
	authority, path, _ := strings.Cut(url, "/")
	path, query, has := strings.Cut("/"+path, "?")
	req := &protocol.Request{Method: method, Scheme: scheme, Authority: authority, Path: path, RawQuery: query, HasQuery: has}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Add(name, value)
	}
	return req
}

// Serve runs req through filters to end, which may be nil for a plain 200.
func Serve(req *protocol.Request, end protocol.HandlerFunc, filters ...protocol.Filter) (*protocol.Response, error) {
	if end == nil {
		end = func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
			resp := req.NewResponse()
			resp.Status = 200
			return resp, nil
		}
	}
	return protocol.Chain(end, filters...).Serve(context.Background(), req)
}
