package dubbo

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// TestRequestBytes compares a whole frame with what Java providers are known to accept.
func TestRequestBytes(t *testing.T) {
	inv := &Invocation{Interface: "lab.UserService", Version: "1.0.0", Group: "g1", Method: "hello"}
	inv.reset()
	inv.Interface, inv.Version, inv.Group, inv.Method = "lab.UserService", "1.0.0", "g1", "hello"
	inv.args = hessian.AppendString(inv.args, "hello")
	inv.args = hessian.AppendTypedListLength(inv.args, "[string", 1)
	inv.args = hessian.AppendString(inv.args, "java.lang.String")
	inv.args = hessian.AppendTypedListLength(inv.args, "[object", 1)
	inv.args = hessian.AppendString(inv.args, "bob")
	inv.addAttachment("tenant", "t1")
	got := appendRequest([]byte("before"), 7, inv, target{}, 3000)[len("before"):]

	want := "dabb c200 0000000000000007 000000f7" +
		"05" + text("2.0.2") + "0f" + text("lab.UserService") + "05" + text("1.0.0") + "07" + text("$invoke") +
		"3038" + text("Ljava/lang/String;[Ljava/lang/String;[Ljava/lang/Object;") +
		"05" + text("hello") +
		"7107" + text("[string") + "10" + text("java.lang.String") +
		"7107" + text("[object") + "03" + text("bob") +
		"48" +
		"07" + text("generic") + "04" + text("true") +
		"07" + text("timeout") + "04" + text("3000") +
		"04" + text("path") + "0f" + text("lab.UserService") +
		"09" + text("interface") + "0f" + text("lab.UserService") +
		"07" + text("version") + "05" + text("1.0.0") +
		"05" + text("group") + "02" + text("g1") +
		"06" + text("tenant") + "02" + text("t1") +
		"5a"
	if w := unhex(t, want); !bytes.Equal(got, w) {
		t.Errorf("frame\n got %q\nwant %q", got, w)
	}
}

func TestHeartbeatBytes(t *testing.T) {
	if got, want := appendHeartbeat(nil, flagRequest|flagTwoWay|hessian2, 0, 1), unhex(t, "dabb e200 0000000000000001 00000001 4e"); !bytes.Equal(got, want) {
		t.Errorf("heartbeat % x, want % x", got, want)
	}
	if got, want := appendHeartbeat(nil, hessian2, statusOK, 258), unhex(t, "dabb 2214 0000000000000102 00000001 4e"); !bytes.Equal(got, want) {
		t.Errorf("answer % x, want % x", got, want)
	}
}

func TestResolveTarget(t *testing.T) {
	exact := &Invocation{Interface: "a.B", Group: "g", Version: "1"}
	open := &Invocation{Interface: "a.B", Group: Any, Version: Any}
	tests := []struct {
		name                 string
		inv                  *Invocation
		target               target
		group, version, path string
	}{
		{"exact is kept", exact, target{group: "other", version: "2"}, "g", "1", "a.B"},
		{"any takes the instance's", open, target{group: "g2", version: "3", path: "a.B2"}, "g2", "3", "a.B2"},
		{"any of an instance without", open, target{}, "", "", "a.B"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, v, p := tt.target.resolve(tt.inv)
			if g != tt.group || v != tt.version || p != tt.path {
				t.Errorf("resolve = %q %q %q, want %q %q %q", g, v, p, tt.group, tt.version, tt.path)
			}
		})
	}
}

// answerFrame makes a frame as providers send it.
func answerFrame(id uint64, status byte, body []byte) []byte {
	f := appendHeader(nil, hessian2, status, id)
	f = append(f, body...)
	setLength(f)
	return f
}

func TestFrameReader(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789abcdef"), 5000) // 80,000 bytes: more than a window
	window := long[:readWindow]
	tooLong := make([]byte, 200_000)
	var stream []byte
	for i, body := range [][]byte{[]byte("one"), {}, long, window, tooLong, []byte("two"), long, long[:70_000], []byte("three")} {
		stream = append(stream, answerFrame(uint64(i), statusOK, body)...)
	}
	want := []string{"one", "", string(long), string(window), "", "two", string(long), string(long[:70_000]), "three"}
	sources := map[string]func(io.Reader) io.Reader{
		"at once":      func(r io.Reader) io.Reader { return r },
		"halves":       iotest.HalfReader,
		"byte wise":    iotest.OneByteReader,
		"data and EOF": iotest.DataErrReader,
	}
	for name, source := range sources {
		t.Run(name, func(t *testing.T) {
			fr := newFrameReader(source(bytes.NewReader(stream)), 100_000)
			for i, w := range want {
				f, err := fr.next()
				if err != nil {
					t.Fatalf("frame %d: %v", i, err)
				}
				if f.id != uint64(i) || f.status != statusOK || string(f.body) != w || f.tooLong != (i == 4) {
					t.Errorf("frame %d: id %d, status %d, %d bytes, too long %v", i, f.id, f.status, len(f.body), f.tooLong)
				}
				if f.own {
					fr.swap(nil)
				}
			}
			if _, err := fr.next(); err != io.EOF {
				t.Errorf("after the last frame: %v, want EOF", err)
			}
		})
	}
}

func TestFrameReaderRefuses(t *testing.T) {
	whole := answerFrame(1, statusOK, []byte("body"))
	huge := appendHeader(nil, hessian2, statusOK, 1)
	copy(huge[12:], []byte{0xff, 0xff, 0xff, 0xff})
	tests := []struct {
		name  string
		input []byte
		want  error
		text  string
	}{
		{"HTTP", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), errBadMagic, "48 54 54 50"},
		{"garbage after a frame", append(bytes.Clone(whole), "xxxxxxxxxxxxxxxx"...), errBadMagic, ""},
		{"absurd length", huge, nil, "frame of 4294967295 bytes"},
		{"cut in the header", whole[:10], io.ErrUnexpectedEOF, ""},
		{"cut in the body", whole[:18], io.ErrUnexpectedEOF, ""},
		{"cut before the body", whole[:16], io.ErrUnexpectedEOF, ""},
		{"nothing", nil, io.EOF, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fr := newFrameReader(bytes.NewReader(tt.input), 1000)
			var err error
			for err == nil {
				_, err = fr.next()
			}
			if tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %q, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
}

// TestLengthReservesNothing makes sure that a provider cannot make the gateway allocate by naming a large length.
func TestLengthReservesNothing(t *testing.T) {
	head := appendHeader(nil, hessian2, statusOK, 1)
	copy(head[12:], []byte{0x08, 0, 0, 0}) // 128 MiB
	got := testing.AllocsPerRun(1, func() {
		fr := newFrameReader(bytes.NewReader(head), 200<<20)
		_, _ = fr.next()
		if cap(fr.long) > 1<<20 {
			t.Errorf("%d bytes reserved", cap(fr.long))
		}
	})
	t.Logf("%v allocations", got)
}

func FuzzFrameReader(f *testing.F) {
	f.Add(answerFrame(1, statusOK, []byte("\x94\x05hello")), uint16(100), byte(0))
	f.Add(append(answerFrame(1, 70, []byte("\x03bad")), answerFrame(2, statusOK, make([]byte, 300))...), uint16(200), byte(3))
	f.Add(appendHeartbeat(nil, flagRequest|flagTwoWay|hessian2, 0, 9), uint16(10), byte(1))
	f.Add([]byte{0xda, 0xbb, 0, 0}, uint16(0), byte(2))
	f.Fuzz(func(t *testing.T, stream []byte, limit uint16, swap byte) {
		read := func(src io.Reader) (frames []string, err error) {
			fr := newFrameReader(src, int(limit))
			for {
				f, err := fr.next()
				if err != nil {
					return frames, err
				}
				if len(f.body) > int(limit) {
					t.Fatalf("%d bytes handed over, limit %d", len(f.body), limit)
				}
				frames = append(frames, string(f.body))
				if f.own && swap&1 != 0 {
					fr.swap(make([]byte, int(swap)))
				}
			}
		}
		// However the bytes arrive, they mean the same.
		a, errA := read(bytes.NewReader(stream))
		b, errB := read(iotest.OneByteReader(bytes.NewReader(stream)))
		if len(a) != len(b) || errA.Error() != errB.Error() {
			t.Fatalf("at once %d frames and %v, byte wise %d and %v", len(a), errA, len(b), errB)
		}
		for i := range a {
			if a[i] != b[i] {
				t.Fatalf("frame %d differs", i)
			}
		}
	})
}

func text(s string) string { return hex.EncodeToString([]byte(s)) }

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
