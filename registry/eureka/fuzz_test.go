package eureka

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// FuzzScanner holds the reader of JSON against encoding/json: it takes the same documents, and finds the same texts in them,
// however the stream is cut.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{
		two, "{}", "[]", `""`, "0", "-0.5e+3", "01", "1.", "+1", ".5", "1e", "true", "tru", "nul", "null x", `"\ud83d\ude00"`, `"\ud83d"`,
		`"\ud83d\n"`, `"\ud83d\ud83d\ude00"`, `"\u00e9é` + "\xff" + `"`, `{"a":}`, `{"a" : [1 , 2]}`, `[1,]`, `[,1]`, `{"a":1,}`, `{1:2}`, "\"a\x00\"",
		" \t\r\n7\n", `"\/\b\f\t\r"`, `{"":{"":""}}`, strings.Repeat("[", 40) + strings.Repeat("]", 40), "\xef\xbb\xbf{}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		if bytes.Count(document, []byte("["))+bytes.Count(document, []byte("{")) > maxDepth {
			t.Skip("may be too deep")
		}
		want := json.Valid(document)
		for name, r := range map[string]io.Reader{
			"whole": bytes.NewReader(document), "bytes": iotest.OneByteReader(bytes.NewReader(document)), "last with EOF": iotest.DataErrReader(bytes.NewReader(document)),
		} {
			s := newScanner(r)
			err := s.skip()
			if err == nil {
				err = s.finish()
			}
			if (err == nil) != want {
				t.Fatalf("%s: %q: %v; encoding/json says %v", name, document, err, want)
			}
		}
		var text string
		if !utf8.Valid(document) || json.Unmarshal(document, &text) != nil || bytes.TrimSpace(document)[0] != '"' {
			return // bytes that are no UTF-8 are mended where a text is kept
		}
		got, whole, err := newScanner(iotest.HalfReader(bytes.NewReader(document))).scalar()
		if err != nil || !whole || string(got) != text {
			t.Fatalf("%q reads as %q, want %q: %v", document, got, text, err)
		}
	})
}

// FuzzAnswer makes nothing of nonsense but an error, and keeps within bounds what it makes of an answer.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		two, unchanged, appsOf(""), "{}", `{"applications":null}`,
		appsOf("UP_1_", appOf("A", instanceOf("A", "1", "10.0.0.1", 80, "UP", "DELETED"))),
		`{"applications":{"apps__hashcode":"UP_1_","application":{"name":"A","instance":{"port":{"$":"1","@enabled":true},"metadata":{"a":"b","@class":"x"},"dataCenterInfo":{"metadata":{"availability-zone":"z","instance-id":7}}}}}}`,
		`{"applications":{"application":[1,"a",null,{"instance":[1,{"port":7,"securePort":"x","vipAddress":"a,,B","metadata":[1]}]}],"apps__hashcode":""}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		c := Default()
		read := func() (update, head, error) {
			changes := map[string]change{}
			in := newInterner()
			d := &decoder{scanner: newScanner(iotest.HalfReader(bytes.NewReader(document))), in: in}
			h, err := d.answer(func(w *wire) {
				e := c.entry(w, in)
				if changes[w.key(in)] == nil {
					changes[w.key(in)] = change{}
				}
				changes[w.key(in)][e.id] = e
			})
			return newStore().plan(changes), h, err
		}
		u, h, err := read()
		if err != nil {
			return
		}
		if !json.Valid(document) || !h.applied || !h.hashed {
			t.Fatalf("%q is an answer: %+v", document, h)
		}
		s := newStore()
		s.apply(u)
		for _, a := range u.apps {
			for _, e := range a.entries {
				if e.problem == "" && len(e.instance.Metadata) > maxPairs {
					t.Fatalf("%d metadata", len(e.instance.Metadata))
				}
			}
		}
		again, _, _ := read()
		for key, a := range again.apps {
			c := change{}
			for _, e := range a.entries {
				c[e.id] = e
			}
			if s.apps[key].with(c) != s.apps[key] {
				t.Fatalf("%q is not equal to itself", document)
			}
		}
		if hashOf(s.counts) != hashOf(again.counts) {
			t.Fatal("counts differ")
		}
	})
}
