package registry

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServiceNames(t *testing.T) {
	for text, want := range map[string]ServiceName{
		"orders":          App("orders"),
		"g/orders":        {Name: "orders", Group: "g"},
		"a.B":             DubboService("a.B", "", ""),
		"g/a.B":           DubboService("a.B", "g", ""),
		"a.B:1.0":         DubboService("a.B", "", "1.0"),
		"g/a.B:1.0":       DubboService("a.B", "g", "1.0"),
		"*/a.B:*":         DubboService("a.B", "*", "*"),
		"orders:not-a-v1": App("orders:not-a-v1"),
	} {
		if got := ParseServiceName(want.Kind, text); got != want {
			t.Errorf("%q reads as %+v, want %+v", text, got, want)
		}
		if got := want.String(); got != text {
			t.Errorf("%+v writes as %q, want %q", want, got, text)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		asked          ServiceName
		group, version string
		want           bool
	}{
		{DubboService("a", "", ""), "", "", true},
		{DubboService("a", "", ""), "g", "", false}, // empty is a value, not a wildcard
		{DubboService("a", "*", ""), "g", "", true},
		{DubboService("a", "*", "*"), "g", "1", true},
		{DubboService("a", "g", "*"), "h", "1", false},
	} {
		if got := c.asked.Matches(c.group, c.version); got != c.want {
			t.Errorf("%v matches %q %q: %v", c.asked, c.group, c.version, got)
		}
	}
}

func TestBadEntryNeverHidesTheRest(t *testing.T) {
	var s Snapshot
	good := Instance{Host: "10.0.0.1", Port: 80, Weight: 1}
	s.Add("good", good)
	for reason, change := range map[string]func(*Instance){
		"no host":                          func(i *Instance) { i.Host = "" },
		"is not a name or an address":      func(i *Instance) { i.Host = "a b" },
		"port 0":                           func(i *Instance) { i.Port = 0 },
		"port 70000":                       func(i *Instance) { i.Port = 70000 },
		"weight -1":                        func(i *Instance) { i.Weight = -1 },
		"weight NaN":                       func(i *Instance) { i.Weight = nan() },
		"holds control characters":         func(i *Instance) { i.Host = "a\x01" },
		strings.Repeat("x", 80) + "...":    func(i *Instance) { i.Host = strings.Repeat("x", 300) },
		`host "http://a" is not a name`:    func(i *Instance) { i.Host = "http://a" },
		`host "[::1]" is not a name or an`: func(i *Instance) { i.Host = "[::1]" },
	} {
		bad := good
		change(&bad)
		before := s.SkippedCount
		s.Add("entry", bad)
		if s.SkippedCount != before+1 || !strings.Contains(s.Skipped[before].Reason, reason) {
			t.Errorf("%+v: %+v, want %q", bad, s.Skipped, reason)
		}
	}
	s.Add("also good", Instance{Host: "::1", Port: 1, Weight: 0})
	if len(s.Instances) != 2 {
		t.Errorf("%d instances, want the two good ones", len(s.Instances))
	}
}

func nan() float64 { zero := 0.0; return zero / zero }

func TestGarbageIsBounded(t *testing.T) {
	var s Snapshot
	for n := range 70000 {
		s.Add(fmt.Sprintf("%s-%d", strings.Repeat("e", 1000), n), Instance{})
	}
	if s.SkippedCount != 70000 || len(s.Skipped) != MaxSkipped || len(s.Skipped[0].Entry) > 100 {
		t.Errorf("%d counted, %d kept, entries of %d bytes", s.SkippedCount, len(s.Skipped), len(s.Skipped[0].Entry))
	}
}

func TestAddresses(t *testing.T) {
	for want, i := range map[string]Instance{
		"10.0.0.1:80": {Host: "10.0.0.1", Port: 80}, "[::1]:80": {Host: "::1", Port: 80}, "a.b:1": {Host: "a.b", Port: 1},
	} {
		if got := i.Address(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	var s Snapshot
	s.Add("x", Instance{Host: "localhost.", Port: 1})
	s.Add("y", Instance{Host: "a.example.", Port: 1})
	if s.Instances[0].Host != "localhost" || s.Instances[1].Host != "a.example." {
		t.Errorf("%+v", s.Instances)
	}
}

func TestWords(t *testing.T) {
	if Connecting.String()+Live.String()+Stale.String()+State(9).String() != "connectinglivestaleunknown" {
		t.Error("states")
	}
	if Plain.String()+Dubbo.String() != "plaindubbo" {
		t.Error("kinds")
	}
}
