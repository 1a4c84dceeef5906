package resilience

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// guide is the page that holds what was measured.
const guide = "../../../docs/guide/resilience.md"

// measured is what this run has found, for the guide.
var measured = &results{cells: map[cell]string{}, versions: map[string]string{}, missing: map[string]string{}}

type cell struct{ table, row, column string }

// The tables, and their order.
const (
	failures = "requests that failed: sent once / tried again"
	times    = "median / p99 of good answers"
	loads    = "requests at the instances, for each that clients sent"
)

type results struct {
	mu       sync.Mutex
	rows     []string // in the order of their coming
	columns  []string
	cells    map[cell]string
	versions map[string]string
	missing  map[string]string
}

func (r *results) set(table, row, column, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.rows, row) {
		r.rows = append(r.rows, row)
	}
	if !slices.Contains(r.columns, column) {
		r.columns = append(r.columns, column)
	}
	r.cells[cell{table, row, column}] = text
}

// note keeps what became of a scenario's requests.
func (r *results) note(row, column string, o outcome) {
	text := ""
	for path := range 2 {
		failed, of := o.failed(path)
		if of == 0 {
			continue
		}
		if path > 0 {
			text += " / "
		}
		text += percent(failed, of)
	}
	r.set(failures, row, column, text)
	r.set(times, row, column, fmt.Sprintf("%d / %d ms", o.percentile(0.5).Milliseconds(), o.percentile(0.99).Milliseconds()))
}

// percent writes a share as people read it: what is nothing is 0, and what is little is not.
func percent(n, of int) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(n)/float64(of))
}

func (r *results) version(name, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions[name] = text
}

func (r *results) absent(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missing[name] = err.Error()
}

// markdown is all of it.
func (r *results) markdown(now time.Time, machine string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s, %s. Beside Sluice: ", now.Format(time.DateOnly), machine)
	var others []string
	for _, name := range slices.Sorted(maps.Keys(r.versions)) {
		others = append(others, r.versions[name])
	}
	fmt.Fprintf(&b, "%s.", strings.Join(others, "; "))
	for _, name := range slices.Sorted(maps.Keys(r.missing)) {
		fmt.Fprintf(&b, " %s is missing: %s.", name, r.missing[name])
	}
	b.WriteString("\n")
	for _, table := range []string{failures, times, loads} {
		fmt.Fprintf(&b, "\n| %s | %s |\n|---|%s\n", table, strings.Join(r.columns, " | "), strings.Repeat("---|", len(r.columns)))
		for _, row := range r.rows {
			line, found := "| "+row+" |", false
			for _, column := range r.columns {
				text, ok := r.cells[cell{table, row, column}]
				found = found || ok
				if !ok {
					text = "-"
				}
				line += " " + text + " |"
			}
			if found {
				b.WriteString(line + "\n")
			}
		}
	}
	return b.String()
}

// write puts the tables between the page's marks.
func (r *results) write(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	const begin, end = "<!-- measured -->\n", "<!-- end of measured -->"
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("write results: %s has no place for them", path)
	}
	page := before + begin + "\n" + r.markdown(time.Now(), machine()) + "\n" + end + after
	return os.WriteFile(path, []byte(page), 0o644)
}

// machine says what this ran on.
func machine() string {
	model := "a CPU of unknown make"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d cores of %s, shared with others", runtime.NumCPU(), model)
}

// publish writes the guide's tables, when that was asked for and everything was measured.
func publish() {
	if !*update || !full() {
		return
	}
	if err := measured.write(guide); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func TestTables(t *testing.T) {
	r := &results{cells: map[cell]string{}, versions: map[string]string{"nginx": "nginx 1"}, missing: map[string]string{}}
	o := outcome{[]sample{{path: 0, took: time.Second, what: "x"}, {path: 0, took: 2 * time.Second}, {path: 1, took: 3 * time.Second}}}
	r.note("one freezes", "Sluice", o)
	r.set(loads, "all fail", "nginx", "3.00")
	path := t.TempDir() + "/page.md"
	if err := os.WriteFile(path, []byte("text\n\n<!-- measured -->\nold\n<!-- end of measured -->\nthe end\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.write(path); err != nil {
		t.Fatal(err)
	}
	page := string(must[[]byte](t)(os.ReadFile(path)))
	for _, want := range []string{
		"text\n\n<!-- measured -->\n\nMeasured on ", "nginx 1.\n",
		"| one freezes | 50.00 % / 0 | - |\n", "| one freezes | 3000 / 3000 ms | - |\n", "| all fail | - | 3.00 |\n",
		"\n<!-- end of measured -->\nthe end\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if strings.Contains(page, "old") {
		t.Error("the old table is there still")
	}
	if r.write(path+"x") == nil {
		t.Error("a page that is not there was written")
	}
}
