package protocol

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fields(h *Header) string {
	var b strings.Builder
	for i := range h.Len() {
		b.WriteString(h.At(i).Name + "=" + h.At(i).Value + " ")
	}
	return strings.TrimSpace(b.String())
}

func TestHeaderKeepsOrderAndRepetition(t *testing.T) {
	var h Header
	h.Add("Set-Cookie", "a")
	h.Add("X-One", "1")
	h.Add("set-cookie", "b")
	h.Add("x-one", "2")
	if got := h.Get("SET-COOKIE"); got != "a" {
		t.Errorf("first cookie %q", got)
	}
	if h.Count(NameSetCookie) != 2 || h.Value(NameSetCookie) != "a" {
		t.Errorf("cookies %d", h.Count(NameSetCookie))
	}
	h.Set("X-ONE", "3")
	if got := fields(&h); got != "Set-Cookie=a X-One=3 set-cookie=b" {
		t.Errorf("after Set: %s", got)
	}
	h.Set("New", "n")
	h.Del("SET-cookie")
	if got := fields(&h); got != "X-One=3 New=n" {
		t.Errorf("after Del: %s", got)
	}
	h.DelAt(0)
	if _, ok := h.Lookup("x-one"); ok || h.Len() != 1 {
		t.Errorf("after DelAt: %s", fields(&h))
	}
	h.AddKnown(NameHost, "Host", "h")
	h.DelKnown(NameHost)
	h.Reset()
	if h.Len() != 0 || h.Get("New") != "" {
		t.Error("Reset left something")
	}
}

func TestNames(t *testing.T) {
	for id := NameOther + 1; id < numNames; id++ {
		for _, s := range []string{id.String(), strings.ToUpper(id.String())} {
			if got := LookupName(s); got != id {
				t.Errorf("%s is %v", s, got)
			}
		}
		if LookupName(id.String()+"x") != NameOther {
			t.Errorf("%sx is known", id)
		}
	}
	for _, s := range []string{"", "x", "-host", "hos", strings.Repeat("a", 300), "h\xf6st"} {
		if LookupName(s) != NameOther {
			t.Errorf("%q is known", s)
		}
	}
	if Name(250).String() != "" {
		t.Error("an unknown id has a name")
	}
	for _, id := range []Name{NameConnection, NameTE, NameUpgrade, NameTransferEncoding, NameProxyConnection} {
		if !id.HopByHop() {
			t.Errorf("%s is passed on", id)
		}
	}
	for _, id := range []Name{NameHost, NameContentLength, NameCookie, NameOther} {
		if id.HopByHop() {
			t.Errorf("%s is not passed on", id)
		}
	}
	if !EqualFold("aBc", "AbC") || EqualFold("a", "ab") || EqualFold("[", "{") {
		t.Error("EqualFold is wrong")
	}
}

func TestArenaStringsStay(t *testing.T) {
	var a Arena
	var made []string
	for i := range 300 { // over several blocks
		made = append(made, a.Concat("s", strings.Repeat("x", i), "e"))
	}
	for i, s := range made {
		if s != "s"+strings.Repeat("x", i)+"e" {
			t.Fatalf("string %d became %q", i, s)
		}
	}
	b := []byte("abc")
	s := a.String(b)
	b[0] = 'z'
	if s != "abc" {
		t.Error("String did not copy")
	}
	x, y := a.Take(3), a.Take(3)
	x = append(x, "overflow"...)
	copy(y, "yyy")
	if string(x) == "" || string(y) != "yyy" {
		t.Error("an append to one piece reached the next")
	}
	a.Reset()
	if a.Concat() != "" {
		t.Error("an empty Concat")
	}
}

func TestArenaAllocatesNothingWhenWarm(t *testing.T) {
	var a Arena
	a.Concat("warm", "up")
	if n := testing.AllocsPerRun(100, func() { a.Reset(); a.Concat("a", "b"); a.Take(100) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestUnescape(t *testing.T) {
	var a Arena
	for in, want := range map[string]string{
		"abc": "abc", "a+b": "a b", "%41%2fb": "A/b", "%": "%", "%4": "%4", "%zz": "%zz", "%c3%A9": "\u00e9", "a%20b+": "a b ",
	} {
		if got := QueryUnescape(&a, in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := PathUnescape(&a, "a+b%2B"); got != "a+b+" {
		t.Errorf("path: %q", got)
	}
}

// slow is a body in pieces with a failure at its end.
type slow struct {
	Bytes
	pieces []string
	err    error
}

func (s *slow) Next() ([]byte, bool, error) {
	if len(s.pieces) == 0 {
		return nil, false, s.err
	}
	p := s.pieces[0]
	s.pieces = s.pieces[1:]
	return []byte(p), len(s.pieces) > 0 || s.err != nil, nil
}

func TestBytesBody(t *testing.T) {
	b := NewBytes([]byte("hello"))
	if b.Buffered() != 5 || b.Done() {
		t.Error("a fresh body")
	}
	for range 2 {
		got, err := ReadAll(nil, b, 5)
		if err != nil || string(got) != "hello" || !b.Done() || b.Buffered() != 0 {
			t.Errorf("%q %v", got, err)
		}
		if piece, more, err := b.Next(); len(piece) > 0 || more || err != nil {
			t.Error("something after the end")
		}
		if !b.Rewind() {
			t.Error("memory cannot be rewound")
		}
	}
	_ = b.Close()
	b.SetBytes([]byte("x"))
	if got, _ := ReadAll([]byte("y"), b, 5); string(got) != "yx" {
		t.Errorf("%q", got)
	}
	if got, err := ReadAll(nil, nil, 0); got != nil || err != nil {
		t.Error("a nil body is not empty")
	}
}

func TestReadAllIsBounded(t *testing.T) {
	_, err := ReadAll(nil, &slow{pieces: []string{"abc", "def"}}, 5)
	if !errors.Is(err, ErrBodyTooLarge) {
		t.Errorf("%v", err)
	}
	boom := errors.New("boom")
	got, err := ReadAll(nil, &slow{pieces: []string{"abc"}, err: boom}, 5)
	if string(got) != "abc" || !errors.Is(err, boom) {
		t.Errorf("%q %v", got, err)
	}
}

func TestReader(t *testing.T) {
	got, err := io.ReadAll(&Reader{Body: &slow{pieces: []string{"ab", "", "cdef"}}})
	if err != nil || string(got) != "abcdef" {
		t.Errorf("%q %v", got, err)
	}
	boom := errors.New("boom")
	if _, err := io.ReadAll(&Reader{Body: &slow{pieces: []string{"ab"}, err: boom}}); !errors.Is(err, boom) {
		t.Errorf("%v", err)
	}
	if _, err := (&Reader{}).Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("no body: %v", err)
	}
}

// log is a finisher that writes down its turn.
type log struct {
	name string
	to   *[]string
}

func (l log) Finish(_ *Request, _ *Response, err error) {
	entry := l.name
	if err != nil {
		entry += ":" + err.Error()
	}
	*l.to = append(*l.to, entry)
}

func TestCloseRunsFinishersOnceInReverse(t *testing.T) {
	var req Request
	var turns []string
	for range 2 { // the response is used again
		turns = turns[:0]
		resp := req.NewResponse()
		resp.Body = NewBytes(nil)
		resp.OnClose(log{"first", &turns})
		resp.OnClose(log{"second", &turns})
		resp.Fail(errors.New("cut"))
		resp.Fail(errors.New("later"))
		if err := resp.Close(); err != nil {
			t.Fatal(err)
		}
		_ = resp.Close()
		if got := strings.Join(turns, " "); got != "second:cut first:cut" {
			t.Errorf("turns %q", got)
		}
	}
	if resp := req.NewResponse(); resp.Err() != nil || resp.Body != nil {
		t.Error("the next response remembers the last")
	}
}

func TestRequestReset(t *testing.T) {
	req := Request{Method: "GET", Path: "/", Deadline: 5, Call: 7, Body: NewBytes(nil), Params: []Param{{"a", "b"}}}
	req.Header.Add("A", "b")
	req.Trailer.Add("T", "t")
	req.Record.Route = "r"
	_ = req.NewResponse()
	req.Reset()
	if req.Method != "" || req.Header.Len() != 0 || req.Trailer.Len() != 0 || req.Deadline != 0 || req.Call != nil || req.Body != nil ||
		len(req.Params) != 0 || fmt.Sprintf("%+v", req.Record) != fmt.Sprintf("%+v", Record{}) {
		t.Errorf("%+v", req)
	}
}

func TestParams(t *testing.T) {
	req := Request{Params: []Param{{"a", "1"}, {"b", "2"}}}
	if v, ok := req.Param("b"); !ok || v != "2" {
		t.Error(v)
	}
	if _, ok := req.Param("c"); ok {
		t.Error("a capture that is not there")
	}
}

func TestNarrowDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var req Request
		req.NarrowDeadline(0)
		if req.Deadline != 0 {
			t.Error("no timeout narrows nothing")
		}
		req.NarrowDeadline(int64(time.Minute))
		first := req.Deadline
		req.NarrowDeadline(int64(time.Hour))
		if req.Deadline != first {
			t.Error("a deadline was widened")
		}
		req.NarrowDeadline(int64(time.Second))
		if first-req.Deadline != int64(59*time.Second) {
			t.Errorf("narrowed by %v", time.Duration(first-req.Deadline))
		}
	})
}

func TestReplayable(t *testing.T) {
	if !(&Request{}).Replayable() || !(&Request{Body: NewBytes(nil)}).Replayable() {
		t.Error("what can be sent again cannot")
	}
	if (&Request{Upgrade: "websocket"}).Replayable() {
		t.Error("an upgraded connection was to be sent again")
	}
}

func TestChainOrder(t *testing.T) {
	var turns []string
	mark := func(name string) Filter {
		return func(next Handler) Handler {
			return HandlerFunc(func(ctx context.Context, req *Request) (*Response, error) {
				turns = append(turns, name)
				return next.Serve(ctx, req)
			})
		}
	}
	end := HandlerFunc(func(_ context.Context, req *Request) (*Response, error) { return req.NewResponse(), nil })
	if _, err := Chain(end, mark("a"), mark("b")).Serve(context.Background(), &Request{}); err != nil {
		t.Fatal(err)
	}
	if strings.Join(turns, "") != "ab" {
		t.Error(turns)
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("dial tcp: secret")
	e := NewError(502, CodeUpstreamConnect, "no connection").With(cause).WithDetail("a", "b")
	if !errors.Is(e, cause) || !strings.Contains(e.Error(), "secret") || AsError(e) != e {
		t.Errorf("%v", e)
	}
	wrapped := AsError(errors.New("boom"))
	if wrapped.Status != 500 || wrapped.Code != CodeInternal || strings.Contains(wrapped.Message, "boom") {
		t.Errorf("%+v", wrapped)
	}
	base := NewError(400, CodeBadRequest, "x")
	_ = base.WithDetail("a", "b")
	if len(base.Details) != 0 {
		t.Error("WithDetail changed its receiver")
	}
}

func TestProblem(t *testing.T) {
	e := NewError(400, CodeBadArgument, "wrong \"type\"\n").WithDetail("path", "$.a<b>").With(errors.New("secret"))
	doc := AppendProblem(nil, e, "id\x01\xff")
	var got map[string]any
	if err := json.Unmarshal(doc, &got); err != nil {
		t.Fatalf("%v: %s", err, doc)
	}
	for key, want := range map[string]any{
		"type": "about:blank", "title": "Bad Request", "status": 400.0, "code": "bad_argument", "detail": "wrong \"type\"\n",
		"path": "$.a<b>", "requestId": "id\x01\ufffd",
	} {
		if got[key] != want {
			t.Errorf("%s: %v, want %v", key, got[key], want)
		}
	}
	if bytes.Contains(doc, []byte("secret")) {
		t.Error("the cause is shown to the client")
	}
}

func TestStatus(t *testing.T) {
	if StatusText(499) == "" || StatusText(404) != "Not Found" || StatusText(799) != "Unknown" {
		t.Error("status texts")
	}
	for _, x := range []struct {
		method string
		status int
		want   bool
	}{{"HEAD", 200, true}, {"GET", 204, true}, {"GET", 304, true}, {"GET", 101, true}, {"GET", 200, false}, {"POST", 404, false}} {
		if NoBody(x.method, x.status) != x.want {
			t.Errorf("%s %d", x.method, x.status)
		}
	}
	if HTTP11.String() != "HTTP/1.1" || HTTP10.String() != "HTTP/1.0" || HTTP2.String() != "HTTP/2.0" || Version(9).String() != "HTTP/?" {
		t.Error("version texts")
	}
}

// TestGuideListsEveryCode keeps docs/guide/errors.md and the list of codes in step.
func TestGuideListsEveryCode(t *testing.T) {
	source, err := os.ReadFile("errors.go")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("../docs/guide/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`Code = "([a-z_]+)" +// (\d+)`).FindAllSubmatch(source, -1)
	if len(codes) < 20 {
		t.Fatalf("found only %d codes in errors.go", len(codes))
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\d+) \\|").FindAllSubmatch(guide, -1) {
		listed[string(m[1])+" "+string(m[2])] = true
	}
	for _, m := range codes {
		key := string(m[1]) + " " + string(m[2])
		if !listed[key] {
			t.Errorf("docs/guide/errors.md does not list %s with its status", key)
		}
		delete(listed, key)
	}
	for key := range listed {
		t.Errorf("docs/guide/errors.md lists %s, which is no code", key)
	}
}

func FuzzJSONString(f *testing.F) {
	f.Add("a\"b\\c\n\x00\u2028\xff")
	f.Fuzz(func(t *testing.T, s string) {
		out := AppendJSONString(nil, s)
		var back string
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); strings.ReplaceAll(back, "\ufffd", "") != strings.ReplaceAll(want, "\ufffd", "") {
			t.Fatalf("%q became %q", s, back)
		}
	})
}
