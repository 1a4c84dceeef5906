package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The garbage collector's settings. Requests make next to no garbage, so that collecting twice as often as Go does by
// itself costs nothing and saves a third of the memory: what there is to collect comes from registries and reloads.
const (
	gcPercent = 50
	// tidyEvery is how often the process looks whether it holds memory that it does not use.
	tidyEvery = 5 * time.Second
	// What a burst has left is given back when it is this much, and this share of what is in use: a registry's first answer
	// and a large reload need several times the memory of what stays of them.
	spareBytes = 32 << 20
	spareShare = 0.25
)

// tidyMemory gives memory that bursts have left back to the system, until ctx ends.
func tidyMemory(ctx context.Context) {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" { // who sets these knows better
		debug.SetGCPercent(gcPercent)
	}
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"},
	}
	var before uint64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(samples)
		free, objects, live, allocated := samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64(), samples[3].Value.Uint64()
		garbage := objects - min(objects, live)
		// Not in the middle of a burst, which would only ask for it again.
		quiet := allocated-before < spareBytes/4
		before = allocated
		if spare := free + garbage; quiet && spare > spareBytes && float64(spare) > spareShare*float64(live) {
			debug.FreeOSMemory()
		}
	}
}
