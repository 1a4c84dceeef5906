package route

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
)

// dice makes tables and requests out of few words, so that they meet often.
type dice struct{ *rand.Rand }

func (d dice) of(words ...string) string { return words[d.IntN(len(words))] }

func (d dice) pattern() string {
	var b strings.Builder
	for i := range 1 + d.IntN(4) {
		b.WriteString("/" + d.of("a", "b", "ab", "", "*", fmt.Sprintf("{c%d}", i), fmt.Sprintf("{r%d:[ab]+}", i), fmt.Sprintf("{o%d:a*}", i), "a*", fmt.Sprintf("a{m%d}", i),
			fmt.Sprintf("{x%d}-{y%d}", i, i), "%2F"))
	}
	switch d.IntN(4) {
	case 0:
		b.WriteString("/**")
	case 1:
		b.WriteString("/{*rest}")
	}
	return b.String()
}

func (d dice) value() config.ValueMatch {
	switch d.IntN(5) {
	case 0:
		return config.ValueMatch{Present: new(bool)}
	case 1:
		yes := true
		return config.ValueMatch{Present: &yes}
	case 2:
		return config.ValueMatch{Regex: "[xy]"}
	case 3:
		return config.ValueMatch{Prefix: "x"}
	}
	return config.ValueMatch{Exact: d.of("x", "y")}
}

func (d dice) match() config.Match {
	m := config.Match{Path: d.pattern()}
	for range d.IntN(3) {
		m.Hosts = append(m.Hosts, d.of("h", "x.h", "y.x.h", "*.h", "*.x.h", "*"))
	}
	if d.IntN(3) == 0 {
		m.Methods = []string{d.of("GET", "POST", "OPTIONS")}
	}
	if d.IntN(3) == 0 {
		m.Headers = map[string]config.ValueMatch{d.of("X-A", "Accept", "Host"): d.value()}
	}
	if d.IntN(4) == 0 {
		m.Query = map[string]config.ValueMatch{"q": d.value()}
	}
	if d.IntN(4) == 0 {
		m.Cookies = map[string]config.ValueMatch{"c": d.value()}
	}
	return m
}

func (d dice) request() *protocol.Request {
	req := &protocol.Request{Method: d.of("GET", "HEAD", "POST", "OPTIONS"), Authority: d.of("h", "x.h:80", "Y.X.H.", "z", ".h", "")}
	for range 1 + d.IntN(4) {
		req.Path += "/" + d.of("a", "b", "ab", "a-b", "", "%2F")
	}
	if d.IntN(20) == 0 {
		req.Path = "*"
	}
	for range d.IntN(3) {
		req.Header.Add(d.of("X-A", "x-a", "Accept", "Origin", "Access-Control-Request-Method"), d.of("x", "y", "xx"))
	}
	for range d.IntN(3) {
		req.Header.Add("Cookie", d.of("c=x", `c="y"; d=x`, "d=x; c=z"))
	}
	req.RawQuery = d.of("", "q=x", "q=y&q=%78", "a=b&q", "&&q=z&")
	req.HasQuery = req.RawQuery != ""
	return req
}

// alone reports whether a route with this match alone would have the request.
func alone(t *testing.T, m config.Match, preflight bool, req *protocol.Request) bool {
	t.Helper()
	b := NewBuilder[int]()
	if err := b.Add(Entry[int]{Match: m, Preflight: preflight}); err != nil {
		t.Fatal(err)
	}
	_, ok, _ := b.Table().Match(req)
	return ok
}

// fails is the first predicate that does not hold, found by asking for one after another.
func fails(t *testing.T, m config.Match, preflight bool, req *protocol.Request) Predicate {
	t.Helper()
	steps := []struct {
		name Predicate
		add  func(*config.Match)
	}{
		{Host, func(x *config.Match) { x.Hosts = m.Hosts }},
		{Path, func(x *config.Match) { x.Path = m.Path }},
		{Method, func(x *config.Match) { x.Methods = m.Methods }},
		{Header, func(x *config.Match) { x.Headers = m.Headers }},
		{Query, func(x *config.Match) { x.Query = m.Query }},
		{Cookie, func(x *config.Match) { x.Cookies = m.Cookies }},
	}
	sofar := config.Match{Path: "/**"}
	for i, s := range steps {
		s.add(&sofar)
		if i == 0 && req.Path == "*" {
			continue // no path fits, whatever the host
		}
		if !alone(t, sofar, preflight, req) {
			return s.name
		}
	}
	return ""
}

func TestExplainAgreesWithMatch(t *testing.T) {
	for seed := range uint64(150) {
		d := dice{rand.New(rand.NewPCG(seed, 7))}
		b := NewBuilder[int]()
		var matches []config.Match
		var preflight []bool
		for len(matches) < 1+d.IntN(25) {
			m, p := d.match(), d.IntN(4) == 0
			if err := b.Add(Entry[int]{Match: m, Preflight: p, Value: len(matches)}); err != nil {
				t.Fatalf("%+v: %v", m, err)
			}
			matches, preflight = append(matches, m), append(preflight, p)
		}
		table := b.Table()
		for range 10 {
			req := d.request()
			req.Params = append(req.Params, protocol.Param{Name: "old", Value: "kept"})
			got, won := table.Explain(req, len(matches))
			if len(req.Params) != 1 || req.Params[0].Value != "kept" {
				t.Fatalf("params %v", req.Params)
			}
			if len(got) != len(matches) {
				t.Fatalf("seed %d: %d candidates of %d routes", seed, len(got), len(matches))
			}
			want, ok, allow := table.Match(req)
			if won != ok || (ok && got[0].Value != want) {
				t.Fatalf("seed %d: %s %s%s: Match %d %v, Explain %d %v\n%+v", seed, req.Method, req.Authority, req.Path, want, ok, got[0].Value, won, matches)
			}
			missed := false
			for i, c := range got {
				failed := fails(t, matches[c.Value], preflight[c.Value], req)
				host := !alone(t, config.Match{Hosts: matches[c.Value].Hosts, Path: "/**"}, false, req)
				if c.Failed != failed && (req.Path != "*" || (c.Failed != Path && !host)) {
					t.Fatalf("seed %d: %+v: %q fails, not %q, of %+v", seed, matches[c.Value], failed, c.Failed, req)
				}
				if (c.Failed == "") != (c.Wanted == "" && c.Seen == "") || (c.Failed == "" && i > 0) != (c.Behind != "") {
					t.Fatalf("seed %d: told %+v", seed, c)
				}
				missed = missed || c.Failed == Method
			}
			if !ok && allow != "" && !missed {
				t.Fatalf("seed %d: allow %q, but no candidate failed by its method", seed, allow)
			}
			// A shorter list is the beginning of the longer one.
			few, fewWon := table.Explain(req, 3)
			if len(few) != min(3, len(got)) || fewWon != won {
				t.Fatalf("seed %d: %d of 3", seed, len(few))
			}
			for i := range few {
				if few[i].Value != got[i].Value {
					t.Fatalf("seed %d: place %d is %d, not %d", seed, i, few[i].Value, got[i].Value)
				}
			}
		}
	}
}

func TestExplainTells(t *testing.T) {
	yes, no := true, false
	matches := []config.Match{
		0: {Path: "/orders/{id}"},
		1: {Path: "/orders/{id}", Methods: []string{"POST"}},
		2: {Path: "/orders/**"},
		3: {Path: "/orders/{id}", Hosts: []string{"shop.example.com"}},
		4: {Path: "/orders/{id}", Headers: map[string]config.ValueMatch{"X-Version": {Exact: "2"}}},
		5: {Path: "/orders/{id}", Headers: map[string]config.ValueMatch{"Authorization": {Exact: "Bearer s3cret"}}},
		6: {Path: "/orders/{id}", Query: map[string]config.ValueMatch{"debug": {Present: &yes}}},
		7: {Path: "/orders/{id}", Cookies: map[string]config.ValueMatch{"beta": {Regex: "on|yes"}}},
		8: {Path: "/orders/{id}", Headers: map[string]config.ValueMatch{"X-Plain": {Present: &no}}},
		9: {Path: "/orders/{id}/items"}, 10: {Path: "/orders"}, 11: {Path: "/users/{id:[0-9]+}"}, 12: {Path: "/orders/{id:[a-z]+}"},
		13: {Path: "/orders/{n}", Headers: map[string]config.ValueMatch{"X-Version": {Prefix: "1"}}},
		14: {Path: "/orders/{n}", Hosts: []string{"*.example.com", "*.org"}},
	}
	req := request("GET", "api.example.com/orders/7?x=1")
	req.Header.Add("X-Version", "1")
	req.Header.Add("x-version", "1.5")
	req.Header.Add("X-Plain", "a")
	req.Header.Add("Cookie", "beta=off")
	got, won := table(t, matches...).Explain(req, 50)
	if !won || got[0].Value != 14 {
		t.Fatalf("%v %+v", won, got[0])
	}
	want := map[int]string{
		0: "behind: the winner names a host, this one none", 2: "behind: the winner names a host, this one none",
		1:  `method: wants POST, is GET`,
		3:  `host: wants shop.example.com, is api.example.com`,
		4:  `header X-Version: wants "2", is "1", "1.5"`,
		5:  `header Authorization: wants a value that is not shown, is none`,
		6:  `query debug: wants any, is none`,
		7:  `cookie beta: wants matching "on|yes", is "off"`,
		8:  `header X-Plain: wants none, is "a"`,
		9:  `path: wants , is ends before segment 3, "items"`,
		10: `path: wants , is goes on with "/7" after segment 1`,
		11: `path: wants , is segment 1 is "orders", not "users"`,
		12: `path: wants , is segment 2 is "7", not "{id:[a-z]+}"`,
		13: "behind: the winner names a host, this one none",
	}
	for _, c := range got[1:] {
		said := "behind: " + c.Behind
		if c.Failed != "" {
			said = strings.TrimSpace(fmt.Sprintf("%s %s", c.Failed, c.Name)) + ": wants " + c.Wanted + ", is " + c.Seen
		}
		if said != want[c.Value] {
			t.Errorf("%d: %s\nwant %s", c.Value, said, want[c.Value])
		}
		delete(want, c.Value)
	}
	if len(want) > 0 {
		t.Errorf("not told: %v", want)
	}
}

func TestExplainRanks(t *testing.T) {
	for _, c := range []struct {
		better, worse config.Match
		why           string
	}{
		{config.Match{Path: "/**", Hosts: []string{"a.b.c"}}, config.Match{Path: "/x", Hosts: []string{"*.b.c"}}, "the winner's host a.b.c is more specific than *.b.c"},
		{config.Match{Path: "/**", Hosts: []string{"*.b.c"}}, config.Match{Path: "/x", Hosts: []string{"*.c"}}, "the winner's host *.b.c is more specific than *.c"},
		{config.Match{Path: "/x"}, config.Match{Path: "/{x}"}, "segment 1 of the winner's path is text, of this one's any segment"},
		{config.Match{Path: "/x{a}"}, config.Match{Path: "/{x:.*}"}, "segment 1 of the winner's path is text with captures, of this one's an expression"},
		{config.Match{Path: "/xy{a}"}, config.Match{Path: "/x{a}"}, "segment 1 of the winner's path has more text around its captures, or stands earlier"},
		{config.Match{Path: "/xyz"}, config.Match{Path: "/xyz/**"}, "the winner's path ends here, this one's goes on by **"},
		{config.Match{Path: "/*"}, config.Match{Path: "/**"}, "segment 1 of the winner's path is any segment, of this one's all the rest"},
		{config.Match{Path: "/**", Methods: []string{"GET"}}, config.Match{Path: "/**"}, "the winner has 1 further conditions, this one 0"},
		{config.Match{Path: "/**"}, config.Match{Path: "/{*rest}"}, "the winner stands earlier in the document"},
	} {
		matches := []config.Match{c.worse, c.better}
		if strings.Contains(c.why, "earlier in") {
			matches = []config.Match{c.better, c.worse}
		}
		path := "/xyz"
		if strings.HasPrefix(c.better.Path, "/x") && len(c.better.Path) == 2 || len(c.better.Hosts) > 0 {
			path = "/x"
		}
		got, won := table(t, matches...).Explain(request("GET", "a.b.c"+path), 5)
		if !won || got[1].Behind != c.why {
			t.Errorf("%+v %+v: %v %+v", c.better, c.worse, won, got)
		}
	}
}

func TestExplainIsBounded(t *testing.T) {
	long := strings.Repeat("é", 5000)
	req := request("GET", "h/orders/"+long)
	for range 100 {
		req.Header.Add("X-Many", long)
	}
	got, _ := table(t, config.Match{Path: "/orders/x"}, config.Match{Path: "/orders/*", Headers: map[string]config.ValueMatch{"X-Many": {Exact: "1"}}},
		config.Match{Path: "/orders/*", Headers: map[string]config.ValueMatch{"X-Api-Key": {Regex: "a" + long}}}).Explain(req, 3)
	for _, c := range got {
		if len(c.Seen) > 20_000 || len(c.Wanted) > 2000 {
			t.Errorf("%s: %d and %d bytes", c.Failed, len(c.Wanted), len(c.Seen))
		}
	}
	if none, won := table(t, paths("/a")...).Explain(request("GET", "h/a"), 0); len(none) != 0 || won {
		t.Errorf("%v %v", none, won)
	}
}

// BenchmarkExplain is what a question costs before 10,000 routes.
func BenchmarkExplain(b *testing.B) {
	tb := many(b, 10000)
	req := request("GET", "h34.example.com/team-34/service-8034/77/items")
	b.ReportAllocs()
	for b.Loop() {
		tb.Explain(req, 50)
	}
}
