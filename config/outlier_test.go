package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func outlierDefaults() (o Outlier) { o.SetDefaults(); return o }

func TestOutlierDefaults(t *testing.T) {
	want := Outlier{
		ConsecutiveErrors: 5, ErrorRate: OutlierErrorRate{MinRequests: 50}, Latency: OutlierLatency{MinRequests: 50}, Interval: 10 * time.Second,
		BaseEjection: 30 * time.Second, MaxEjection: 5 * time.Minute, MaxShare: 0.3,
	}
	off, two := want, want
	off.ConsecutiveErrors = 0
	two.ConsecutiveErrors, two.ServerErrors, two.ErrorRate.Threshold, two.Latency.Factor = 2, true, 0.5, 3
	for section, want := range map[string]Outlier{
		"protocol: http1": want,
		"outlier: {}":     want,
		"outlier:":        want,
		"outlier: off":    off,
		`outlier: "off"`:  off,
		"outlier: {consecutiveErrors: 2, serverErrors: true, errorRate: {threshold: 0.5}, latency: {factor: 3}}": two,
	} {
		if got := treated(t, section).Outlier; !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v\nwant %+v", section, got, want)
		}
	}
	if off.Off() != true || want.Off() || two.Off() {
		t.Error("off is not what is off")
	}
}

// TestOutlierMistakes has one mistake a line.
func TestOutlierMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"on":                      `: must be off, or a mapping such as {consecutiveErrors: 5}, not "on"`,
		"[off]":                   ": must be a mapping with the keys baseEjection, consecutiveErrors, errorRate, interval, latency, maxEjection, maxShare, serverErrors, not a list",
		"{consecutiveErrors: -1}": ".consecutiveErrors: must not be negative",
		"{consecutiveErrors: 0, serverErrors: true}": ".serverErrors: counts nothing while consecutiveErrors is 0",
		"{errorRate: {threshold: 50}}":               ".errorRate.threshold: must be a share from 0 to 1, such as 0.5",
		"{errorRate: {minRequests: 1}}":              ".errorRate.minRequests: must be at least 5",
		"{interval: 10ms}":                           ".interval: must be at least 1s",
		"{latency: {factor: 1}}":                     ".latency.factor: must be 0, or from 1.5 to 1000; what is closer to the others is no outlier",
		"{latency: {factor: -3}}":                    ".latency.factor: must be 0, or from 1.5 to 1000; what is closer to the others is no outlier",
		"{latency: {minRequests: 0}}":                ".latency.minRequests: must be at least 5",
		"{baseEjection: 0s}":                         ".baseEjection: must be at least 1s",
		"{maxEjection: 10s}":                         ".maxEjection: must not be shorter than baseEjection, 30s",
		"{maxShare: 30}":                             ".maxShare: must be a share, more than 0 to 1",
		"{maxShare: 0}":                              ".maxShare: must be a share, more than 0 to 1",
		"{consecutiveError: 3}":                      `.consecutiveError: unknown key "consecutiveError"; did you mean "consecutiveErrors"?`,
	} {
		_, problems := Parse("f.yaml", []byte(good+"services: [{match: {service: s}, outlier: "+text+"}]\n"), testKinds())
		if len(problems) != 1 {
			t.Errorf("%s: %d problems: %v", text, len(problems), problems)
			continue
		}
		if _, message, _ := strings.Cut(problems[0].Error(), ": "); message != "services[0].outlier"+want {
			t.Errorf("%s:\n got %s\nwant services[0].outlier%s", text, message, want)
		}
	}
}
