package hpack

import (
	"strings"
	"testing"

	xnet "golang.org/x/net/http2/hpack"

	"github.com/sluice-gateway/sluice/protocol"
)

func header(name, value string) *protocol.Field {
	var h protocol.Header
	h.Add(name, value)
	return h.At(0)
}

// TestIndexedAtSecondSight shows what goes into the table and what never does.
func TestIndexedAtSecondSight(t *testing.T) {
	e := NewEncoder(4096)
	first := e.Field(nil, header("X-Tenant", "blue"))
	second := e.Field(nil, header("X-Tenant", "blue"))
	third := e.Field(nil, header("X-Tenant", "blue"))
	if first[0] != 0x00 || second[0] != 0x40 || len(third) != 1 {
		t.Errorf("got %x, %x, %x", first, second, third)
	}
	for i := range 100 {
		if b := e.Field(nil, header("X-Trace", strings.Repeat("i", i))); b[0] != 0x00 {
			t.Fatalf("a value that changes was indexed: %x", b)
		}
	}
	for range 3 {
		for _, name := range []string{"Authorization", "cookie", "set-cookie"} {
			if b := e.Field(nil, header(name, "secret")); b[0]&0xf0 != 0x10 {
				t.Errorf("%s was sent as %x", name, b)
			}
		}
		if b := e.Field(nil, header("content-length", "5")); b[0]&0xf0 != 0x00 {
			t.Errorf("content-length was sent as %x", b)
		}
	}
}

// TestSensitiveStaysSensitive is RFC 7541 section 6.2.3: an intermediary must keep the representation.
func TestSensitiveStaysSensitive(t *testing.T) {
	var h protocol.Header
	h.AddSensitive(protocol.NameOther, "X-Key", "k")
	h.AddSensitive(protocol.NameUserAgent, "User-Agent", "k")
	e := NewEncoder(4096)
	for i := range h.Len() {
		for range 3 {
			f, err := xnet.NewDecoder(4096, nil).DecodeFull(e.Field(nil, h.At(i)))
			if err != nil || !f[0].Sensitive || f[0].Name != strings.ToLower(h.At(i).Name) {
				t.Errorf("sent as %+v, %v", f, err)
			}
		}
	}
}

// TestSizeUpdates is RFC 7541 section 4.2: after limits that went down and up, the lowest and the last are sent.
func TestSizeUpdates(t *testing.T) {
	e := NewEncoder(4096)
	if b := e.Begin(nil); len(b) != 0 {
		t.Errorf("update without a reason: %x", b)
	}
	e.SetPeerLimit(0)
	e.SetPeerLimit(100)
	if b := e.Begin(nil); string(b) != string([]byte{0x20, 0x3f, 100 - 31}) {
		t.Errorf("got %x", b)
	}
	if b := e.Begin(nil); len(b) != 0 {
		t.Errorf("the update was repeated: %x", b)
	}
	e.SetPeerLimit(1 << 30) // more than we use
	if b := e.Begin(nil); string(b) != string([]byte{0x3f, 0xe1, 0x1f}) {
		t.Errorf("got %x", b)
	}
}

func TestFieldSize(t *testing.T) {
	if n := (&Field{Name: "abc", Value: "de"}).Size(); n != 37 {
		t.Errorf("size is %d", n)
	}
}

// request is what a gRPC client sends with each call.
func request(e *Encoder, dst []byte, h *protocol.Header) []byte {
	dst = e.Begin(dst)
	dst = e.Method(dst, "POST")
	dst = e.Scheme(dst, "http")
	dst = e.Path(dst, "/helloworld.Greeter/SayHello")
	dst = e.Authority(dst, "127.0.0.1:50051")
	for i := range h.Len() {
		dst = e.Field(dst, h.At(i))
	}
	return dst
}

func grpcHeader() *protocol.Header {
	var h protocol.Header
	h.Add("content-type", "application/grpc")
	h.Add("user-agent", "grpc-go/1.85.0")
	h.Add("te", "trailers")
	h.Add("grpc-timeout", "999m")
	h.Add("x-forwarded-for", "127.0.0.1")
	h.Add("x-forwarded-proto", "http")
	return &h
}

func BenchmarkEncode(b *testing.B) {
	e, h := NewEncoder(4096), grpcHeader()
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = request(e, dst[:0], h)
	}
}

func BenchmarkEncodeXNet(b *testing.B) {
	h := grpcHeader()
	var buf strings.Builder
	e := xnet.NewEncoder(&buf)
	b.ReportAllocs()
	for b.Loop() {
		buf.Reset()
		for _, f := range []xnet.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"},
			{Name: ":path", Value: "/helloworld.Greeter/SayHello"}, {Name: ":authority", Value: "127.0.0.1:50051"}} {
			_ = e.WriteField(f)
		}
		for i := range h.Len() {
			_ = e.WriteField(xnet.HeaderField{Name: h.At(i).Name, Value: h.At(i).Value})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	e, h, d := NewEncoder(4096), grpcHeader(), NewDecoder(4096)
	var a protocol.Arena
	var n counter
	var block []byte
	for range 3 {
		block = request(e, nil, h)
		if err := d.Decode(block, &a, &n); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = d.Decode(block, &a, &n)
		a.Reset()
	}
}

func BenchmarkDecodeXNet(b *testing.B) {
	e, h := NewEncoder(4096), grpcHeader()
	n := 0
	d := xnet.NewDecoder(4096, func(xnet.HeaderField) { n++ })
	var block []byte
	for range 3 {
		block = request(e, nil, h)
		_, _ = d.Write(block)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = d.Write(block)
	}
}

// BenchmarkDecodeHuffman is a literal of the kind that x/net and browsers send.
func BenchmarkDecodeHuffman(b *testing.B) {
	block := []byte{0x00, 1, 'a'}
	text := xnet.AppendHuffmanString(nil, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36")
	block = append(append(block, 0x80|byte(len(text))), text...)
	d := NewDecoder(4096)
	var a protocol.Arena
	var n counter
	b.ReportAllocs()
	for b.Loop() {
		_ = d.Decode(block, &a, &n)
		a.Reset()
	}
}
