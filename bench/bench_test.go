package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/bench/wrk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMedianAndQuantile(t *testing.T) {
	for _, c := range []struct {
		of           []float64
		median, most float64
	}{{[]float64{3}, 3, 3}, {[]float64{3, 1, 2}, 2, 3}, {[]float64{4, 1, 3, 2}, 2.5, 4}} {
		if got := median(slices.Clone(c.of)); got != c.median {
			t.Errorf("median of %v is %v, want %v", c.of, got, c.median)
		}
		if got := quantile(c.of, 0.99); got != c.most {
			t.Errorf("p99 of %v is %v, want %v", c.of, got, c.most)
		}
	}
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	if got := quantile(hundred, 0.99); got != 99 {
		t.Errorf("p99 of 1 to 100 is %v", got)
	}
}

func us(n int) sample {
	return sample{Result: wrk.Result{Requests: 1000, Elapsed: time.Second}, perRequest: time.Duration(n) * time.Microsecond}
}

func TestRatiosArePaired(t *testing.T) {
	// The machine became half as fast after the first round: times say little, pairs say all.
	if got := ratios([]sample{us(10), us(20)}, []sample{us(20), us(40)}); !slices.Equal(got, []float64{0.5, 0.5}) {
		t.Errorf("ratios %v", got)
	}
}

func TestReport(t *testing.T) {
	o, err := parseOptions([]string{"-short"})
	if err != nil {
		t.Fatal(err)
	}
	r := newReport(o)
	r.version("nginx", "1.2")
	r.missing("envoy", errors.New("no wheel\nat all"))
	r.sideBySide("GET", []string{"nginx", "sluice"}, map[string][]sample{
		"nginx": {us(10), us(20), us(10)}, "sluice": {us(12), us(22), us(11)},
	}, map[string]int64{"nginx": 1 << 20})
	text := r.markdown()
	for _, part := range []string{"nginx (1.2)", "Not measured: envoy: no wheel.", "## GET", "| nginx | 10.0 | **1.00** |", "| sluice | 12.0 | **1.10** | 1.10-1.20 | 1000 |"} {
		if !strings.Contains(text, part) {
			t.Errorf("the report lacks %q:\n%s", part, text)
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"-short", "-rounds", "9"})
	if err != nil || o.rounds != 9 || o.seconds != 2 || !slices.Equal(o.peers, []string{"nginx", "sluice"}) {
		t.Errorf("%+v, %v", o, err)
	}
	for _, bad := range [][]string{{"-peers", "apache"}, {"-cases", "delete"}, {"-rounds", "many"}} {
		if _, err := parseOptions(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestAppliedReadsTheLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	text := `{"level":"INFO","msg":"serving"}
no JSON
{"level":"INFO","msg":"configuration applied","parse":"120.5ms","apply":"40ms"}
{"level":"INFO","msg":"configuration applied","parse":"1.1s","apply":"900µs"}
`
	if err := os.WriteFile(log, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	parse, apply, err := applied(log)
	if err != nil || !slices.Equal(parse, []float64{120.5, 1100}) || !slices.Equal(apply, []float64{40, 0.9}) {
		t.Errorf("parse %v, apply %v, %v", parse, apply, err)
	}
}

func TestPathsLieWithinTheRoutes(t *testing.T) {
	p := paths("/x")
	if len(p) != 256 || p[0] != "/svc-0/x" || p[255] != "/svc-9945/x" {
		t.Errorf("%d paths from %s to %s", len(p), p[0], p[len(p)-1])
	}
}
