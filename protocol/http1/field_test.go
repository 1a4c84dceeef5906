package http1

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

func TestFieldLine(t *testing.T) {
	for line, want := range map[string][2]string{
		"A: b\r\n":                      {"A", "b"},
		"A:b\r\n":                       {"A", "b"},
		"A: \t b c\t \r\n":              {"A", "b c"},
		"A:\r\n":                        {"A", ""},
		"A:   \r\n":                     {"A", ""},
		"!#$%&'*+-.^_`|~09azAZ: x\r\n":  {"!#$%&'*+-.^_`|~09azAZ", "x"},
		"A: b:c\r\nX":                   {"A", "b:c"},
		"A: \xff\x80 \xe9\r\n":          {"A", "\xff\x80 \xe9"},
		"A: 0123456\t89abcdef\tghi\r\n": {"A", "0123456\t89abcdef\tghi"},
		"A: " + strings.Repeat("x", 1000) + "\r\n": {"A", strings.Repeat("x", 1000)},
	} {
		name, value, n, err := fieldLine([]byte(line))
		if err != nil || string(name) != want[0] || string(value) != want[1] || n != strings.Index(line, "\n")+1 {
			t.Errorf("%q: %q %q %d %v", line, name, value, n, err)
		}
		for cut := range n { // every part of it only lacks something
			if _, _, n, err := fieldLine([]byte(line[:cut])); n != 0 || err != nil {
				t.Errorf("%q: %d %v", line[:cut], n, err)
			}
		}
	}
	for line, want := range map[string]error{
		"A : b\r\n": errFieldName, ": b\r\n": errFieldName, "\x80: b\r\n": errFieldName, "A(: b\r\n": errFieldName,
		" A: b\r\n": errFieldFold, "\tA: b\r\n": errFieldFold, "A\r\n": errFieldColon, "A\n": errFieldColon,
		"A: b\n": errBareLF, "\n": errBareLF, "A: b\rc\r\n": errBareCR, "\rx": errBareCR,
		"A: \x00\r\n": errFieldValue, "A: \x7f\r\n": errFieldValue, "A: \x1f": errFieldValue,
	} {
		if _, _, _, err := fieldLine([]byte(line)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", line, err, want)
		}
	}
	if name, _, n, err := fieldLine([]byte("\r\nrest")); name != nil || n != 2 || err != nil {
		t.Errorf("end of section: %q %d %v", name, n, err)
	}
}

// TestScanValueSeesEveryOctet compares the eight-at-once scan with the plain rule, at every place.
func TestScanValueSeesEveryOctet(t *testing.T) {
	for c := range 256 {
		bad := c < 0x20 && c != '\t' || c == 0x7f
		for size := 1; size < 20; size++ {
			for at := range size {
				for _, fill := range []byte{'x', '\t', 0x80, 0xff, ' ', '~'} {
					b := []byte(strings.Repeat(string([]byte{fill}), size))
					b[at] = byte(c)
					want := size
					if bad {
						want = at
					}
					if got := scanValue(b); got != want {
						t.Fatalf("%q: %d, want %d", b, got, want)
					}
				}
			}
		}
	}
}

func TestParseLength(t *testing.T) {
	for s, want := range map[string]int64{"0": 0, "7": 7, "007": 7, "999999999999999999": 999999999999999999} {
		if n, ok := parseLength(s); n != want || !ok {
			t.Errorf("%s: %d %v", s, n, ok)
		}
	}
	for _, s := range []string{"", "+1", "-1", " 1", "1 ", "1,1", "0x1", "1e3", "1.0", "9223372036854775808", "٣"} {
		if n, ok := parseLength(s); ok {
			t.Errorf("%q: %d", s, n)
		}
	}
}

func TestHeadTakesWhatIsNotPassedOn(t *testing.T) {
	var h protocol.Header
	var hd head
	hd.reset()
	p := fieldParser{}
	done, err := p.parse([]byte("Host: a\r\nConnection: Keep-Alive, Upgrade ,x-mine\r\nConnection: close\r\nUpgrade: websocket\r\n"+
		"Keep-Alive: 5\r\nX-Mine: 1\r\nX-Yours: 2\r\nTE: gzip;q=1, trailers\r\nTrailer: a\r\nProxy-Authorization: x\r\nContent-Length: 3\r\n"+
		"Expect: 100-continue\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\nbody"), &h, &hd)
	if !done || err != nil {
		t.Fatal(done, err)
	}
	hd.dropNamed(&h)
	var names []string
	for i := range h.Len() {
		names = append(names, h.At(i).Name+"="+h.At(i).Value)
	}
	if got := strings.Join(names, " "); got != "X-Yours=2 Set-Cookie=a set-cookie=b" {
		t.Errorf("passed on: %s", got)
	}
	if !hd.close || !hd.keepAlive || !hd.switches || !hd.trailers || hd.upgrade != "websocket" || hd.host != "a" || hd.contentLength != 3 || hd.expect == "" {
		t.Errorf("%+v", hd)
	}
}

func TestLists(t *testing.T) {
	var got []string
	for token, list := "", " a , b;q=1,,c "; list != ""; {
		token, list = nextToken(list)
		got = append(got, token)
	}
	if strings.Join(got, "|") != "a|b;q=1||c" {
		t.Errorf("%q", got)
	}
	for list, want := range map[string]bool{"trailers": true, "gzip, Trailers;q=0.5": true, "trailer": false, "": false, "xtrailers": false} {
		if listHas(list, "trailers") != want {
			t.Errorf("%q", list)
		}
	}
	for list, want := range map[string]string{"websocket": "websocket", "h2c": "", "H2C, raw/1": "raw/1", ", x y, z": "z", "a/b/c": "", "": ""} {
		if got := chooseUpgrade(list); got != want {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
}

func TestAuthority(t *testing.T) {
	for _, s := range []string{"a", "a.b-c_d", "127.0.0.1:80", "[::1]", "[2001:db8::1]:8443", "xn--bcher-kva.example:1", "A:65535", "a~!$&'()*+,;="} {
		if !protocol.ValidAuthority(s) {
			t.Errorf("%q was refused", s)
		}
	}
	for _, s := range []string{"", ":80", "a:", "a:0", "a:65536", "a:8o", "a:080808", "a b", "a/b", "a?b", "a#b", "u@a", "a%41", "[]", "[::1", "::1", "[127.0.0.1]", "[fe80::1%25eth0]", "[::1]x", "a:1:2", "\xc3\xbc"} {
		if protocol.ValidAuthority(s) {
			t.Errorf("%q was accepted", s)
		}
	}
}

func TestRequestLineInParts(t *testing.T) {
	const line = "GET /a?b HTTP/1.1\r\n"
	for cut := range len(line) {
		var rl requestLine
		if n, err := parseRequestLine([]byte(line[:cut]), 100, &rl); n != 0 || err != nil {
			t.Errorf("%q: %d %v", line[:cut], n, err)
		}
	}
	var rl requestLine
	n, err := parseRequestLine([]byte(line+"Host: a\r\n"), 100, &rl)
	if n != len(line) || err != nil || rl.method != "GET" || rl.target != "/a?b" || rl.version != protocol.HTTP11 {
		t.Errorf("%d %v %+v", n, err, rl)
	}
	for text, want := range map[string]error{
		"GET /" + strings.Repeat("a", 100) + " HTTP/1.1\r\n": errURITooLong,
		"GET /" + strings.Repeat("a", 200):                   errURITooLong,
		"(":                                                  errRequestLine,
		"GE\x00":                                             errRequestLine,
		"\n":                                                 errBareLF,
		"GET / HTTP/3.0\r\n":                                 errVersion,
		"GET / HTTP/1.x\r\n":                                 errRequestLine,
		"PRI * HTTP/2.0\r\n":                                 errHTTP2,
	} {
		if _, err := parseRequestLine([]byte(text), 100, &rl); !errors.Is(err, want) {
			t.Errorf("%.20q: %v, want %v", text, err, want)
		}
	}
}
