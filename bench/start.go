package main

import (
	"context"
	"fmt"
	"slices"
)

// starts is how often each program is started.
const starts = 10

// start measures the time from the fork to the first answer of the backend through the gateway.
func start(ctx context.Context, b *benchmark) error {
	var rows [][]string
	for _, p := range b.idlePrograms() {
		var took []float64
		for range starts {
			running, d, err := b.start(ctx, p)
			if err != nil {
				return err
			}
			running.Stop()
			took = append(took, milli(d))
		}
		b.say("  %s %.1f ms", p.Name, median(took))
		rows = append(rows, []string{p.Name, fmt.Sprintf("%.1f", median(took)), fmt.Sprintf("%.1f", slices.Max(took))})
	}
	b.report.section("Start to first answer", []string{"", "median ms", "worst ms"}, rows,
		fmt.Sprintf("%d starts each, static configuration, asked every millisecond until the answer is 200.", starts))
	return nil
}
