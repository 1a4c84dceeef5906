package rules

import (
	"strings"
	"testing"
)

// TestRulesBite gives each rule a text that breaks it and one that does not: a rule that finds nothing looks like a clean house.
func TestRulesBite(t *testing.T) {
	const pkg = "// Package p is a room.\npackage p\n"
	for _, c := range []struct {
		name  string
		rule  func([]*file) []string
		path  string
		text  string
		finds string // "" for nothing
	}{
		{"arrow up", importArrows, "protocol/a.go", pkg + `import "` + module + `/proxy"`, "may not import proxy"},
		{"arrow sideways", importArrows, "protocol/dubbo/a.go", pkg + `import "` + module + `/protocol/http1"`, "may not import"},
		{"arrow to a plug-in", importArrows, "proxy/a.go", pkg + `import "` + module + `/registry/nacos"`, "may not import"},
		{"plug-in in a test", importArrows, "proxy/a_test.go", pkg + `import "` + module + `/registry/nacos"`, ""},
		{"unknown room", importArrows, "attic/a.go", pkg + `import "` + module + `/protocol"`, "may not import"},
		{"test bed in code", importArrows, "protocol/a.go", pkg + `import "` + module + `/test/testbed"`, "may not import"},
		{"arrow down", importArrows, "proxy/a.go", pkg + `import "` + module + `/protocol/http1"`, ""},
		{"own wire", importArrows, "protocol/dubbo/a.go", pkg + `import "` + module + `/protocol/dubbo/hessian"`, ""},
		{"test bed in a test", importArrows, "registry/nacos/a_test.go", pkg + `import "` + module + `/test/testbed"`, ""},

		{"blank import", blankImports, "a.go", pkg + `import _ "net/http/pprof"`, "blank import"},
		{"embed", blankImports, "a.go", pkg + `import _ "embed"`, ""},

		{"init", inits, "a.go", pkg + "func init() {}", "func init"},
		{"method init", inits, "a.go", pkg + "type T int\nfunc (T) init() {}", ""},

		{"no value", mutableState, "a.go", pkg + "var n int", "has no value"},
		{"mutex", mutableState, "a.go", pkg + "var m = sync.Mutex{}", "made to change"},
		{"pointer to atomic", mutableState, "a.go", pkg + "var m = new(atomic.Int64)", "made to change"},
		{"channel", mutableState, "a.go", pkg + "var c = make(chan int)", "is a channel"},
		{"assigned", mutableState, "a.go", pkg + "var n = 1\nfunc f() { n = 2 }", "is written to"},
		{"map written", mutableState, "a.go", pkg + "var m = map[int]int{}\nfunc f() { m[1] = 2 }", "is written to"},
		{"map deleted from", mutableState, "a.go", pkg + "var m = map[int]int{}\nfunc f() { delete(m, 1) }", "is written to"},
		{"counted", mutableState, "a.go", pkg + "var n = 1\nfunc f() { n++ }", "is written to"},
		{"field", mutableState, "a.go", pkg + "var s = T{}\nfunc f() { s.a.b = 1 }", "is written to"},
		{"address", mutableState, "a.go", pkg + "var n = 1\nfunc f() *int { return &n }", "address taken"},
		{"shadowed", mutableState, "a.go", pkg + "var n = 1\nfunc f() { n := 2; n = 3; _ = n }", ""},
		{"error", mutableState, "a.go", pkg + `var errX = errors.New("x")`, ""},
		{"assertion", mutableState, "a.go", pkg + "var _ I = (*T)(nil)", ""},
		{"embedded", mutableState, "a.go", pkg + "//go:embed x\nvar text string", ""},
		{"in a test", mutableState, "a_test.go", pkg + "var n int", ""},

		{"sleep", sleeps, "a.go", pkg + "import \"time\"\nfunc f() { time.Sleep(1) }", "time.Sleep"},
		{"renamed sleep", sleeps, "a.go", pkg + "import zeit \"time\"\nfunc f() { zeit.Sleep(1) }", "time.Sleep"},
		{"sleep in a test", sleeps, "a_test.go", pkg + "import \"time\"\nfunc f() { time.Sleep(1) }", ""},

		{"long", fileLength, "a.go", pkg + strings.Repeat("\n", 600), "602 lines"},
		{"600 lines", fileLength, "a.go", pkg + strings.Repeat("\n", 598), ""},

		{"no comment", packageComments, "a/a.go", "package p\n", "no file has a package comment"},
		{"comment of something else", packageComments, "a/a.go", "// All rights reserved.\npackage p\n", "no file has a package comment"},
		{"command", packageComments, "a/a.go", "// Command a does it.\npackage main\n", ""},

		{"no TestMain", leakChecks, "a/a_test.go", pkg, "no TestMain"},
		{"empty TestMain", leakChecks, "a/a_test.go", pkg + "func TestMain(m *testing.M) { m.Run() }", "no TestMain"},
		{"TestMain", leakChecks, "a/a_test.go", pkg + "func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }", ""},

		{"shelf", folderNames, "a/util/b/c.go", pkg, "a/util: the name"},
		{"good name", folderNames, "a/b/c.go", pkg, ""},

		{"metric", metricNames, "a.go", pkg + `var d = prometheus.NewDesc("requests_total", "", nil, nil)`, "requests_total"},
		{"metric in options", metricNames, "a.go", pkg + `var d = f(prometheus.GaugeOpts{Name: "sluice_Up"})`, "sluice_Up"},
		{"good metric", metricNames, "a.go", pkg + `var d = prometheus.NewDesc("sluice_up", "", nil, nil)`, ""},
	} {
		got := strings.Join(c.rule(source(t, map[string]string{c.path: c.text})), "; ")
		if (c.finds == "") != (got == "") || !strings.Contains(got, c.finds) {
			t.Errorf("%s: found %q, want %q", c.name, got, c.finds)
		}
	}
}
