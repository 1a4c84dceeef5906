package wire

import (
	"bufio"
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRecords(t *testing.T) {
	var e encoder
	e.int32(-7)
	e.int64(1 << 40)
	e.bool(true)
	e.string("ä")
	e.buffer(nil)
	e.int32(2)
	e.string("a")
	e.string("")
	e.int32(-1) // null
	d := decoder{b: e.b}
	if a, b, c, s, p := d.int32(), d.int64(), d.bool(), d.string(), d.buffer(); a != -7 || b != 1<<40 || !c || s != "ä" || len(p) != 0 {
		t.Errorf("%d %d %v %q %v", a, b, c, s, p)
	}
	if got := d.strings(); cmp.Diff([]string{"a", ""}, got) != "" {
		t.Errorf("%q", got)
	}
	if p := d.buffer(); p != nil || d.err != nil {
		t.Errorf("%v %v", p, d.err)
	}
	if d.int32() != 0 || !errors.Is(d.err, errShort) {
		t.Errorf("%v", d.err)
	}
}

// multi is an answer to two reads.
func multi() []byte {
	var e encoder
	e.multiHeader(opGetChildren, false)
	e.int32(1)
	e.string("a")
	e.multiHeader(-1, false)
	e.int32(int32(ErrNoNode))
	e.multiHeader(-1, true)
	return e.b
}

func TestMultiReadAnswers(t *testing.T) {
	reads := []Read{{"/a", true}, {"/b", false}}
	got, err := parseMultiRead(multi(), reads)
	if err != nil || len(got[0].Names) != 1 || !errors.Is(got[1].Err, ErrNoNode) {
		t.Errorf("%+v %v", got, err)
	}
	for n := range multi() {
		if n < len(multi())-4 { // the error code of the last header does not matter
			if _, err := parseMultiRead(multi()[:n], reads); err == nil {
				t.Errorf("cut at %d: taken", n)
			}
		}
	}
	if _, err := parseMultiRead(multi(), reads[:1]); err == nil {
		t.Error("more answers than reads")
	}
	if _, err := parseMultiRead(multi(), append(reads, Read{"/c", true})); err == nil {
		t.Error("fewer answers than reads")
	}
}

// Whatever a server sends, reading it ends, takes no more memory than was sent, and hands out what was in it.
func FuzzMultiRead(f *testing.F) {
	f.Add(multi(), true)
	f.Add([]byte("\x00\x00\x00\x04\x00\xff\xff\xff\xff\x7f\xff\xff\xff"), false)
	f.Fuzz(func(t *testing.T, body []byte, children bool) {
		got, err := parseMultiRead(body, []Read{{"/a", children}, {"/b", !children}})
		if err != nil {
			return
		}
		size := 0
		for _, r := range got {
			size += len(r.Data)
			for _, n := range r.Names {
				size += 4 + len(n)
			}
		}
		if size > len(body) {
			t.Errorf("%d bytes out of %d", size, len(body))
		}
		_ = parseMulti(body)
	})
}

// No frame outside its limits comes out of any stream.
func FuzzFrames(f *testing.F) {
	f.Add(append(hello(2000), reply(1, 1, 0)...))
	f.Add([]byte("HTTP/1.1 200 OK"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bufio.NewReader(bytes.NewReader(stream))
		total := 0
		for {
			got, err := readFrame(r, replyHeader, MaxFrame)
			if err != nil {
				break
			}
			if total += 4 + len(got); len(got) < replyHeader || total > len(stream) {
				t.Fatalf("a frame of %d bytes", len(got))
			}
		}
	})
}

// An answer of any content ends the connection or is taken.
func FuzzTake(f *testing.F) {
	f.Add(reply(1, 1, 0)[4:])
	f.Add(reply(-1, -1, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 2, '/', 'a')[4:])
	f.Fuzz(func(t *testing.T, body []byte) {
		var got []Event
		c := &Conn{onEvent: func(e Event) { got = append(got, e) }}
		p := &call{xid: 1, done: make(chan struct{})}
		c.pending = []*call{p}
		err := c.take(body)
		select {
		case <-p.done:
			if err != nil || len(c.pending) != 0 {
				t.Errorf("answered, and %v", err)
			}
		default:
		}
		if len(got) > 1 || (len(got) == 1 && len(got[0].Path) > len(body)) {
			t.Errorf("%+v", got)
		}
	})
}

func BenchmarkMultiRead(b *testing.B) {
	var e encoder
	reads := make([]Read, 100)
	for i := range reads {
		reads[i] = Read{Path: "/a", Children: i%2 == 0}
		if reads[i].Children {
			e.multiHeader(opGetChildren, false)
			e.int32(2)
			e.string("a provider")
			e.string("another provider")
		} else {
			e.multiHeader(-1, false)
			e.int32(int32(ErrNoNode))
		}
	}
	e.multiHeader(-1, true)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseMultiRead(e.b, reads); err != nil {
			b.Fatal(err)
		}
	}
}
