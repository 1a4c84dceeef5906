package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sluice-gateway/sluice/admin"
)

// shownCandidates are the routes that the text names beside the winner; --json has more.
const shownCandidates = 10

// printable makes one line of plain ASCII out of text that others wrote.
func printable(s string) string {
	q := strconv.QuoteToASCII(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// table aligns rows of cells, each line two blanks in.
type table struct{ rows [][]string }

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(b *bytes.Buffer) {
	w := tabwriter.NewWriter(b, 0, 1, 2, ' ', 0)
	for _, row := range t.rows {
		for i := range row {
			row[i] = printable(row[i])
		}
		// The writers below this one are buffers, which do not fail.
		_, _ = fmt.Fprintln(w, "  "+strings.Join(row, "\t"))
	}
	_ = w.Flush()
	// Columns that are empty in a row leave blanks at its end.
	lines := strings.Split(b.String(), "\n")
	b.Reset()
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(strings.TrimRight(line, " "))
	}
}

func writeExplanation(b *bytes.Buffer, x *admin.Explanation) {
	r := &x.Request
	b.WriteString(printable(r.Method + " " + r.Host + r.Path))
	if r.Query != "" {
		b.WriteString(printable("?" + r.Query))
	}
	b.WriteString("\n\n")
	if x.Matched && x.Route != nil {
		writeRoute(b, x.Route)
	} else {
		fmt.Fprintf(b, "No route takes it. The answer is %s.\n", answer(x.Answer))
	}
	writeCandidates(b, x)
	for i := range x.Targets {
		b.WriteByte('\n')
		writeDestination(b, &x.Targets[i])
	}
}

func answer(a *admin.Answer) string {
	if a == nil {
		return "an error"
	}
	text := fmt.Sprintf("%d %s (%s)", a.Status, a.Code, a.Message)
	if a.Allow != "" {
		text += ", Allow: " + a.Allow
	}
	return printable(text)
}

func writeRoute(b *bytes.Buffer, r *admin.ExplainedRoute) {
	fmt.Fprintf(b, "Route %s (%s)\n", printable(r.Name), printable(r.Position))
	var t table
	if len(r.Hosts) > 0 {
		t.row("hosts", strings.Join(r.Hosts, ", "))
	}
	t.row("path", r.Path)
	for _, c := range r.Captures {
		t.row("capture", c.Name+" = "+c.Value)
	}
	if len(r.Filters) > 0 {
		t.row("filters", strings.Join(r.Filters, ", "))
	}
	if f := r.FlowControl; f != nil {
		var limits []string
		if f.QPS > 0 {
			limits = append(limits, number(f.QPS)+" requests/s")
		}
		if f.Concurrency > 0 {
			limits = append(limits, strconv.Itoa(f.Concurrency)+" at once")
		}
		t.row("limits", strings.Join(limits, ", "))
	}
	to := r.To
	if to == "" {
		to = "nowhere: its filters answer"
	}
	t.row("to", to)
	if r.Timeout != "" {
		t.row("timeout", r.Timeout)
	}
	if n := r.Retries; n != nil {
		text := fmt.Sprintf("%d, on %s", n.Attempts, strings.Join(n.On, ", "))
		if n.PerTry != "" {
			text += ", " + n.PerTry + " each"
		}
		if n.Idempotent {
			text += ", any method"
		}
		t.row("retries", text)
	}
	t.row("requests", fmt.Sprintf("%d, %d in flight", r.Requests, r.InFlight))
	if r.Earlier {
		t.row("note", "the newest version of this route was refused; this is the one before")
	}
	if r.Preflight {
		t.row("note", "a CORS preflight: the filters answer it")
	}
	t.write(b)
}

func writeCandidates(b *bytes.Buffer, x *admin.Explanation) {
	var t table
	others := x.Routes
	for _, c := range x.Candidates {
		if c.Won {
			others--
			continue
		}
		if len(t.rows) < shownCandidates {
			t.row(c.Name, strings.Join(c.Hosts, ",")+c.Path, whyNot(&c))
		}
	}
	if len(t.rows) == 0 {
		return
	}
	b.WriteString("\nOther routes, the closest first\n")
	left := others - len(t.rows)
	t.write(b)
	if left > 0 {
		fmt.Fprintf(b, "  and %d more\n", left)
	}
}

func whyNot(c *admin.Candidate) string {
	switch {
	case c.Failed == "":
		return "takes it too, but " + c.Behind
	case c.Failed == "path":
		return "path: " + c.Seen
	case c.Of != "":
		return fmt.Sprintf("%s %s: wants %s, is %s", c.Failed, c.Of, c.Wanted, c.Seen)
	}
	return fmt.Sprintf("%s: wants %s, is %s", c.Failed, c.Wanted, c.Seen)
}

func writeDestination(b *bytes.Buffer, d *admin.Destination) {
	fmt.Fprintf(b, "Service %s\n", printable(d.Service+"@"+d.Registry))
	var t table
	switch {
	case d.Mirror:
		t.row("mirror", percent(d.Share)+" of the route's requests are copied here, and the answers dropped")
	case d.Share < 1:
		t.row("split", percent(d.Share)+" of the route's requests")
	}
	if d.RegistryState != "" {
		state := d.RegistryState
		if state != "live" && d.LastError != "" {
			state += ": " + d.LastError
		}
		t.row("registry", state)
	}
	if d.Stale {
		t.row("stale", "served by what was kept on disk")
	}
	if d.LastChange != nil {
		t.row("last change", d.LastChange.Local().Format(time.DateTime))
	}
	if d.Group != "" || d.Version != "" {
		t.row("chosen", fmt.Sprintf("group %q, version %q", d.Group, d.Version))
	}
	if d.Subset != "" {
		subset := d.Subset
		if d.Unfit {
			subset += "; no instance fits, so all are used"
		}
		t.row("subset", subset)
	}
	if d.Policy != "" {
		t.row("policy", policy(d))
	}
	if d.Hedge != "" {
		t.row("hedged", "a second try after "+d.Hedge)
	}
	if l := d.Limits; l != nil {
		t.row("limits", limitsText(l))
	}
	if r := d.RetryBudget; r != nil {
		t.row("retry budget", fmt.Sprintf("%s left (%s of requests, at least %d/s); %d granted, %d refused", number(r.Left), percent(r.Share), r.MinPerSecond, r.Granted, r.Refused))
	}
	if d.Panic != "" {
		t.row("panic", "so many instances are "+d.Panic+" that this does not count")
	}
	if d.Unwatched {
		t.row("note", "no request has named it lately; the next one asks the registry for its instances")
	}
	if d.Answer != nil {
		t.row("answer", answer(d.Answer)+"; nothing is sent")
	}
	t.write(b)
	writeInstances(b, d)
}

func policy(d *admin.Destination) string {
	text := d.Policy
	switch d.Policy {
	case "roundRobin", "orca":
		text += "; instances take turns by weight"
	case "ringHash", "maglev":
		text += "; the request has no key, so the pick is random"
		if d.Keyed {
			text = d.Policy + "; the request's key decides"
		}
	default:
		text += "; each pick is random, by chance"
	}
	if d.Stuck != "" {
		text += "; its cookie names " + d.Stuck
	}
	return text
}

func limitsText(l *admin.ServiceLimits) string {
	var parts []string
	if l.Service > 0 {
		parts = append(parts, fmt.Sprintf("service %d of %d", l.InFlight, l.Service))
	}
	if l.Adaptive {
		parts = append(parts, "each instance by its latency")
	} else if l.Instance > 0 {
		parts = append(parts, fmt.Sprintf("each instance %d", l.Instance))
	}
	return strings.Join(append(parts, fmt.Sprintf("%d of %d waiting", l.Waiting, l.Queue)), ", ")
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func percent(f float64) string { return strconv.FormatFloat(f*100, 'f', 1, 64) + "%" }
