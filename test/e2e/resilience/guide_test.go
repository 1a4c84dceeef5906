package resilience

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestGuideQuotesSimulation: the guide's page about balancing shows some columns of the simulator's table, and says that a
// policy diverges where the p99 is more than a second.
func TestGuideQuotesSimulation(t *testing.T) {
	simulated := tableOf(t, "../../../proxy/balance/SIMULATION.md", "even, 2 gw")
	quoted := tableOf(t, "../../../docs/guide/balancing.md", "all alike, 90 % load")
	if len(quoted) < 2 || len(quoted) != len(simulated) {
		t.Fatalf("the guide has %d rows, the simulator %d", len(quoted), len(simulated))
	}
	// "20 gw" stands behind "2 gw" and "20 % slow, 1 gw": the same hosts, 20 gateways.
	columns := []string{"", "even, 2 gw", "1 slow, 2 gw", "20 gw", "fails fast"}
	for n, row := range quoted[1:] {
		source := simulated[n+1]
		if strings.Trim(row[0], "`") != source[0] {
			t.Errorf("row %d is of %s, not of %s", n+1, row[0], source[0])
			continue
		}
		for c, column := range columns[1:] {
			want := source[slices.Index(simulated[0], column)]
			if v, err := strconv.Atoi(want); err == nil && v > 1000 {
				want = "diverges"
			}
			if got := row[c+1]; got != want {
				t.Errorf("%s, %s: the guide says %s, the simulator %s", source[0], column, got, want)
			}
		}
	}
}

// tableOf reads the table of a page whose second column has that head.
func tableOf(t *testing.T, path, second string) (rows [][]string) {
	t.Helper()
	for line := range strings.Lines(string(must[[]byte](t)(os.ReadFile(path)))) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			if rows != nil {
				break
			}
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		if rows == nil && (len(cells) < 2 || cells[1] != second) {
			continue
		}
		if !strings.HasPrefix(line, "|---") {
			rows = append(rows, cells)
		}
	}
	return rows
}
