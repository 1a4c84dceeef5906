package config

import (
	"fmt"
	"strings"
	"testing"
)

// tenThousand is a document of 10,000 routes, 2.8 MB.
func tenThousand() []byte {
	var b strings.Builder
	b.WriteString("listeners: [{name: web, address: ':8080'}]\nregistries: [{name: nacos, type: nacos}]\nroutes:\n")
	for i := range 10000 {
		fmt.Fprintf(&b, `  - name: r%d
    match: {hosts: [shop.example.com], path: "/orders%d/**", methods: [GET, POST]}
    filters:
      - stripPrefix: {parts: 1}
      - setRequestHeader: {name: X-Gateway, value: sluice}
    to: {service: orders, registry: nacos, timeout: 3s, retries: {attempts: 2}}
`, i, i)
	}
	return []byte(b.String())
}

func BenchmarkParse10000Routes(b *testing.B) {
	data := tenThousand()
	kinds := testKinds()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, problems := Parse("f.yaml", data, kinds); problems != nil {
			b.Fatal(problems[0])
		}
	}
}
