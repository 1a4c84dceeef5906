package rewrite

import (
	"context"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/filter"
	"github.com/sluice-gateway/sluice/proxy/filter/filtertest"
)

func kinds() filtertest.Kinds {
	return filtertest.Kinds{
		"stripPrefix": func() filter.Config { return DefaultStrip() },
		"prefixPath":  func() filter.Config { return &Prefix{} },
		"rewritePath": func() filter.Config { return &Path{} },
	}
}

func path(t *testing.T, filters, from string) string {
	t.Helper()
	req := &protocol.Request{Method: "GET", Path: from}
	if _, err := filtertest.Serve(req, nil, filtertest.Build(t, kinds(), filters)...); err != nil {
		return protocol.AsError(err).Message
	}
	return req.Path
}

func TestReadme(t *testing.T) {
	examples := filtertest.Examples(t)
	for i, want := range [][2]string{{"/shop/orders/7", "/orders/7"}, {"/orders/7", "/v2/orders/7"}, {"/old/orders/7", "/orders/7/details"}} {
		if got := path(t, examples[i], want[0]); got != want[1] {
			t.Errorf("example %d makes %s of %s, want %s", i, got, want[0], want[1])
		}
	}
}

func TestPaths(t *testing.T) {
	for in, want := range map[[2]string]string{
		{"stripPrefix", "/a/b"}:                                                      "/b",
		{"stripPrefix", "/a"}:                                                        "/",
		{"stripPrefix", "/"}:                                                         "/",
		{"stripPrefix", "/a/"}:                                                       "/",
		{"stripPrefix", "/a%2Fb/c"}:                                                  "/c",
		{"stripPrefix: {parts: 2}", "/a/b/c"}:                                        "/c",
		{"stripPrefix: {parts: 9}", "/a/b/c"}:                                        "/",
		{"stripPrefix", "*"}:                                                         "/",
		{"prefixPath: {prefix: /a b}", "/c"}:                                         "/a%20b/c",
		{`rewritePath: {regex: "^/a(.*)$", replacement: "/b$1"}`, "/a/x"}:            "/b/x",
		{`rewritePath: {regex: "^/a(.*)$", replacement: "/b$1"}`, "/c/x"}:            "/c/x",
		{`rewritePath: {regex: "^/a/(?<p>.*)", replacement: "/$\\{p}"}`, "/a/x"}:     "/x",
		{`rewritePath: {regex: "^/a(.*)$", replacement: "/s/$1"}`, "/a../../secret"}: "/secret",
		{`rewritePath: {regex: "^/a", replacement: ""}`, "/a"}:                       "/",
		{`rewritePath: {regex: "^/a/", replacement: "b/"}`, "/a/c"}:                  "/b/c",
		{`rewritePath: {regex: "^/a", replacement: "/%zz"}`, "/a"}:                   "the path cannot be rewritten",
	} {
		if got := path(t, "filters:\n  - "+in[0]+"\n", in[1]); got != want {
			t.Errorf("%s makes %q of %s, want %q", in[0], got, in[1], want)
		}
	}
}

func TestMistakes(t *testing.T) {
	for section, want := range map[string]string{
		`stripPrefix: {parts: 0}`:     "parts: must be at least 1",
		`stripPrefix: {part: 1}`:      "parts",
		`prefixPath`:                  `prefix: must begin with "/"`,
		`prefixPath: {prefix: a}`:     `prefix: must begin with "/"`,
		`prefixPath: {prefix: /a/}`:   "must not end",
		`prefixPath: {prefix: "/%z"}`: "escape",
		`rewritePath: {regex: "("}`:   "regex: ",
		`rewritePath`:                 "regex: is missing",
	} {
		_, err := filtertest.Parse(kinds(), "filters:\n  - "+section+"\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", section, err, want)
		}
	}
}

func TestStripAllocatesNothing(t *testing.T) {
	filters := filtertest.Build(t, kinds(), "filters:\n  - stripPrefix\n")
	h := protocol.Chain(protocol.HandlerFunc(func(context.Context, *protocol.Request) (*protocol.Response, error) {
		return nil, protocol.ErrBodyTooLarge
	}), filters...)
	req := &protocol.Request{}
	if n := testing.AllocsPerRun(100, func() { req.Path = "/a/b"; _, _ = h.Serve(context.Background(), req) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
