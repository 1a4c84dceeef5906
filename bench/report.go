package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/bench/account"
)

// report gathers what was found and writes it as Markdown.
type report struct {
	opts     options
	at       time.Time
	versions []string
	absent   []string
	sections []string
}

func newReport(o options) *report { return &report{opts: o, at: time.Now()} }

// missing notes a peer or a case that could not be measured, and why.
func (r *report) missing(name string, err error) {
	r.absent = append(r.absent, fmt.Sprintf("%s: %s", name, firstLineOf(err.Error())))
}

func (r *report) version(name, text string) {
	r.versions = append(r.versions, fmt.Sprintf("%s (%s)", name, text))
}

func firstLineOf(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// section adds a table under a title, with remarks below it.
func (r *report) section(title string, head []string, rows [][]string, remarks ...string) {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", title)
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(head)
	line(slices.Repeat([]string{"---"}, len(head)))
	for _, row := range rows {
		line(row)
	}
	for _, remark := range remarks {
		fmt.Fprintf(&b, "\n%s\n", remark)
	}
	r.sections = append(r.sections, b.String())
}

// sideBySide adds the table of one kind of load.
func (r *report) sideBySide(title string, names []string, samples map[string][]sample, resident map[string]int64) {
	var rows [][]string
	for _, name := range names {
		s := samples[name]
		ratio, spread := "-", "-"
		if base := samples["nginx"]; len(base) > 0 {
			pairs := ratios(s, base)
			ratio, spread = fmt.Sprintf("**%.2f**", median(pairs)), fmt.Sprintf("%.2f-%.2f", slices.Min(pairs), slices.Max(pairs))
		}
		var failed int64
		for _, x := range s {
			failed += x.Errors.Sum()
		}
		rows = append(rows, []string{
			name,
			fmt.Sprintf("%.1f", medianOf(s, func(x sample) float64 { return micro(x.perRequest) })),
			ratio, spread,
			fmt.Sprintf("%.0f", medianOf(s, func(x sample) float64 { return float64(x.Requests) / x.Elapsed.Seconds() })),
			fmt.Sprintf("%.2f", medianOf(s, func(x sample) float64 { return milli(x.P50) })),
			fmt.Sprintf("%.2f", medianOf(s, func(x sample) float64 { return milli(x.P99) })),
			megabytes(resident[name]),
			fmt.Sprint(failed),
			fmt.Sprintf("%.0f %%", 100*medianOf(s, func(x sample) float64 { return x.strangers })),
		})
	}
	r.section(title, []string{"", "CPU µs/request", "ratio to nginx, median of pairs", "range", "requests/s", "p50 ms", "p99 ms", "RSS under load, MB", "failed", "strangers' CPU"}, rows)
}

// ratios divides each round by the same round of the other.
func ratios(of, base []sample) []float64 {
	out := make([]float64, min(len(of), len(base)))
	for i := range out {
		out[i] = float64(of[i].perRequest) / float64(base[i].perRequest)
	}
	return out
}

func medianOf(s []sample, value func(sample) float64) float64 {
	all := make([]float64, len(s))
	for i, x := range s {
		all[i] = value(x)
	}
	return median(all)
}

// median of a list that is not empty; of an even number, the mean of the middle two.
func median(of []float64) float64 {
	s := slices.Sorted(slices.Values(of))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// quantile of a list that is not empty: the least value that a share q of all does not exceed.
func quantile(of []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(of))
	i := int(q*float64(len(s))+0.999999) - 1
	return s[min(max(i, 0), len(s)-1)]
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/(1<<20)) }

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Sluice beside its peers, %s\n\n", r.at.UTC().Format("2006-01-02"))
	fmt.Fprintf(&b, "Machine: %s.\n\n", account.Describe())
	fmt.Fprintf(&b, "Peers: %s.\n\n", strings.Join(r.versions, "; "))
	fmt.Fprintf(&b, "Method: one backend (nginx) for all; wrk with one thread; %d rounds of %d s, peers in turn and each round beginning with another one; "+
		"CPU is user plus system time of the peer's processes from /proc over the requests answered; the ratio is that of a peer to nginx (one worker) in the same round, "+
		"and of these the median. Sluice has %d routes, of which 256 are asked for in turn, and three filters on each; the peers have one route and none. "+
		"Access logs are off. \"Strangers\" are other programs on this machine: where they take much, trust ratios and not times.\n\n", r.opts.rounds, r.opts.seconds, r.opts.routes)
	if len(r.absent) > 0 {
		fmt.Fprintf(&b, "Not measured: %s.\n\n", strings.Join(r.absent, "; "))
	}
	b.WriteString(strings.Join(r.sections, "\n"))
	return b.String()
}
