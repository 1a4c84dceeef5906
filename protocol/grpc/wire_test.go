package grpc

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"

	"github.com/sluice-gateway/sluice/protocol"
)

func TestCodes(t *testing.T) {
	for n, name := range code.Code_name {
		if got := Code(n).String(); got != name {
			t.Errorf("%d is %s, want %s", n, got, name)
		}
	}
	if Code(99).String() != "99" || Code(99).HTTPStatus() != 500 {
		t.Error("a code that nobody has defined")
	}
	for status, want := range map[int]Code{
		400: Internal, 401: Unauthenticated, 403: PermissionDenied, 404: Unimplemented, 429: Unavailable, 502: Unavailable, 503: Unavailable,
		504: Unavailable, 431: Internal, 500: Unknown, 418: Unknown, 302: Unknown,
	} {
		if got := CodeOfHTTP(status); got != want {
			t.Errorf("HTTP %d is %s", status, got)
		}
	}
	for _, c := range []struct {
		status int
		code   protocol.Code
		want   Code
	}{
		{404, protocol.CodeNoRoute, Unimplemented}, {503, protocol.CodeNoInstance, Unavailable}, {504, protocol.CodeUpstreamTimeout, DeadlineExceeded},
		{429, protocol.CodeFlowLimited, ResourceExhausted}, {499, protocol.CodeClientGone, Canceled}, {400, protocol.CodeBadArgument, InvalidArgument},
		{413, protocol.CodeBodyTooLarge, ResourceExhausted}, {502, protocol.CodeUpstreamProtocol, Internal}, {500, protocol.CodeUpstreamException, Unknown},
		{401, "unauthenticated", Unauthenticated}, {403, "forbidden", PermissionDenied}, {404, "x", Unimplemented}, {409, "x", Aborted},
		{412, "x", FailedPrecondition}, {408, "x", DeadlineExceeded}, {429, "x", ResourceExhausted}, {499, "x", Canceled}, {501, "x", Unimplemented},
		{503, "x", Unavailable}, {500, "x", Internal}, {415, "x", InvalidArgument},
	} {
		if got := CodeOfError(&protocol.Error{Status: c.status, Code: c.code}); got != c.want {
			t.Errorf("%s (%d) is %s, want %s", c.code, c.status, got, c.want)
		}
	}
}

func TestStatusFields(t *testing.T) {
	for _, message := range []string{"", "plain", "100 %", " edges ", "b\u00e4d\r\n", "%41", "\x00\x7f", " ", strings.Repeat("long ", 500)} {
		s := Status{Code: NotFound, Message: message, Details: []byte("d\xff")}
		var h protocol.Header
		s.Append(&h)
		for i := range h.Len() {
			if v := h.At(i).Value; strings.TrimSpace(v) != v || strings.ContainsAny(v, "\r\n\x00\x7f\u00e4") {
				t.Errorf("%q is written as %q", message, v)
			}
		}
		got, ok := ReadStatus(&h)
		if !ok || got.Code != NotFound || got.Message != message || string(got.Details) != "d\xff" {
			t.Errorf("%q came back as %+v", message, got)
		}
		DelStatus(&h)
		if _, ok := ReadStatus(&h); ok || h.Len() != 0 {
			t.Error("it is still there")
		}
	}
	for text, want := range map[string]string{"a%4": "a%4", "%": "%", "%zz%41": "%zzA", "%ff": "\ufffd", "%e2%82%ac": "\u20ac", "%+1": "%+1"} {
		if got := decodeMessage(text); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
	var h protocol.Header
	h.Add("grpc-status", "x")
	if s, ok := ReadStatus(&h); !ok || s.Code != Unknown {
		t.Errorf("%+v", s)
	}
	h.Set("grpc-status", "5")
	h.Set("grpc-status-details-bin", "CAU=")
	if s, _ := ReadStatus(&h); string(s.Details) != "\x08\x05" {
		t.Errorf("padded details %q", s.Details)
	}
}

func TestTimeouts(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1H": time.Hour, "2M": 2 * time.Minute, "3S": 3 * time.Second, "4m": 4 * time.Millisecond, "5u": 5 * time.Microsecond, "6n": 6,
		"99999999n": 99999999, "0S": 0, "99999999H": 1<<63 - 1, "00000001S": time.Second,
	} {
		if got, ok := ParseTimeout(text); !ok || got != want {
			t.Errorf("%s is %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "5", "S", "-1S", "+1S", "1.5S", "123456789S", "1s", "1 S", " 1S", "1S ", "\xff1S"} {
		if d, ok := ParseTimeout(text); ok {
			t.Errorf("%q is %v", text, d)
		}
	}
	for d, want := range map[time.Duration]string{
		-1: "0n", 0: "0n", 1: "1n", 99999999: "99999999n", 100000000: "100000u", 100000001: "100001u", time.Hour: "3600000m", 1<<63 - 1: "2562048H",
	} {
		got := string(AppendTimeout(nil, d))
		if back, ok := ParseTimeout(got); got != want && (d > 0 && (back < d || !ok)) {
			t.Errorf("%d is %s", d, got)
		}
	}
	var req protocol.Request
	req.Header.Add("grpc-timeout", "10S")
	req.NarrowDeadline(int64(time.Second))
	if err := ApplyTimeout(&req); err != nil {
		t.Fatal(err)
	}
	if err := PassTimeout(&req); err != nil {
		t.Fatal(err)
	}
	if d, ok := ParseTimeout(req.Header.Get("grpc-timeout")); !ok || d > time.Second || d < time.Second/2 {
		t.Errorf("%v is passed on", d)
	}
	req.Deadline = protocol.Now() - 1
	if err := PassTimeout(&req); err == nil || protocol.AsError(err).Status != 504 {
		t.Errorf("%v", err)
	}
	req.Deadline = 0
	if err := PassTimeout(&req); err != nil || req.Header.Len() != 0 {
		t.Errorf("%v, %d fields", err, req.Header.Len())
	}
}

func FuzzTimeout(f *testing.F) {
	f.Add("10S", int64(5))
	f.Fuzz(func(t *testing.T, text string, d int64) {
		if d, ok := ParseTimeout(text); ok && d < 0 {
			t.Errorf("%q is %v", text, d)
		}
		out := string(AppendTimeout(nil, time.Duration(d)))
		back, ok := ParseTimeout(out)
		if !ok || d > 0 && (back < time.Duration(d) || float64(back) > float64(d)*1.0001+1) {
			t.Errorf("%d is written %s and read %d", d, out, back)
		}
	})
}

// chopped is a body that comes in pieces of n bytes.
type chopped struct {
	protocol.Bytes
	data  []byte
	n     int
	piece []byte
}

func (c *chopped) Next() ([]byte, bool, error) {
	n := min(max(c.n, 1), len(c.data))
	for i := range c.piece {
		c.piece[i] = '#' // pieces are valid until the next one
	}
	c.piece = append(c.piece[:0], c.data[:n]...)
	c.data = c.data[n:]
	return c.piece, len(c.data) > 0, nil
}

func (c *chopped) Buffered() int { return min(max(c.n, 1), len(c.data)) }
func (c *chopped) Done() bool    { return len(c.data) == 0 }

func frame(flags byte, text string) string {
	b := make([]byte, prefixLen)
	putPrefix(b, flags, len(text))
	return string(b) + text
}

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

func TestMessages(t *testing.T) {
	long := strings.Repeat("long ", 1000)
	for name, c := range map[string]struct {
		encoding, wire string
		want           []string
		err            error
	}{
		"nothing":      {"", "", nil, io.EOF},
		"some":         {"", frame(0, "a") + frame(0, "") + frame(0, long), []string{"a", "", long}, io.EOF},
		"gzip":         {"gzip", frame(1, zipped(long)) + frame(0, "b") + frame(1, zipped("c")), []string{long, "b", "c"}, io.EOF},
		"in prefix":    {"", frame(0, "a") + "\x00\x00", []string{"a"}, errTruncated},
		"in message":   {"", frame(0, "abc")[:7], nil, errTruncated},
		"after prefix": {"", frame(0, "abc")[:5], nil, errTruncated},
		"flags":        {"", frame(2, "a"), nil, errFlags},
		"not named":    {"identity", frame(1, zipped("a")), nil, errNotNamed},
		"not offered":  {"snappy", frame(1, "a"), nil, errUnsupported},
		"bad gzip":     {"gzip", frame(1, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), nil, gzip.ErrHeader},
		"cut gzip":     {"gzip", frame(1, zipped(long)[:20]), nil, io.ErrUnexpectedEOF},
	} {
		for n := 1; n < 20; n++ {
			m := messages{pool: new(inflaters)}
			m.reset(&chopped{data: []byte(c.wire), n: n}, 1<<20, c.encoding)
			var got []string
			var err error
			for {
				var message []byte
				if message, err = m.next(); err != nil {
					break
				}
				got = append(got, string(message))
			}
			if strings.Join(got, "|") != strings.Join(c.want, "|") || !errors.Is(err, c.err) {
				t.Errorf("%s in pieces of %d: %.100q, %v", name, n, got, err)
			}
			m.release()
		}
	}
	for _, wire := range []string{frame(0, long), frame(1, zipped(long)), "\x00\xff\xff\xff\xff"} {
		m := messages{pool: new(inflaters)}
		m.reset(&chopped{data: []byte(wire), n: 100}, 1000, "gzip")
		_, err := m.next()
		var limit *limitError
		if !errors.As(err, &limit) || cap(m.held) > 2000 {
			t.Errorf("%v, %d held", err, cap(m.held))
		}
	}
}

// TestInflateAtTheLimit: what fits exactly is no bomb.
func TestInflateAtTheLimit(t *testing.T) {
	for _, size := range []int{0, 1, 999, 1000, 1001, 5000} {
		_, err := new(inflater).inflate([]byte(zipped(strings.Repeat("x", size))), 1000)
		if (err == nil) != (size <= 1000) {
			t.Errorf("%d: %v", size, err)
		}
	}
}

// FuzzEnvelopes: however a body is cut, the same messages come out, and the meter judges as the reader does.
func FuzzEnvelopes(f *testing.F) {
	f.Add([]byte(frame(0, "abc")+frame(1, zipped("x"))), 3)
	f.Add([]byte(frame(0, "")+"\x00\x00"), 1)
	f.Add([]byte("\x80\xff\xff\xff\xff"), 2)
	f.Fuzz(func(t *testing.T, wire []byte, n int) {
		const limit = 1000
		read := func(n int) (out []string, err error) {
			m := messages{pool: new(inflaters)}
			m.reset(&chopped{data: wire, n: n}, limit, "gzip")
			for {
				message, err := m.next()
				if err != nil {
					return out, err
				}
				out = append(out, string(message))
			}
		}
		a, errA := read(len(wire))
		b, errB := read(n % 10)
		if strings.Join(a, "|") != strings.Join(b, "|") || errA.Error() != errB.Error() {
			t.Fatalf("%q, %v and %q, %v", a, errA, b, errB)
		}
		var e envelopes
		e.reset(&chopped{data: wire, n: 7}, limit)
		var err error
		for err == nil {
			_, _, err = e.next()
		}
		m := meter{limit: limit}
		var judged error
		for rest := wire; len(rest) > 0 && judged == nil; {
			k := min(len(rest), max(n%10, 1))
			judged = m.pass(rest[:k])
			rest = rest[k:]
		}
		var tooLarge *limitError
		if errors.As(err, &tooLarge) != (judged != nil) {
			t.Errorf("reader %v, meter %v", err, judged)
		}
	})
}

// FuzzTextDecoder: however the text is cut, the same comes out; and it is what the library makes of it.
func FuzzTextDecoder(f *testing.F) {
	f.Add([]byte("AAAA"), 1)
	f.Add([]byte("QQ==QUI=QUJD"), 3)
	f.Add([]byte("QQ="), 2)
	f.Add([]byte("Q\r\nQ=="), 2)
	f.Fuzz(func(t *testing.T, text []byte, n int) {
		read := func(n int) ([]byte, error) {
			b := &textBody{body: &chopped{data: text, n: n}}
			return protocol.ReadAll(nil, b, 1<<20)
		}
		a, errA := read(len(text))
		b, errB := read(n % 10)
		if (errA == nil) != (errB == nil) || errA == nil && !bytes.Equal(a, b) {
			t.Fatalf("%q, %v and %q, %v", a, errA, b, errB)
		}
		want, err := base64.StdEncoding.Strict().DecodeString(string(text))
		if err == nil && !bytes.ContainsAny(text, "\r\n") && (errA != nil || !bytes.Equal(a, want)) {
			t.Errorf("%q: %q, %v, want %q", text, a, errA, want)
		}
	})
}

func TestTextInParts(t *testing.T) {
	for text, want := range map[string]string{"QQ==QUI=QUJD": "AABABC", "": "", "QUJDRA==": "ABCD", "QQ==QQ==": "AA"} {
		for n := 1; n < 14; n++ {
			b := &textBody{body: &chopped{data: []byte(text), n: n}}
			if got, err := protocol.ReadAll(nil, b, 100); err != nil || string(got) != want {
				t.Errorf("%s by %d: %q, %v", text, n, got, err)
			}
		}
	}
	for _, text := range []string{"Q", "QQ", "QQ=", "QQ==Q", "====", "Q=QQ", "*AAA", "QQ==\n", "QR=="} {
		b := &textBody{body: protocol.NewBytes([]byte(text))}
		if got, err := protocol.ReadAll(nil, b, 100); protocol.AsError(err).Status != 400 {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}
