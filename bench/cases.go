package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluice-gateway/sluice/bench/wrk"
)

// testCase is one thing that is measured.
type testCase struct {
	name string
	run  func(ctx context.Context, b *benchmark) error
}

func cases() []testCase {
	return []testCase{
		{"get", func(ctx context.Context, b *benchmark) error {
			return b.sideBySide(ctx, "GET, 1 KB answer", wrk.Load{Paths: paths("/items/42"), Connections: 64})
		}},
		{"post", func(ctx context.Context, b *benchmark) error {
			return b.sideBySide(ctx, "POST, 1 KB both ways", wrk.Load{
				Paths: paths("/items"), Connections: 64, Method: "POST", Body: kilobyte(),
				Header: map[string]string{"Content-Type": "application/octet-stream"},
			})
		}},
		{"big", func(ctx context.Context, b *benchmark) error {
			return b.sideBySide(ctx, "GET, 1 MB answer", wrk.Load{Paths: paths("/big"), Connections: 16})
		}},
		{"idle", idle},
		{"start", start},
		{"reload", reload},
		{"dubbo", dubboCase},
		{"appear", appear},
	}
}

func caseNames() []string {
	var names []string
	for _, c := range cases() {
		names = append(names, c.name)
	}
	return names
}

// paths are requests to 256 different routes of Sluice, wherever they lie in its table; to the peers, which have one
// route, they are all the same.
func paths(rest string) []string {
	const step = 39 // 256 steps stay below 10,000
	out := make([]string, 256)
	for i := range out {
		out[i] = fmt.Sprintf("/svc-%d%s", i*step, rest)
	}
	return out
}

func kilobyte() string { return string(slices.Repeat([]byte{'k'}, 1024)) }
