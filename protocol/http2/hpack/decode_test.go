package hpack

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

// collector keeps what a Decoder hands over.
type collector struct{ fields []Field }

func (c *collector) Field(f *Field) {
	k := *f
	k.Name, k.Value = strings.Clone(f.Name), strings.Clone(f.Value)
	c.fields = append(c.fields, k)
}

func (c *collector) lines() []string {
	var out []string
	for _, f := range c.fields {
		out = append(out, f.Name+": "+f.Value)
	}
	return out
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s))
	if err != nil {
		t.Fatalf("hex: %v", err)
	}
	return b
}

func decode(d *Decoder, block []byte) ([]string, error) {
	var c collector
	var a protocol.Arena
	err := d.Decode(block, &a, &c)
	return c.lines(), err
}

// TestAppendixC decodes the examples of RFC 7541 appendix C, request by request on one table, and looks at the size that
// the appendix gives for the table.
func TestAppendixC(t *testing.T) {
	type step struct {
		block string
		want  []string
		size  int
	}
	requests := []step{
		{"", []string{":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"}, 57},
		{"", []string{":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"}, 110},
		{"", []string{":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com", "custom-key: custom-value"}, 164},
	}
	responses := []step{
		{"", []string{":status: 302", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT", "location: https://www.example.com"}, 222},
		{"", []string{":status: 307", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT", "location: https://www.example.com"}, 222},
		{"", []string{":status: 200", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:22 GMT", "location: https://www.example.com",
			"content-encoding: gzip", "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"}, 215},
	}
	for _, c := range []struct {
		name   string
		limit  int
		steps  []step
		blocks []string
	}{
		{"C.2.1 literal with indexing", 4096, []step{{"", []string{"custom-key: custom-header"}, 55}},
			[]string{"400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572"}},
		{"C.2.2 literal without indexing", 4096, []step{{"", []string{":path: /sample/path"}, 0}},
			[]string{"040c 2f73 616d 706c 652f 7061 7468"}},
		{"C.2.3 literal never indexed", 4096, []step{{"", []string{"password: secret"}, 0}},
			[]string{"1008 7061 7373 776f 7264 0673 6563 7265 74"}},
		{"C.2.4 indexed", 4096, []step{{"", []string{":method: GET"}, 0}}, []string{"82"}},
		{"C.3 requests without Huffman", 4096, requests, []string{
			"8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
			"8286 84be 5808 6e6f 2d63 6163 6865",
			"8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65"}},
		{"C.4 requests with Huffman", 4096, requests, []string{
			"8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
			"8286 84be 5886 a8eb 1064 9cbf",
			"8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"}},
		{"C.5 responses without Huffman", 256, responses, []string{
			"4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
			"4803 3330 37c1 c0bf",
			"88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31"}},
		{"C.6 responses with Huffman", 256, responses, []string{
			"4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
			"4883 640e ffc1 c0bf",
			"88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := NewDecoder(c.limit)
			for i, s := range c.steps {
				got, err := decode(d, unhex(t, c.blocks[i]))
				if err != nil || !slices.Equal(got, s.want) {
					t.Fatalf("block %d: %q, %v; want %q", i+1, got, err, s.want)
				}
				if d.table.size != s.size {
					t.Errorf("block %d: table holds %d octets, want %d", i+1, d.table.size, s.size)
				}
			}
		})
	}
}

// TestDecodeRules is a table of the rules of RFC 7541 by section.
func TestDecodeRules(t *testing.T) {
	long := strings.Repeat("ff", 8)
	for _, c := range []struct {
		name, block string
		limit       int
		want        []string
		err         error
	}{
		{"2.3.3 index 0", "80", 4096, nil, errIndex},
		{"2.3.3 index behind both tables", "be", 4096, nil, errIndex},
		{"2.3.3 first of the dynamic table", "4001610162be", 4096, []string{"a: b", "a: b"}, nil},
		{"2.3.3 one behind the dynamic table", "4001610162bf", 4096, []string{"a: b"}, errIndex},
		{"2.3.3 literal names an index behind the tables", "7f0001", 4096, nil, errIndex},
		{"2.3.2 duplicates are allowed", "40016101624001610162bebf", 4096, []string{"a: b", "a: b", "a: b", "a: b"}, nil},
		{"4.1 an entry counts 32 octets more than it holds", "4001610162be", 34, []string{"a: b", "a: b"}, nil},
		{"4.4 one octet too large empties the table", "4001610162be", 33, []string{"a: b"}, errIndex},
		{"4.4 a large entry evicts all", "400161016240016303646566be", 36, []string{"a: b", "c: def", "c: def"}, nil},
		{"4.4 the name may be of an entry that is evicted by it", "4001610162 7e03646566 be", 36, []string{"a: b", "a: def", "a: def"}, nil},
		{"4.2 size update at the start", "2082", 4096, []string{":method: GET"}, nil},
		{"4.2 two size updates at the start", "203fe11f82", 4096, []string{":method: GET"}, nil},
		{"4.2 size update behind a field", "8220", 4096, []string{":method: GET"}, errLateUpdate},
		{"6.3 size update over the limit", "3fe21f", 4096, nil, errSizeUpdate},
		{"6.3 size update to the limit", "3fe11f", 4096, nil, nil},
		{"5.1 integer that does not end", "ff", 4096, nil, errTruncated},
		{"5.1 integer of too many octets", "ff808080808001", 4096, nil, errInteger},
		{"5.1 integer that is too large", long, 4096, nil, errInteger},
		{"5.1 leading zeros are fine", "ff8000", 4096, nil, errIndex}, // 127
		{"5.2 string longer than the block", "00056162", 4096, nil, errTruncated},
		{"5.2 no string at all", "00", 4096, nil, errTruncated},
		{"5.2 no value", "000161", 4096, nil, errTruncated},
		{"5.2 value longer than the block", "0001610562", 4096, nil, errTruncated},
		{"5.2 Huffman", "000161811f", 4096, []string{"a: a"}, nil},
		{"5.2 padding of fifteen ones", "000161831fffff", 4096, nil, errHuffman},
		{"5.2 padding of zeros", "0001618118", 4096, nil, errHuffman},
		{"5.2 padding longer than seven bits", "000161821fff", 4096, nil, errHuffman},
		{"5.2 EOS", "00016184ffffffff", 4096, nil, errHuffman},
		{"5.2 EOS between symbols", "000161851fffffffe3", 4096, nil, errHuffman},
		{"5.2 empty Huffman string", "00016180", 4096, []string{"a: "}, nil},
		{"6.2.2 name by index", "0f1d026162", 4096, []string{"last-modified: ab"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := decode(NewDecoder(c.limit), unhex(t, c.block))
			if !errors.Is(err, c.err) || !slices.Equal(got, c.want) {
				t.Errorf("%q, %v; want %q, %v", got, err, c.want, c.err)
			}
		})
	}
}

func TestSizeUpdateEvicts(t *testing.T) {
	d := NewDecoder(4096)
	if _, err := decode(d, unhex(t, "4001610162")); err != nil {
		t.Fatalf("insert: %v", err)
	}
	if _, err := decode(d, unhex(t, "20")); err != nil {
		t.Fatalf("update: %v", err)
	}
	if _, err := decode(d, unhex(t, "be")); !errors.Is(err, errIndex) {
		t.Errorf("an entry survived a table of size 0: %v", err)
	}
}

// TestFieldVerdicts looks at what the decoder says of a field besides its text.
func TestFieldVerdicts(t *testing.T) {
	for _, c := range []struct {
		name, value string
		fault       Fault
		pseudo      Pseudo
		id          protocol.Name
	}{
		{"a", "b", FaultNone, PseudoNone, protocol.NameOther},
		{"content-type", "text/plain; a=\"\xc3\xa4\"", FaultNone, PseudoNone, protocol.NameContentType},
		{"Content-Type", "x", FaultName, PseudoNone, protocol.NameContentType},
		{"X-a", "x", FaultName, PseudoNone, protocol.NameOther},
		{"", "x", FaultName, PseudoNone, protocol.NameOther},
		{"a b", "x", FaultName, PseudoNone, protocol.NameOther},
		{"a:", "x", FaultName, PseudoNone, protocol.NameOther},
		{"a\x7f", "x", FaultName, PseudoNone, protocol.NameOther},
		{"\xc3", "x", FaultName, PseudoNone, protocol.NameOther},
		{":path", "/", FaultNone, PseudoPath, protocol.NameOther},
		{":authority", "a", FaultNone, PseudoAuthority, protocol.NameOther},
		{":method", "a", FaultNone, PseudoMethod, protocol.NameOther},
		{":scheme", "a", FaultNone, PseudoScheme, protocol.NameOther},
		{":status", "a", FaultNone, PseudoStatus, protocol.NameOther},
		{":protocol", "websocket", FaultNone, PseudoProtocol, protocol.NameOther},
		{":nonsense", "a", FaultNone, PseudoUnknown, protocol.NameOther},
		{":path", "a\r\nb", FaultValue, PseudoPath, protocol.NameOther},
		{"a", "x\r\ny: z", FaultValue, PseudoNone, protocol.NameOther},
		{"a", "\x00", FaultValue, PseudoNone, protocol.NameOther},
		{"a", "0123456789\n", FaultValue, PseudoNone, protocol.NameOther},
		{"a", "01234567\x7f89", FaultValue, PseudoNone, protocol.NameOther},
		{"a", " b", FaultValue, PseudoNone, protocol.NameOther},
		{"a", "b\t", FaultValue, PseudoNone, protocol.NameOther},
		{"a", "b\tc 0123456789", FaultNone, PseudoNone, protocol.NameOther},
	} {
		for _, kind := range []byte{0x00, 0x10, 0x40} {
			block := appendText(appendText([]byte{kind}, c.name), c.value)
			if kind == 0x40 {
				block = append(block, 0xbe) // and once more out of the table
			}
			var got collector
			var a protocol.Arena
			if err := NewDecoder(4096).Decode(block, &a, &got); err != nil {
				t.Errorf("%q: %v", c.name, err)
				continue
			}
			for _, f := range got.fields {
				if f.Name != c.name || f.Value != c.value || f.Fault != c.fault || f.Pseudo != c.pseudo || f.ID != c.id || f.Sensitive != (kind == 0x10) {
					t.Errorf("kind %#x: got %+v; want %+v", kind, f, c)
				}
			}
		}
	}
}

// TestBombCostsNothing shows that indexed fields cost no memory however large they are: 4 KB of block name an entry of
// 4 KB four thousand times.
func TestBombCostsNothing(t *testing.T) {
	d := NewDecoder(4096)
	insert := appendText(appendText([]byte{0x40}, "a"), strings.Repeat("x", 4000))
	if _, err := decode(d, insert); err != nil {
		t.Fatalf("insert: %v", err)
	}
	bomb := slices.Repeat([]byte{0xbe}, 4096)
	var a protocol.Arena
	var n counter
	allocs := testing.AllocsPerRun(10, func() {
		if err := d.Decode(bomb, &a, &n); err != nil {
			t.Fatalf("decode: %v", err)
		}
	})
	if allocs != 0 || n.fields == 0 {
		t.Errorf("%v allocations for %d fields", allocs, n.fields)
	}
}

type counter struct{ fields int }

func (c *counter) Field(*Field) { c.fields++ }

// TestInternedInsertions shows that a peer whose short fields push each other out of the table costs no memory each time.
func TestInternedInsertions(t *testing.T) {
	d := NewDecoder(64)
	block := appendText(appendText([]byte{0x40}, "name"), "value")
	var a protocol.Arena
	var n counter
	if allocs := testing.AllocsPerRun(100, func() { _ = d.Decode(block, &a, &n) }); allocs != 0 {
		t.Errorf("%v allocations for each insertion", allocs)
	}
}
