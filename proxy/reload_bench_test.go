package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/config"
)

// BenchmarkReload applies documents of 10,000 routes with three filters each, every time another one.
func BenchmarkReload(b *testing.B) {
	var text strings.Builder
	text.WriteString(web + registries(`echo: ["127.0.0.1:1"]`) + "accessLog: {path: \"off\"}\nadmin: {address: \"off\"}\nroutes:\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "  - {name: r%d, match: {path: \"/t%d/s%d/**\"}, filters: [stripPrefix, {setRequestHeader: {name: X-A, value: a}}, {setRequestHeader: {name: X-B, value: b}}], to: {service: echo}}\n", i, i%50, i)
	}
	g := New(Options{Components: parts(), Logger: slog.New(slog.DiscardHandler), Namespace: b.Name()})
	apply := g.Start
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		doc, mistakes := config.Parse("bench.yaml", []byte(text.String()), kinds())
		if len(mistakes) > 0 {
			b.Fatal(mistakes)
		}
		b.StartTimer()
		if err := apply(doc); err != nil {
			b.Fatal(err)
		}
		apply = g.Reload
	}
	if err := g.Shutdown(context.Background(), 0); err != nil {
		b.Fatal(err)
	}
}
