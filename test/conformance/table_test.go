package conformance

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// guide is the page that holds what was measured.
const guide = "../../docs/guide/registries.md"

// tables are what the guide has, each between a pair of comments: <!-- measured NAME --> and <!-- end of NAME -->.
var tables = []struct {
	name string
	head string // of the first column
}{
	{"faults", "what happens"},
	{"events", "from the registry's word to the first request"},
	{"migration", "what happens"},
	{"scale", "services in routes, of 5,000 in ZooKeeper"},
}

// write puts the results into the guide's tables. Cells that this run has not measured stay as they are.
func (r *resultSet) write(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	page := string(text)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range tables {
		begin, end := "<!-- measured "+t.name+" -->\n", "<!-- end of "+t.name+" -->"
		before, rest, ok := strings.Cut(page, begin)
		if !ok {
			return fmt.Errorf("write results: %s has no place for %q", path, t.name)
		}
		old, after, ok := strings.Cut(rest, end)
		if !ok {
			return fmt.Errorf("write results: the place for %q in %s has no end", t.name, path)
		}
		table := parseTable(old)
		table.head = t.head
		for at, text := range r.cells {
			if at.table == t.name {
				table.set(at.row, at.kind, text)
			}
		}
		page = before + begin + "\n" + table.String() + "\n" + end + after
	}
	return os.WriteFile(path, []byte(page), 0o644)
}

// markdownTable is a table with names for its rows and columns.
type markdownTable struct {
	head    string
	columns []string
	rows    []string
	cells   map[[2]string]string
}

func parseTable(text string) *markdownTable {
	t := &markdownTable{cells: map[[2]string]string{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") {
			continue
		}
		fields := strings.Split(strings.Trim(line, "|"), "|")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		if t.columns == nil {
			t.head, t.columns = fields[0], fields[1:]
			continue
		}
		for i, cell := range fields[1:] {
			if i < len(t.columns) {
				t.set(fields[0], t.columns[i], cell)
			}
		}
	}
	return t
}

func (t *markdownTable) set(row, column, text string) {
	if !slices.Contains(t.rows, row) {
		t.rows = append(t.rows, row)
	}
	if !slices.Contains(t.columns, column) {
		t.columns = append(t.columns, column)
	}
	t.cells[[2]string{row, column}] = text
}

// String orders rows as the scenarios are, and columns as the kinds are; what is neither comes last.
func (t *markdownTable) String() string {
	var rows []string
	for _, s := range scenarios() {
		rows = append(rows, s.name)
	}
	inOrder(t.rows, rows)
	var columns []string
	for _, k := range kinds() {
		columns = append(columns, k.name)
	}
	inOrder(t.columns, columns)
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | %s |\n|---|%s\n", t.head, strings.Join(t.columns, " | "), strings.Repeat("---|", len(t.columns)))
	for _, row := range t.rows {
		fmt.Fprintf(&b, "| %s |", row)
		for _, column := range t.columns {
			fmt.Fprintf(&b, " %s |", t.cells[[2]string{row, column}])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// inOrder sorts names as they stand in order; the others stay behind them, by name.
func inOrder(names, order []string) {
	rank := func(name string) int {
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(names, func(a, b string) int {
		if c := rank(a) - rank(b); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
}

// TestTables writes results into a page twice: what the second run has not measured is kept.
func TestTables(t *testing.T) {
	path := t.TempDir() + "/page.md"
	var page strings.Builder
	for _, table := range tables {
		fmt.Fprintf(&page, "text\n\n<!-- measured %[1]s -->\n<!-- end of %[1]s -->\n", table.name)
	}
	page.WriteString("the end\n")
	if err := os.WriteFile(path, []byte(page.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	first := &resultSet{cells: map[cell]string{
		{"faults", "connection flaps", "nacos"}:              "old",
		{"faults", "instances come and go", "zookeeper"}:     "good",
		{"events", "a new instance's first request", "etcd"}: "3 ms",
	}}
	second := &resultSet{cells: map[cell]string{{"faults", "connection flaps", "nacos"}: "new"}}
	for _, r := range []*resultSet{first, second} {
		if err := r.write(path); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `text

<!-- measured faults -->

| what happens | zookeeper | nacos |
|---|---|---|
| instances come and go | good |  |
| connection flaps |  | new |

<!-- end of faults -->
text
`
	if got := string(text); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "the end\n") || !strings.Contains(got, "3 ms") {
		t.Errorf("the page is\n%s", got)
	}
	if err := first.write(path + "x"); err == nil {
		t.Error("a page that is not there was written")
	}
}
