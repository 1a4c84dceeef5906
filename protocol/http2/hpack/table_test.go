package hpack

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	xnet "golang.org/x/net/http2/hpack"

	"github.com/sluice-gateway/sluice/protocol"
)

// TestIntegers holds the examples of RFC 7541 appendix C.1 and the edges of each prefix against both directions.
func TestIntegers(t *testing.T) {
	for _, c := range []struct {
		n    uint64
		bits uint
		want string
	}{
		{10, 5, "0a"}, {1337, 5, "1f9a0a"}, {42, 8, "2a"},
		{0, 7, "00"}, {126, 7, "7e"}, {127, 7, "7f00"}, {128, 7, "7f01"}, {254, 7, "7f7f"}, {255, 7, "7f8001"},
		{30, 5, "1e"}, {31, 5, "1f00"}, {14, 4, "0e"}, {15, 4, "0f00"}, {62, 6, "3e"}, {63, 6, "3f00"},
		{127 + 1<<28 - 1, 7, "7fffffff7f"},
	} {
		b := appendInteger(nil, 0, c.bits, c.n)
		if got := fmt.Sprintf("%x", b); got != c.want {
			t.Errorf("%d in %d bits is %s, want %s", c.n, c.bits, got, c.want)
		}
		b = append(b, 0xaa)
		n, rest, err := readInteger(b, c.bits)
		if err != nil || n != c.n || len(rest) != 1 {
			t.Errorf("%s is read as %d, %x, %v", c.want, n, rest, err)
		}
		for cut := 1; cut < len(b)-1; cut++ {
			if _, _, err := readInteger(b[:cut], c.bits); err == nil && cut < len(b)-1 && b[0] == byte(1<<c.bits-1) {
				t.Errorf("%x is taken for a whole integer", b[:cut])
			}
		}
	}
	// The bits above the prefix are not the integer's.
	if n, _, err := readInteger([]byte{0xea}, 5); err != nil || n != 10 {
		t.Errorf("%d, %v", n, err)
	}
}

// TestTable runs the ring against a plain list, with limits that change.
func TestTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	table := table{limit: 300}
	var list []Field // newest first
	size := func() (n int) {
		for i := range list {
			n += list[i].Size()
		}
		return n
	}
	for i := range 5000 {
		if rng.IntN(20) == 0 {
			table.setLimit(rng.IntN(400))
		} else {
			f := Field{Name: fmt.Sprint("n", i), Value: strings.Repeat("v", rng.IntN(60))}
			table.add(&f)
			list = slices.Insert(list, 0, f)
		}
		for size() > table.limit {
			list = list[:len(list)-1]
		}
		if table.len() != len(list) || table.size != size() {
			t.Fatalf("round %d: %d entries of %d octets, want %d of %d", i, table.len(), table.size, len(list), size())
		}
		for k := range list {
			position := table.next - uint32(k) - 1
			if !table.has(position) || table.at(position).Name != list[k].Name || table.index(position) != uint64(staticLast+1+k) {
				t.Fatalf("round %d: entry %d is %+v, want %+v", i, k, table.at(position), list[k])
			}
		}
		if table.has(table.next) || table.has(table.oldest-1) {
			t.Fatalf("round %d: the ring has what it has not", i)
		}
	}
}

// TestTableWraps lets positions overflow, which happens to connections that live long.
func TestTableWraps(t *testing.T) {
	table := table{limit: 1000, oldest: 1<<32 - 5, next: 1<<32 - 5}
	for i := range 20 {
		table.add(&Field{Name: fmt.Sprint(i), Value: "v"})
		for k := range table.len() {
			if f := table.at(table.next - uint32(k) - 1); f.Name != fmt.Sprint(i-k) {
				t.Fatalf("entry %d behind insertion %d is %q", k, i, f.Name)
			}
		}
	}
}

// TestEncoderForms is a table of RFC 7541 section 6: how each kind of field is put on the wire the first time.
func TestEncoderForms(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(e *Encoder) []byte
		want string
	}{
		{"6.1 :method GET", func(e *Encoder) []byte { return e.Method(nil, "GET") }, "82"},
		{"6.1 :method POST", func(e *Encoder) []byte { return e.Method(nil, "POST") }, "83"},
		{"6.2.2 :method PUT", func(e *Encoder) []byte { return e.Method(nil, "PUT") }, "0203505554"},
		{"6.1 :scheme http", func(e *Encoder) []byte { return e.Scheme(nil, "http") }, "86"},
		{"6.1 :scheme https", func(e *Encoder) []byte { return e.Scheme(nil, "https") }, "87"},
		{"6.2.2 :scheme", func(e *Encoder) []byte { return e.Scheme(nil, "ws") }, "06027773"},
		{"6.1 :path /", func(e *Encoder) []byte { return e.Path(nil, "/") }, "84"},
		{"6.2.2 :path", func(e *Encoder) []byte { return e.Path(nil, "/a") }, "04022f61"},
		{"6.2.2 :authority", func(e *Encoder) []byte { return e.Authority(nil, "a") }, "010161"},
		{"6.2.2 :protocol", func(e *Encoder) []byte { return e.Protocol(nil, "x") }, "00093a70726f746f636f6c0178"},
		{"6.1 :status 200", func(e *Encoder) []byte { return e.Status(nil, 200) }, "88"},
		{"6.1 :status 500", func(e *Encoder) []byte { return e.Status(nil, 500) }, "8e"},
		{"6.2.2 :status 418", func(e *Encoder) []byte { return e.Status(nil, 418) }, "0803343138"},
		{"6.2.2 name in the static table", func(e *Encoder) []byte { return e.Field(nil, header("Server", "s")) }, "0f270173"},
		{"6.2.2 name in the static table that we do not know", func(e *Encoder) []byte { return e.Field(nil, header("Refresh", "1")) }, "0f250131"},
		{"6.2.2 new name", func(e *Encoder) []byte { return e.Field(nil, header("X-A", "b")) }, "0003782d610162"},
		{"6.2.3 credentials", func(e *Encoder) []byte { return e.Field(nil, header("authorization", "b")) }, "1f080162"},
		{"6.2.2 length", func(e *Encoder) []byte { return e.Once(nil, protocol.NameContentLength, "5") }, "0f0d0135"},
		{"6.2.2 date", func(e *Encoder) []byte { return e.Known(nil, protocol.NameDate, "d") }, "0f120164"},
		{"5.2 empty value", func(e *Encoder) []byte { return e.Field(nil, header("x-a", "")) }, "0003782d6100"},
	} {
		if got := fmt.Sprintf("%x", c.make(NewEncoder(4096))); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestLargeFieldsAreNotIndexed shows that one field cannot push all others out of the table.
func TestLargeFieldsAreNotIndexed(t *testing.T) {
	e := NewEncoder(4096)
	large := header("x-large", strings.Repeat("v", 2500))
	for range 5 {
		if b := e.Field(nil, large); b[0] != 0x00 {
			t.Fatalf("sent as %x", b[:1])
		}
	}
	if e.table.len() != 0 {
		t.Errorf("%d entries", e.table.len())
	}
}

// TestTrim shows that an idle connection's state is as good as before.
func TestTrim(t *testing.T) {
	e, d := NewEncoder(4096), NewDecoder(4096)
	h := grpcHeader()
	for range 5 {
		for range 3 {
			if got, err := decode(d, request(e, nil, h)); err != nil || len(got) != 4+h.Len() {
				t.Fatalf("%q, %v", got, err)
			}
		}
		e.Trim()
		d.Trim()
	}
	if b := request(e, nil, h); len(b) > 20 {
		t.Errorf("%d octets for a request that was sent fifteen times", len(b))
	}
}

// TestSmallTables runs encoder and decoders with tables from nothing to little.
func TestSmallTables(t *testing.T) {
	h := grpcHeader()
	for limit := range 200 {
		e, d := NewEncoder(limit), NewDecoder(4096)
		theirs := xnet.NewDecoder(4096, nil)
		for range 4 {
			block := request(e, nil, h)
			got, err := decode(d, block)
			if err != nil || len(got) != 4+h.Len() {
				t.Fatalf("limit %d: %q, %v", limit, got, err)
			}
			if _, err := theirs.DecodeFull(block); err != nil {
				t.Fatalf("limit %d: x/net: %v", limit, err)
			}
			if e.table.size > limit {
				t.Fatalf("limit %d: the table holds %d", limit, e.table.size)
			}
		}
	}
}

// FuzzRoundTrip encodes any fields and lets both decoders read them.
func FuzzRoundTrip(f *testing.F) {
	f.Add("name", "value", "X-Other", "", uint16(4096), uint8(3))
	f.Add("cookie", "a=b", "content-type", "text/plain", uint16(64), uint8(9))
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 string, limit uint16, rounds uint8) {
		if n1 == "" || n2 == "" || n1[0] == ':' || n2[0] == ':' {
			return
		}
		e, d := NewEncoder(4096), NewDecoder(int(limit))
		theirs := xnet.NewDecoder(uint32(limit), nil)
		e.SetPeerLimit(uint32(limit))
		for range rounds%8 + 1 {
			block := e.Begin(nil)
			block = e.Path(block, v1)
			block = e.Field(block, header(n1, v1))
			block = e.Field(block, header(n2, v2))
			want := []string{":path: " + v1, lowered(n1) + ": " + v1, lowered(n2) + ": " + v2}
			if v1 == "" {
				want[0] = ":path: "
			}
			got, err := decode(d, block)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%q, %v; want %q", got, err, want)
			}
			fields, err := theirs.DecodeFull(block)
			if err != nil || len(fields) != 3 || fields[1].Value != v1 {
				t.Fatalf("x/net: %v, %v", fields, err)
			}
		}
	})
}

// lowered lowers ASCII only, as the encoder does.
func lowered(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}
