package hpack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	xnet "golang.org/x/net/http2/hpack"

	"github.com/sluice-gateway/sluice/protocol"
)

// TestHuffmanAgainstXNet decodes what x/net has encoded: every octet alone, behind every other, and at random.
func TestHuffmanAgainstXNet(t *testing.T) {
	check := func(s string) {
		t.Helper()
		got, err := appendHuffman(nil, xnet.AppendHuffmanString(nil, s))
		if err != nil || string(got) != s {
			t.Fatalf("%q: got %q, %v", s, got, err)
		}
	}
	for a := range 256 {
		check(string([]byte{byte(a)}))
		for b := range 256 {
			check(string([]byte{byte(a), byte(b)}))
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := make([]byte, rng.IntN(60))
		for i := range b {
			b[i] = byte(rng.IntN(256))
		}
		check(string(b))
	}
}

// TestStaticTableAgainstXNet lets x/net decode each index of the static table.
func TestStaticTableAgainstXNet(t *testing.T) {
	for i := 1; i <= staticLast; i++ {
		f, err := xnet.NewDecoder(4096, nil).DecodeFull([]byte{0x80 | byte(i)})
		if err != nil || f[0].Name != staticTable[i].Name || f[0].Value != staticTable[i].Value {
			t.Errorf("%d: %v, %v; ours is %+v", i, f, err, staticTable[i])
		}
	}
}

// TestEncoderAgainstXNet encodes many blocks on one connection, with table sizes that change, and lets both decoders read.
func TestEncoderAgainstXNet(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	enc, ours := NewEncoder(4096), NewDecoder(4096)
	theirs := xnet.NewDecoder(4096, nil)
	names := []string{"content-type", "X-Custom", "user-agent", "authorization", "grpc-timeout", "te", "accept-language", "x", "www-authenticate", "set-cookie"}
	for round := range 5000 {
		if rng.IntN(50) == 0 {
			enc.SetPeerLimit(uint32(rng.IntN(6000)))
		}
		block := enc.Begin(nil)
		var want []string
		add := func(name, value string) { want = append(want, strings.ToLower(name)+": "+value) }
		switch rng.IntN(3) {
		case 0:
			status := 100 + rng.IntN(500)
			block = enc.Status(block, status)
			add(":status", fmt.Sprint(status))
		default:
			method := []string{"GET", "POST", "PUT", "OPTIONS"}[rng.IntN(4)]
			block = enc.Method(block, method)
			add(":method", method)
			scheme := []string{"http", "https", "other"}[rng.IntN(3)]
			block = enc.Scheme(block, scheme)
			add(":scheme", scheme)
			path := []string{"/", "/a", "/b", fmt.Sprint("/", round)}[rng.IntN(4)]
			block = enc.Path(block, path)
			add(":path", path)
			block = enc.Authority(block, "host")
			add(":authority", "host")
			block = enc.Protocol(block, "websocket")
			add(":protocol", "websocket")
		}
		for range rng.IntN(12) {
			name, value := names[rng.IntN(len(names))], fmt.Sprint(rng.IntN(30), strings.Repeat("v", rng.IntN(200)))
			var h protocol.Header
			if rng.IntN(10) == 0 {
				h.AddSensitive(protocol.LookupName(name), name, value)
			} else {
				h.Add(name, value)
			}
			block = enc.Field(block, h.At(0))
			add(name, value)
		}
		block = enc.Once(block, protocol.NameContentLength, fmt.Sprint(round))
		add("content-length", fmt.Sprint(round))
		got, err := decode(ours, block)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("round %d: ours read %q, %v; want %q", round, got, err, want)
		}
		fields, err := theirs.DecodeFull(block)
		if err != nil {
			t.Fatalf("round %d: x/net: %v", round, err)
		}
		for i, f := range fields {
			if f.Name+": "+f.Value != want[i] {
				t.Fatalf("round %d: x/net read %q, want %q", round, f, want[i])
			}
		}
	}
}

// FuzzDecode gives the same blocks to both decoders. They must agree on what is an error and on every field, but that
// x/net takes integers of any length, and a size update anywhere while the table is empty.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"82", "400161016282be", "2082", "000161811f", "ff808080808001", "203fe11f4088 25a849e95ba97d7f8925a849e95bb8e8b4bfbe"} {
		b := unhex(f, seed)
		f.Add(b, uint8(len(b)/2), uint16(4096))
		f.Add(b, uint8(0), uint16(50))
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint8, limit uint16) {
		ours, theirs := NewDecoder(int(limit)), xnet.NewDecoder(uint32(limit), nil)
		k := min(int(cut), len(data))
		for _, block := range [][]byte{data[:k], data[k:]} {
			got, err := decode(ours, block)
			var want []string
			theirs.SetEmitFunc(func(f xnet.HeaderField) { want = append(want, f.Name+": "+f.Value) })
			_, theirErr := theirs.Write(block)
			if closeErr := theirs.Close(); theirErr == nil {
				theirErr = closeErr
			}
			if errors.Is(err, errInteger) || errors.Is(err, errLateUpdate) {
				return
			}
			if (err == nil) != (theirErr == nil) {
				t.Fatalf("%x: ours says %v, x/net %v", block, err, theirErr)
			}
			if err != nil {
				return
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%x: ours read %q, x/net %q", block, got, want)
			}
		}
	})
}

// FuzzHuffman compares the two Huffman decoders.
func FuzzHuffman(f *testing.F) {
	f.Add([]byte{0x1f})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add(xnet.AppendHuffmanString(nil, "www.example.com"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := appendHuffman(nil, data)
		want, theirErr := xnet.HuffmanDecodeToString(data)
		if (err == nil) != (theirErr == nil) || err == nil && string(got) != want {
			t.Fatalf("%x: ours %q, %v; x/net %q, %v", data, got, err, want, theirErr)
		}
	})
}

// FuzzValue compares the quick look at a value with the slow one.
func FuzzValue(f *testing.F) {
	f.Add("01234567\x7f")
	f.Add("0123456789abcde\n")
	f.Fuzz(func(t *testing.T, s string) {
		want := plain(s) && strings.Trim(s, " \t") == s
		if got := ValidValue(s); got != want {
			t.Fatalf("%q: %v, want %v", s, got, want)
		}
	})
}
