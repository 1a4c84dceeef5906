package balance

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "simulate at length and write SIMULATION.md")

// column is one situation of the table.
type column struct {
	title  string
	about  string
	base   simulation
	figure func(outcome) string
}

func p99(o outcome) string { return fmt.Sprintf("%.0f", float64(o.quantile(0.99))/1e6) }

// columns are the situations of the table.
func columns() []column {
	uneven, one := slowed(hosts(20), 4), slowed(hosts(20), 1)
	failing := hosts(20)
	failing[7].fails = true
	joining := hosts(20)
	joining[19].joins = time.Second
	return []column{
		{"even, 2 gw", "20 equal hosts, 90 % load, 2 gateways", simulation{hosts: hosts(20), gateways: 2, util: 0.9}, p99},
		{"even, 20 gw", "the same, 20 gateways", simulation{hosts: hosts(20), gateways: 20, util: 0.9}, p99},
		{"1 slow, 2 gw", "one of 20 hosts takes three times as long, 90 % load, 2 gateways", simulation{hosts: one, gateways: 2, util: 0.9}, p99},
		{"20 % slow, 1 gw", "four of 20 hosts take three times as long, 85 % load, 1 gateway", simulation{hosts: uneven, gateways: 1, util: 0.85}, p99},
		{"2 gw", "the same, 2 gateways", simulation{hosts: uneven, gateways: 2, util: 0.85}, p99},
		{"20 gw", "the same, 20 gateways", simulation{hosts: uneven, gateways: 20, util: 0.85}, p99},
		{"changing, 20 gw", "every five seconds another four of 20 hosts take three times as long, 85 % load, 20 gateways", simulation{hosts: hosts(20), gateways: 20, util: 0.85, changing: 5 * time.Second}, p99},
		{"500 hosts, 20 gw", "100 of 500 hosts take three times as long, 85 % load, 20 gateways", simulation{hosts: slowed(hosts(500), 100), gateways: 20, util: 0.85}, p99},
		{"fails fast", "one of 20 hosts answers within 0.5 ms, with failures; 70 % load, 2 gateways: requests that fail", simulation{hosts: failing, gateways: 2, util: 0.7}, func(o outcome) string { return fmt.Sprintf("%.2f %%", 100*o.failed) }},
		{"rush", "a host joins 19 others at 85 % load, 20 gateways: the most requests it has at once in its first second, over the mean of the others", simulation{hosts: joining, gateways: 20, util: 0.85}, func(o outcome) string { return fmt.Sprintf("%.1fx", o.rush) }},
		{"with slow start", "the same, with a slow start of 10 s", simulation{hosts: joining, gateways: 20, util: 0.85, slowStart: 10 * time.Second}, func(o outcome) string { return fmt.Sprintf("%.1fx", o.rush) }},
		{"one zone of 3", "18 hosts in three zones and 6 gateways that are all in one of them and do not know it, 75 % load", simulation{hosts: hosts(18), gateways: 6, util: 0.75, zones: []string{"a", "b", "c"}, home: []string{"a"}}, p99},
	}
}

// TestTable checks that the committed table is one of these policies and situations; with -update it writes it.
func TestTable(t *testing.T) {
	const file = "SIMULATION.md"
	if *update {
		if err := os.WriteFile(file, []byte(tableOf(t)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range columns() {
		if !strings.Contains(string(text), "| "+c.title+" ") || !strings.Contains(string(text), c.about) {
			t.Errorf("%s has no column %q as it is now: run this test with -update", file, c.title)
		}
	}
	for _, policy := range Policies() {
		if !strings.Contains(string(text), "\n| "+policy+" |") {
			t.Errorf("%s has no row of %s: run this test with -update", file, policy)
		}
	}
}

func tableOf(t *testing.T) string {
	var b strings.Builder
	b.WriteString(`# The policies in simulation

Written by ` + "`go test ./proxy/balance -run TestTable -update`" + `. The same pickers that serve requests, in virtual time. A host has 4 workers and
takes 10 ms a request on average (exponential), one request in a hundred ten times as long; requests come at random. Each gateway
knows only its own requests. Ten seconds of warm-up, then 60 are measured (10 with 500 hosts). Figures are p99 in milliseconds
if not said otherwise. The hashing policies get 10,000 keys, equally often.

|`)
	all := columns()
	for _, c := range all {
		b.WriteString(" | " + c.title)
	}
	b.WriteString(" |\n|---" + strings.Repeat("|---", len(all)) + "|\n")
	for _, policy := range Policies() {
		b.WriteString("| " + policy + " |")
		for _, c := range all {
			s := c.base
			s.policy, s.seed, s.warmup, s.measured = policy, 1, 10*time.Second, 60*time.Second
			if len(s.hosts) > 100 {
				s.measured = 10 * time.Second
			}
			b.WriteString(" " + c.figure(s.run(t)) + " |")
		}
		b.WriteString("\n")
		t.Log(policy)
	}
	b.WriteString("\n")
	for _, c := range all {
		b.WriteString("- **" + c.title + "**: " + c.about + ".\n")
	}
	return b.String()
}
