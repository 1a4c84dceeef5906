package protocol

import "testing"

// TestNamesOctetByOctet puts every octet at every place of every known name: only the other case of a letter is the same
// name.
func TestNamesOctetByOctet(t *testing.T) {
	for id := NameOther + 1; id < numNames; id++ {
		lower := []byte(id.String())
		for i, was := range lower {
			for c := range 256 {
				lower[i] = byte(c)
				letter := was >= 'a' && was <= 'z'
				want := NameOther
				if byte(c) == was || letter && byte(c) == was-0x20 {
					want = id
				}
				// Another known name is no mistake ("date" and "data" might both be known).
				if got := LookupName(string(lower)); got != want && (want == id || got == id) {
					t.Errorf("%q is %v, want %v", lower, got, want)
				}
			}
			lower[i] = was
		}
	}
}

func BenchmarkLookupName(b *testing.B) {
	names := []string{"Host", "User-Agent", "Content-Type", "Content-Length", "Date", "Server", "X-Served-By", "x-request-id"}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for _, s := range names {
			n += int(LookupName(s))
		}
	}
	if n == 0 {
		b.Fatal("nothing was found")
	}
}
