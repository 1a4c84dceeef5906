package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/admin"
)

// writeInstances shows who could get the request, and who cannot.
func writeInstances(b *bytes.Buffer, d *admin.Destination) {
	if len(d.Instances) > 0 {
		var t table
		t.row("instance", "chance", "weight", "latency", "in flight", "requests", "failures", "zone", "source", "")
		for k := range d.Instances {
			i := &d.Instances[k]
			t.row(i.Address, percent(i.Chance), number(i.Weight), latency(i.LatencyMs), strconv.FormatInt(i.InFlight, 10),
				strconv.FormatUint(i.Requests, 10), strconv.FormatUint(i.Failures, 10), dash(i.Zone), i.Source, remarks(i))
		}
		b.WriteByte('\n')
		t.write(b)
		if left := d.Total - len(d.Instances); left > 0 {
			fmt.Fprintf(b, "  and %d more\n", left)
		}
	}
	if len(d.Excluded) > 0 {
		fmt.Fprintf(b, "\n  not picked:\n")
		var t table
		for _, x := range d.Excluded {
			t.row(x.Address, x.Reason, x.Source)
		}
		t.write(b)
		if left := d.ExcludedTotal - len(d.Excluded); left > 0 {
			fmt.Fprintf(b, "  and %d more\n", left)
		}
	}
	if d.Skipped > 0 {
		fmt.Fprintf(b, "\n  %d entries of the registry make no sense and are skipped; status names them\n", d.Skipped)
	}
}

// latency is "-" for an instance that has not been asked yet.
func latency(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return number(ms) + "ms"
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// remarks are what else there is to say of an instance.
func remarks(i *admin.Instance) string {
	var out []string
	for _, f := range i.Flags {
		if o := i.Outlier; f == "ejected" && o != nil && o.Until != nil {
			f = fmt.Sprintf("ejected until %s: %s", o.Until.Local().Format(time.TimeOnly), o.Reason)
			if o.Detail != "" {
				f += ", " + o.Detail
			}
		}
		if h := i.Health; f == "unhealthy" && h != nil && h.Failing != "" {
			f += ": " + h.Failing
		}
		out = append(out, f)
	}
	if i.Draining && !slices.Contains(i.Flags, "draining") {
		out = append(out, "draining")
	}
	if i.Held != nil {
		out = append(out, fmt.Sprintf("held until %s: %s", i.Held.Until.Local().Format(time.TimeOnly), i.Held.Reason))
	}
	if i.Warm < 1 {
		out = append(out, "warming up, at "+percent(i.Warm))
	}
	if i.Limit > 0 {
		out = append(out, fmt.Sprintf("at most %d at once", i.Limit))
	}
	if t := i.Tier; t != nil {
		text := fmt.Sprintf("priority %d", t.Priority)
		if t.Zone != "" {
			text += ", zone " + t.Zone
		}
		if t.Local {
			text += " (local)"
		}
		out = append(out, text+": "+percent(t.Share))
	}
	return strings.Join(out, "; ")
}

func writeRemembered(b *bytes.Buffer, doc *admin.Remembered, whole bool) {
	if len(doc.Requests) == 0 {
		fmt.Fprintf(b, "No request that failed or was tried again is among the last %d that are remembered.\n", doc.Size)
		return
	}
	for k := range doc.Requests {
		if k > 0 && whole {
			b.WriteByte('\n')
		}
		writeExchange(b, &doc.Requests[k], whole)
	}
}

// writeExchange tells of one exchange: in a line and its tries, or in full.
func writeExchange(b *bytes.Buffer, x *admin.Exchange, whole bool) {
	path := x.Path
	if x.PathCut {
		path += "..."
	}
	fmt.Fprintf(b, "%s  %d  %s\n", x.Time.Local().Format("2006-01-02 15:04:05.000"), x.Status, printable(x.Method+" "+x.Host+path))
	var t table
	if x.RequestID != "" {
		t.row("id", x.RequestID)
	}
	route := dash(x.Route)
	if x.Service != "" {
		route += ", service " + x.Service
	}
	t.row("route", route)
	if whole || x.Attempts > 0 {
		t.row("took", number(x.DurationMs)+"ms, "+plural(x.Attempts, "attempt"))
	}
	if x.Code != "" {
		t.row("code", x.Code)
	}
	if x.Error != "" {
		t.row("error", x.Error)
	}
	left := x.Attempts - len(x.Tries)
	for n, try := range x.Tries {
		name := "try " + strconv.Itoa(n+1)
		if n == len(x.Tries)-1 && left > 0 {
			t.row("", "...")
			name = "try " + strconv.Itoa(x.Attempts)
		}
		outcome := try.Code
		switch {
		case outcome == "" && try.Status == 0:
			outcome = "late; another was quicker"
		case outcome == "":
			outcome = strconv.Itoa(try.Status)
		}
		t.row(name, try.Instance+"  "+outcome+"  "+number(try.Ms)+"ms")
	}
	t.write(b)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}
