package http2

import (
	"net"
	"runtime"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

// TestIdleMemory shows what a connection costs that has served a request and is idle now: the target is 10 KB.
func TestIdleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("opens many connections")
	}
	const n = 400
	s, addr := startServer(t, ServerConfig{}, hello)
	var before, after runtime.MemStats
	used := func(m *runtime.MemStats) uint64 {
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(m)
		return m.HeapAlloc + m.StackInuse
	}
	start := used(&before)
	conns := make([]net.Conn, 0, n)
	for range n {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		conns = append(conns, nc)
		request := appendSettings([]byte(preface))
		request = appendFrame(request, 6, frameHeaders, endBoth, 1)
		request = append(request, 0x82, 0x86, 0x84, 0x01, 1, 'h')
		if _, err := nc.Write(request); err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, 4096)
	for _, nc := range conns {
		if _, err := nc.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all are parked", func() bool { return s.Stats().Parked == n })
	each := (used(&after) - start) / n
	t.Logf("%d octets for each connection, of which the client's side is about 1000", each)
	if each > 10<<10 && !protocol.Poisoning {
		t.Errorf("%d octets for each idle connection", each)
	}
}
