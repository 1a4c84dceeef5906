package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestHeartbeatBytes(t *testing.T) {
	if got, want := AppendHeartbeat(nil, 1), unhex(t, "dabb e200 0000000000000001 00000001 4e"); !bytes.Equal(got, want) {
		t.Errorf("heartbeat % x, want % x", got, want)
	}
	if got, want := AppendHeartbeatAnswer(nil, Hessian2, 258), unhex(t, "dabb 2214 0000000000000102 00000001 4e"); !bytes.Equal(got, want) {
		t.Errorf("answer % x, want % x", got, want)
	}
}

// answerFrame makes a frame as providers send it.
func answerFrame(id uint64, status byte, body []byte) []byte {
	f := AppendHeader(nil, Hessian2, status, id)
	f = append(f, body...)
	SetLength(f)
	return f
}

func TestFrameReader(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789abcdef"), 5000) // 80,000 bytes: more than a window
	window := long[:readWindow]
	tooLong := make([]byte, 200_000)
	var stream []byte
	for i, body := range [][]byte{[]byte("one"), {}, long, window, tooLong, []byte("two"), long, long[:70_000], []byte("three")} {
		stream = append(stream, answerFrame(uint64(i), StatusOK, body)...)
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
			fr := NewReader(source(bytes.NewReader(stream)), 100_000)
			for i, w := range want {
				f, err := fr.Next()
				if err != nil {
					t.Fatalf("frame %d: %v", i, err)
				}
				if f.ID != uint64(i) || f.Status != StatusOK || string(f.Body) != w || f.TooLong != (i == 4) {
					t.Errorf("frame %d: id %d, status %d, %d bytes, too long %v", i, f.ID, f.Status, len(f.Body), f.TooLong)
				}
				if f.Own {
					fr.Swap(nil)
				}
			}
			if _, err := fr.Next(); err != io.EOF {
				t.Errorf("after the last frame: %v, want EOF", err)
			}
		})
	}
}

func TestFrameReaderRefuses(t *testing.T) {
	whole := answerFrame(1, StatusOK, []byte("body"))
	huge := AppendHeader(nil, Hessian2, StatusOK, 1)
	copy(huge[12:], []byte{0xff, 0xff, 0xff, 0xff})
	tests := []struct {
		name  string
		input []byte
		want  error
		text  string
	}{
		{"HTTP", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), ErrBadMagic, "48 54 54 50"},
		{"garbage after a frame", append(bytes.Clone(whole), "xxxxxxxxxxxxxxxx"...), ErrBadMagic, ""},
		{"absurd length", huge, nil, "frame of 4294967295 bytes"},
		{"cut in the header", whole[:10], io.ErrUnexpectedEOF, ""},
		{"cut in the body", whole[:18], io.ErrUnexpectedEOF, ""},
		{"cut before the body", whole[:16], io.ErrUnexpectedEOF, ""},
		{"nothing", nil, io.EOF, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fr := NewReader(bytes.NewReader(tt.input), 1000)
			var err error
			for err == nil {
				_, err = fr.Next()
			}
			if tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %q, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
}

// TestLengthReservesNothing makes sure that a provider cannot make the gateway allocate by naming a large length.
func TestLengthReservesNothing(t *testing.T) {
	head := AppendHeader(nil, Hessian2, StatusOK, 1)
	copy(head[12:], []byte{0x08, 0, 0, 0}) // 128 MiB
	got := testing.AllocsPerRun(1, func() {
		fr := NewReader(bytes.NewReader(head), 200<<20)
		_, _ = fr.Next()
		if cap(fr.long) > 1<<20 {
			t.Errorf("%d bytes reserved", cap(fr.long))
		}
	})
	t.Logf("%v allocations", got)
}

func FuzzFrameReader(f *testing.F) {
	f.Add(answerFrame(1, StatusOK, []byte("\x94\x05hello")), uint16(100), byte(0))
	f.Add(append(answerFrame(1, 70, []byte("\x03bad")), answerFrame(2, StatusOK, make([]byte, 300))...), uint16(200), byte(3))
	f.Add(AppendHeartbeat(nil, 9), uint16(10), byte(1))
	f.Add([]byte{0xda, 0xbb, 0, 0}, uint16(0), byte(2))
	f.Fuzz(func(t *testing.T, stream []byte, limit uint16, swap byte) {
		read := func(src io.Reader) (frames []string, err error) {
			fr := NewReader(src, int(limit))
			for {
				f, err := fr.Next()
				if err != nil {
					return frames, err
				}
				if len(f.Body) > int(limit) {
					t.Fatalf("%d bytes handed over, limit %d", len(f.Body), limit)
				}
				frames = append(frames, string(f.Body))
				if f.Own && swap&1 != 0 {
					fr.Swap(make([]byte, int(swap)))
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

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
