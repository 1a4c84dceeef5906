package upstream

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sluice-gateway/sluice/protocol"
)

// The fields by which instances report their load (ORCA: Envoy's and gRPC's open request cost aggregation; the formats are
// those of Envoy's orca_load_metrics: a protobuf in base64, or "TEXT " and "JSON " with the fields' names).
const (
	loadField       = "endpoint-load-metrics"
	loadFieldBinary = "endpoint-load-metrics-bin"
)

// loadReport is what the policy orca needs of a report.
type loadReport struct {
	application, cpu float64
	qps, eps         float64
}

// utilization is the application's own word, or the processor's.
func (r *loadReport) utilization() float64 {
	if r.application > 0 {
		return r.application
	}
	return r.cpu
}

// report hands a load report in a head or in trailers on to the balancer.
func (i *instance) report(now int64, h *protocol.Header) {
	r, ok := readLoad(h)
	if ok {
		i.load.Report(now, r.qps, r.utilization(), r.eps)
	}
}

// readLoad finds a report. One that cannot be read is none: an instance's statistics are no reason to fail its answer.
func readLoad(h *protocol.Header) (loadReport, bool) {
	if v, ok := h.Lookup(loadFieldBinary); ok {
		return readBinaryLoad(v)
	}
	v, ok := h.Lookup(loadField)
	if !ok {
		return loadReport{}, false
	}
	switch form, rest, _ := strings.Cut(v, " "); form {
	case "TEXT":
		return readTextLoad(rest)
	case "JSON":
		return readJSONLoad(rest)
	case "BIN":
		return readBinaryLoad(rest)
	}
	return loadReport{}, false
}

func (r *loadReport) set(name string, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return
	}
	switch name {
	case "application_utilization":
		r.application = v
	case "cpu_utilization":
		r.cpu = v
	case "rps_fractional":
		r.qps = v
	case "eps":
		r.eps = v
	}
}

// readTextLoad reads "name=value, name=value".
func readTextLoad(s string) (r loadReport, ok bool) {
	for pair := range strings.SplitSeq(s, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(pair), "=")
		v, err := strconv.ParseFloat(value, 64)
		if !found || err != nil {
			return r, false
		}
		r.set(name, v)
	}
	return r, true
}

func readJSONLoad(s string) (r loadReport, ok bool) {
	var all map[string]any
	if len(s) > 8<<10 || json.Unmarshal([]byte(s), &all) != nil {
		return r, false
	}
	for name, value := range all {
		if v, isNumber := value.(float64); isNumber {
			r.set(name, v)
		}
	}
	return r, true
}

// The numbers of the fields in xds.data.orca.v3.OrcaLoadReport.
var loadFields = map[protowire.Number]string{1: "cpu_utilization", 6: "rps_fractional", 7: "eps", 9: "application_utilization"}

func readBinaryLoad(s string) (r loadReport, ok bool) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return r, false
	}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return r, false
		}
		b = b[n:]
		if name := loadFields[number]; name != "" && kind == protowire.Fixed64Type {
			v, n := protowire.ConsumeFixed64(b)
			if n < 0 {
				return r, false
			}
			r.set(name, math.Float64frombits(v))
			b = b[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			return r, false
		}
		b = b[n:]
	}
	return r, true
}
