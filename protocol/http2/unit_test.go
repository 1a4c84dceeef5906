package http2

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/http2/hpack"
)

func TestFrameHeader(t *testing.T) {
	for _, f := range []frame{{}, {1, frameHeaders, 5, 1}, {1<<24 - 1, 0xff, 0xff, maxWindow}} {
		b := appendFrame(nil, f.length, f.kind, f.flags, f.stream)
		if got := parseFrame(b); got != f {
			t.Errorf("%+v came back as %+v", f, got)
		}
		again := make([]byte, frameHeaderLen)
		putFrame(again, f.length, f.kind, f.flags, f.stream)
		if !bytes.Equal(again, b) {
			t.Errorf("%x and %x", b, again)
		}
	}
}

// TestFrames compares what we append with the layouts of RFC 9113 section 6.
func TestFrames(t *testing.T) {
	for name, c := range map[string]struct{ got, want []byte }{
		"RST_STREAM":    {appendRSTStream(nil, 5, Cancel), []byte{0, 0, 4, 3, 0, 0, 0, 0, 5, 0, 0, 0, 8}},
		"WINDOW_UPDATE": {appendWindowUpdate(nil, 0, 0x01020304), []byte{0, 0, 4, 8, 0, 0, 0, 0, 0, 1, 2, 3, 4}},
		"PING":          {appendPing(nil, flagAck, []byte("12345678")), append([]byte{0, 0, 8, 6, 1, 0, 0, 0, 0}, "12345678"...)},
		"GOAWAY":        {appendGoAway(nil, 7, ProtocolError, "why"), append([]byte{0, 0, 11, 7, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1}, "why"...)},
		"SETTINGS":      {appendSettings(nil, setting{settingInitialWindowSize, 0x10203}), []byte{0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 1, 2, 3}},
	} {
		if !bytes.Equal(c.got, c.want) {
			t.Errorf("%s: %x, want %x", name, c.got, c.want)
		}
	}
}

func TestErrCodes(t *testing.T) {
	for code, want := range map[ErrCode]string{
		NoError: "NO_ERROR", RefusedStream: "REFUSED_STREAM", HTTP11Required: "HTTP_1_1_REQUIRED", 0x1234: "error code 0x1234",
	} {
		if got := code.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for err, want := range map[error]string{
		violation(ProtocolError, "why"):             "PROTOCOL_ERROR: why",
		&resetError{code: Cancel}:                   "peer reset the stream: CANCEL",
		&resetError{code: Cancel, ours: true}:       "stream was reset: CANCEL",
		&goAwayError{code: NoError}:                 "peer is going away: NO_ERROR",
		&goAwayError{code: NoError, reason: "x\ny"}: `peer is going away: NO_ERROR: "x\ny"`,
	} {
		if err.Error() != want {
			t.Errorf("%s, want %s", err, want)
		}
	}
	if !isTimeout(os.ErrDeadlineExceeded) || !isTimeout(&net.OpError{Err: os.ErrDeadlineExceeded}) || isTimeout(errBusy) {
		t.Error("isTimeout")
	}
}

func TestResetRing(t *testing.T) {
	var r resetRing
	for id := uint32(1); id <= 2*rememberedResets; id += 2 {
		r.add(id, id%4 == 1)
	}
	if ours, theirs, unsure := r.find(1); !ours || theirs || unsure {
		t.Error("the first is forgotten")
	}
	if ours, theirs, unsure := r.find(3); ours || !theirs || unsure {
		t.Error("the second is forgotten")
	}
	if ours, theirs, unsure := r.find(2*rememberedResets + 1); ours || theirs || unsure {
		t.Error("one that was never reset is found")
	}
	r.add(2001, true)
	if _, _, unsure := r.find(1); !unsure {
		t.Error("it is certain about the first, which it has forgotten")
	}
	if ours, _, _ := r.find(2001); !ours {
		t.Error("the newest is forgotten")
	}
}

// TestWaitList puts streams into the queue and takes them out at every place.
func TestWaitList(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		c := &conn{sendWin: 1 << 30}
		var all, want []*stream
		for range 1 + rng.IntN(6) {
			s := &stream{c: c, wwaits: true, wwake: make(chan struct{}, 1)}
			all = append(all, s)
			c.queue(s)
			c.queue(s) // twice is once
		}
		want = slices.Clone(all)
		for range rng.IntN(len(all) + 1) {
			i := rng.IntN(len(want))
			c.unqueue(want[i])
			c.unqueue(want[i])
			want = slices.Delete(want, i, i+1)
			if len(want) == 0 {
				break
			}
		}
		var got []*stream
		for s := c.waiting.first; s != nil; s = s.next {
			got = append(got, s)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%d are queued, want %d", len(got), len(want))
		}
		c.wakeWaiting()
		for i, s := range want {
			if woken := len(s.wwake) == 1; woken != (i < maxOut/quantum) {
				t.Fatalf("%d of %d: woken is %v", i, len(want), woken)
			}
		}
	}
}

func TestBudget(t *testing.T) {
	now := int64(0)
	clock := func() int64 { return now }
	var b budget
	b.init(now)
	for range maxFrames {
		if !b.frame(clock) {
			t.Fatal("used up too early")
		}
	}
	if b.frame(clock) {
		t.Error("not used up")
	}
	b.earn(3)
	n := 0
	for b.frame(clock) {
		n++
	}
	if n < 1 || n > 3 {
		t.Errorf("%d frames for three that were earned", n)
	}
	now += int64(2 * time.Second)
	for n = 0; b.frame(clock); n++ {
	}
	if n != 2*framesPerSecond {
		t.Errorf("%d frames in two seconds", n)
	}
	now += int64(time.Hour)
	for n = 0; b.frame(clock); n++ {
	}
	if n != maxFrames {
		t.Errorf("%d frames after an hour", n)
	}
	b.init(now)
	for n = 0; b.reset(clock); n++ {
	}
	if n != maxResets {
		t.Errorf("%d resets", n)
	}
}

// TestHeadBlock looks at single rules where both sides share them.
func TestHeadBlock(t *testing.T) {
	for _, c := range []struct {
		kind  headKind
		field hpack.Field
		bad   bool
		kept  bool
	}{
		{headTrailers, hpack.Field{Name: "grpc-status", Value: "0"}, false, true},
		{headTrailers, hpack.Field{Name: "content-type", Value: "a", ID: protocol.NameContentType}, false, false},
		{headTrailers, hpack.Field{Name: "authorization", Value: "a", ID: protocol.NameAuthorization}, false, false},
		{headTrailers, hpack.Field{Name: "content-length", Value: "a", ID: protocol.NameContentLength}, false, false},
		{headTrailers, hpack.Field{Name: ":status", Value: "200", Pseudo: hpack.PseudoStatus}, true, false},
		{headRequest, hpack.Field{Name: ":status", Value: "200", Pseudo: hpack.PseudoStatus}, true, false},
		{headResponse, hpack.Field{Name: ":path", Value: "/", Pseudo: hpack.PseudoPath}, true, false},
		{headResponse, hpack.Field{Name: "te", Value: "trailers", ID: protocol.NameTE}, false, false},
		{headRequest, hpack.Field{Name: "te", Value: "trailers", ID: protocol.NameTE}, false, true},
		{headRequest, hpack.Field{Name: "trailer", Value: "x", ID: protocol.NameTrailer}, false, false},
		{headDiscarded, hpack.Field{Fault: hpack.FaultName}, false, false},
		{headResponse, hpack.Field{Fault: hpack.FaultValue}, true, false},
	} {
		var h protocol.Header
		b := headBlock{maxBytes: 1000, maxCount: 10}
		b.begin(c.kind, &h)
		b.Field(&c.field)
		if (b.fault != "") != c.bad || (h.Len() == 1) != c.kept {
			t.Errorf("%v: %q, %+v", c, b.fault, h)
		}
	}
	var h protocol.Header
	b := headBlock{maxBytes: 100, maxCount: 10}
	b.begin(headRequest, &h)
	b.Field(&hpack.Field{Name: "secret", Value: "x", Sensitive: true})
	if !h.At(0).Sensitive() {
		t.Error("a sensitive field is not sensitive any more")
	}
	b.Field(&hpack.Field{Name: "b", Value: string(make([]byte, 100))})
	if !b.over || h.Len() != 1 {
		t.Error("a field over the limit was kept")
	}
	for s, want := range map[string]int{"200": 200, "999": 999, "099": 0, "20": 0, "2000": 0, "101": 0, "2 0": 0, "": 0} {
		b.begin(headResponse, &h)
		b.setStatus(s)
		if b.status != want || (b.fault == "") != (want != 0) {
			t.Errorf("status %q is %d, %q", s, b.status, b.fault)
		}
	}
	for s, want := range map[string]bool{"0": true, "123456789012345678": true, "": false, "-1": false, "1e3": false, " 1": false, "1234567890123456789": false} {
		if _, ok := parseLength(s); ok != want {
			t.Errorf("length %q: %v", s, ok)
		}
	}
}

func TestJoinCookies(t *testing.T) {
	for _, c := range []struct{ in, want []string }{
		{nil, nil},
		{[]string{"cookie", "a"}, []string{"cookie", "a"}},
		{[]string{"x", "1", "cookie", "a", "cookie", "b", "y", "2", "cookie", "c"}, []string{"x", "1", "cookie", "a; b; c", "y", "2"}},
	} {
		var h protocol.Header
		for i := 0; i < len(c.in); i += 2 {
			h.Add(c.in[i], c.in[i+1])
		}
		joinCookies(new(protocol.Arena), &h)
		var got []string
		for i := range h.Len() {
			got = append(got, h.At(i).Name, h.At(i).Value)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q became %q", c.in, got)
		}
	}
}

func TestTokens(t *testing.T) {
	for s, want := range map[string]bool{"GET": true, "a-b_c.1": true, "": false, "A B": false, "a/b": false, "\x7f": false, "é": false} {
		if validToken(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
	for s, want := range map[string]bool{"trailers": true, "deflate, Trailers": true, "trailers;q=1": false, "": false} {
		if hasTrailers(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
	if acceptKey("dGhlIHNhbXBsZSBub25jZQ==") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" { // RFC 6455 section 1.3
		t.Error("accept key")
	}
}

func TestWindows(t *testing.T) {
	for _, l := range []Limits{{}, {StreamWindow: 1, ConnWindow: 1}, {StreamWindow: 1 << 20, ConnWindow: 100}, {StreamWindow: 256 << 10, ConnWindow: 4 << 20}} {
		w := l.windows()
		if w.stream < 1 || w.conn < defaultWindow || w.held < w.conn || w.conn > maxWindow {
			t.Errorf("%+v: %+v", l, w)
		}
	}
}

// TestContext is a stream as a context.Context.
func TestContext(t *testing.T) {
	x := newServerStream(&Server{})
	if _, ok := x.Deadline(); ok || x.Value(1) != nil || x.Err() != nil {
		t.Error("a fresh context has something to say")
	}
	var ran atomic.Int32
	stop := context.AfterFunc(x, func() { ran.Add(1) })
	keep := context.AfterFunc(x, func() { ran.Add(10) })
	if !stop() || stop() {
		t.Error("stop")
	}
	select {
	case <-x.Done():
		t.Error("done too early")
	default:
	}
	derived, cancel := context.WithCancel(x)
	defer cancel()
	x.cancelled()
	x.cancelled()
	<-x.Done()
	<-derived.Done()
	eventually(t, "the function ran", func() bool { return ran.Load() == 10 })
	if !errors.Is(x.Err(), context.Canceled) || keep() {
		t.Error("not cancelled")
	}
	late := make(chan struct{})
	stop = x.AfterFunc(func() { close(late) })
	<-late
	if stop() {
		t.Error("stopped what has run")
	}
	if !x.cancel.end(x) {
		t.Error("a context whose Done was used may be used again")
	}
	if unused := newServerStream(&Server{}); unused.cancel.end(unused) {
		t.Error("a context whose Done was not used may not be used again")
	}
}
