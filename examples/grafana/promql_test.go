package grafana

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// series is what a gateway exports: by metric, by label, the values seen.
type series map[string]map[string]map[string]bool

// parseSeries reads Prometheus' text format.
func parseSeries(page string) series {
	all := series{}
	line := regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? [^ ]+$`)
	label := regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"`)
	for text := range strings.Lines(page) {
		m := line.FindStringSubmatch(strings.TrimSuffix(text, "\n"))
		if m == nil {
			continue
		}
		if all[m[1]] == nil {
			all[m[1]] = map[string]map[string]bool{}
		}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			if all[m[1]][l[1]] == nil {
				all[m[1]][l[1]] = map[string]bool{}
			}
			all[m[1]][l[1]][l[2]] = true
		}
	}
	return all
}

// scraped are labels that Prometheus adds.
var scraped = []string{"job"}

// problems are what a query asks for and series does not have. excused are values that exist although no series has them now,
// by label.
func (all series) problems(query string, excused map[string]func(value string) bool) (bad []string) {
	complain := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	if strings.Count(query, "(") != strings.Count(query, ")") || strings.Count(query, "{") != strings.Count(query, "}") {
		complain("its brackets do not match")
	}
	names := regexp.MustCompile(`\b((?:sluice|go|process)_[a-z0-9_]+)(?:\{([^}]*)\})?`).FindAllStringSubmatch(query, -1)
	if len(names) == 0 {
		complain("it asks for no metric")
	}
	for _, m := range names {
		labels, ok := all[m[1]]
		if !ok {
			complain("there is no metric %s", m[1])
			continue
		}
		for _, by := range grouped(query) {
			if labels[by] == nil && !slices.Contains(scraped, by) {
				complain("%s has no label %s", m[1], by)
			}
		}
		for _, l := range regexp.MustCompile(`([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"`).FindAllStringSubmatch(m[2], -1) {
			name, operator, value := l[1], l[2], l[3]
			if labels[name] == nil {
				if !slices.Contains(scraped, name) {
					complain("%s has no label %s", m[1], name)
				}
				continue
			}
			if strings.HasPrefix(value, "$") {
				continue
			}
			for _, v := range values(operator, value) {
				if !labels[name][v] && (excused[name] == nil || !excused[name](v)) {
					complain("%s never has %s=%q", m[1], name, v)
				}
			}
		}
	}
	return bad
}

// values are the texts that a matcher names.
func values(operator, value string) []string {
	if operator == "=~" || operator == "!~" {
		return strings.Split(value, "|")
	}
	return []string{value}
}

// grouped are the labels that a query groups by.
func grouped(query string) (labels []string) {
	for _, m := range regexp.MustCompile(`\b(?:by|on)\s*\(([^)]*)\)`).FindAllStringSubmatch(query, -1) {
		for name := range strings.SplitSeq(m[1], ",") {
			labels = append(labels, strings.TrimSpace(name))
		}
	}
	return labels
}

func TestProblems(t *testing.T) {
	all := parseSeries(`# HELP sluice_a_total x
sluice_a_total{route="x",status="2xx"} 1
sluice_b_bucket{le="+Inf"} 3
sluice_c 1e+06
`)
	excused := map[string]func(string) bool{"route": func(v string) bool { return v == "y" }}
	for query, want := range map[string]string{
		`sum by (route) (rate(sluice_a_total{status="2xx"}[5m]))`:          "",
		`sum by (job) (sluice_a_total{job="x", route=~"$route"})`:          "",
		`sluice_a_total{route=~"x|y"} / sluice_c`:                          "",
		`histogram_quantile(0.5, sum by (le) (rate(sluice_b_bucket[1m])))`: "",
		`sum by (routes) (sluice_a_total)`:                                 "sluice_a_total has no label routes",
		`sluice_a_total{state="x"}`:                                        "sluice_a_total has no label state",
		`sluice_a_total{status="3xx"}`:                                     `sluice_a_total never has status="3xx"`,
		`sluice_a_total{route=~"x|z"}`:                                     `sluice_a_total never has route="z"`,
		`sluice_d`:                                                         "there is no metric sluice_d",
		`sum(sluice_c`:                                                     "its brackets do not match",
		`1`:                                                                "it asks for no metric",
	} {
		if got := strings.Join(all.problems(query, excused), "; "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}
