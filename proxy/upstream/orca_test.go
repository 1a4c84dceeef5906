package upstream

import (
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sluice-gateway/sluice/protocol"
)

// binaryReport is an OrcaLoadReport with a map and a number besides what we read.
func binaryReport(cpu, qps, eps, application float64) string {
	var b []byte
	for number, v := range map[protowire.Number]float64{1: cpu, 2: 0.5, 6: qps, 7: eps, 9: application} {
		b = protowire.AppendTag(b, number, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, math.Float64bits(v))
	}
	b = protowire.AppendTag(b, 3, protowire.VarintType)
	b = protowire.AppendVarint(b, 7)
	b = protowire.AppendTag(b, 5, protowire.BytesType)
	b = protowire.AppendBytes(b, []byte("map"))
	return base64.StdEncoding.EncodeToString(b)
}

func TestLoadReports(t *testing.T) {
	full := loadReport{application: 0.25, cpu: 0.5, qps: 100, eps: 2}
	for _, c := range []struct {
		field, value string
		want         loadReport
		ok           bool
	}{
		{loadField, "TEXT cpu_utilization=0.5, rps_fractional=100,eps=2, application_utilization=0.25, named_metrics.x=7", full, true},
		{loadField, `JSON {"cpu_utilization": 0.5, "rps_fractional": 100, "eps": 2, "application_utilization": 0.25, "named_metrics": {"x": 1}}`, full, true},
		{loadField, "BIN " + binaryReport(0.5, 100, 2, 0.25), full, true},
		{loadFieldBinary, binaryReport(0.5, 100, 2, 0.25), full, true},
		{loadField, "TEXT cpu_utilization=-1,rps_fractional=NaN,eps=Inf", loadReport{}, true},
		{loadField, "TEXT nonsense", loadReport{}, false},
		{loadField, "JSON [", loadReport{}, false},
		{loadField, "XML <a/>", loadReport{}, false},
		{loadFieldBinary, "!!", loadReport{}, false},
		{loadFieldBinary, base64.StdEncoding.EncodeToString([]byte{0x09, 1, 2}), loadReport{}, false},
		{"x-other", "TEXT cpu_utilization=1", loadReport{}, false},
	} {
		var h protocol.Header
		h.Add(c.field, c.value)
		got, ok := readLoad(&h)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %s: %+v, %v", c.field, c.value, got, ok)
		}
	}
	if r := (loadReport{cpu: 0.5}); r.utilization() != 0.5 {
		t.Error("the processor's is not used")
	}
}

// TestReportsReachTheBalancer: from heads and from trailers, and only where the policy goes by them.
func TestReportsReachTheBalancer(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/trailer" {
			w.Header().Set("Trailer", "Endpoint-Load-Metrics")
			_, _ = fmt.Fprint(w, "x")
			w.Header().Set("Endpoint-Load-Metrics", "TEXT cpu_utilization=0.5,rps_fractional=10")
			return
		}
		w.Header().Set("Endpoint-Load-Metrics", "TEXT cpu_utilization=0.5,rps_fractional=40")
	}))
	defer s.Close()
	for policy, reported := range map[string]bool{"orca": true, "roundRobin": false} {
		for path, want := range map[string]float64{"/": 80, "/trailer": 20} {
			settings := defaults()
			settings.Balance.Policy = policy
			svc := newBed(t).over(settings, s.Listener.Addr().String())
			req := &protocol.Request{Method: "GET", Scheme: "http", Authority: "h", Path: path, Version: protocol.HTTP11}
			if _, err := askWith(NewTarget(svc, tries(0, 0)), req); err != nil {
				t.Fatal(err)
			}
			weight, _ := svc.state.Load().instances[0].load.Reported(protocol.Now())
			if !reported {
				want = 0
			}
			if weight != want {
				t.Errorf("%s %s: weight %v, want %v", policy, path, weight, want)
			}
		}
	}
}

func FuzzReadLoad(f *testing.F) {
	f.Add("TEXT cpu_utilization=0.5")
	f.Add(`JSON {"eps": 1}`)
	f.Add("BIN " + binaryReport(1, 2, 3, 4))
	f.Fuzz(func(t *testing.T, value string) {
		var h protocol.Header
		h.Add(loadField, value)
		if r, ok := readLoad(&h); ok && (r.qps < 0 || r.eps < 0 || !(r.utilization() >= 0)) {
			t.Errorf("%q: %+v", value, r)
		}
	})
}
