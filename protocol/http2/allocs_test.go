package http2

import (
	"flag"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

// TestAllocations counts what a request through server and client costs in steady state: nothing, but for what the
// runtime does now and then.
func TestAllocations(t *testing.T) {
	if protocol.Poisoning {
		t.Skip("the race detector allocates")
	}
	// However long benchmarks are asked to run: one request says nothing of the steady state.
	before := flag.Lookup("test.benchtime").Value.String()
	defer func() { _ = flag.Set("test.benchtime", before) }()
	if err := flag.Set("test.benchtime", "30000x"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		bench func(b *testing.B)
	}{
		{"server", func(b *testing.B) {
			_, addr := startServer(b, ServerConfig{}, quietHello())
			rawBench(b, addr, 13)
		}},
		{"server and client", func(b *testing.B) {
			_, upstream := startServer(b, ServerConfig{}, quietHello())
			c := newClient(b, ClientConfig{Address: upstream})
			_, addr := startServer(b, ServerConfig{}, c.Serve)
			rawBench(b, addr, 13)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The first thousands of requests fill pools, which is what most of the allocations of a short run are.
			r := testing.Benchmark(c.bench)
			if n := float64(r.MemAllocs) / float64(r.N); n > 1 {
				t.Errorf("%.2f allocations a request in %d", n, r.N)
			}
			t.Logf("%d requests, %.3f allocations each, %v a request", r.N, float64(r.MemAllocs)/float64(r.N), r.NsPerOp())
		})
	}
}
