package hessian

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestRealAnswers reads what real Java providers answered, kept in testdata: they cannot run in every test.
func TestRealAnswers(t *testing.T) {
	file, err := os.ReadFile("testdata/answers.tsv")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for line := range strings.Lines(string(file)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(parts) != 4 {
			t.Fatalf("%d columns: %q", len(parts), line)
		}
		count++
		in, err := hex.DecodeString(parts[2])
		if err != nil {
			t.Fatal(err)
		}
		got, rest, err := AppendJSON(nil, in, Options{CyclesAsNull: true})
		if string(got) != parts[3] || err != nil || len(rest) > 0 || !json.Valid(got) {
			t.Errorf("%s, %s: got %s, %d left, %v; want %s", parts[0], parts[1], got, len(rest), err, parts[3])
		}
		// No answer may be read in part: each shorter one is an error, and none a panic.
		for n := range in {
			if got, _, err := AppendJSON(nil, in[:n], Options{}); err == nil {
				t.Errorf("%s, %s: the first %d bytes gave %s", parts[0], parts[1], n, got)
			}
		}
	}
	if count < 100 {
		t.Errorf("only %d answers", count)
	}
}
