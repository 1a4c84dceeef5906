package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// An idle connection is kept alive, and a frozen server is given up after two thirds of the session's timeout.
func TestSilence(t *testing.T) {
	server := testbed.StartZooKeeper(t)
	c := open(t, server.Addr(), Options{SessionTimeout: time.Second})
	if c.Timeout != time.Second || c.Session == 0 {
		t.Errorf("%v, session %d", c.Timeout, c.Session)
	}
	select {
	case <-c.Done():
		t.Fatal(c.Err())
	case <-time.After(3 * time.Second):
	}
	if _, err := c.Children(t.Context(), "/", false); err != nil {
		t.Errorf("after three timeouts of silence: %v", err)
	}
	must(t, server.Freeze())
	began := time.Now()
	_, err := c.Children(t.Context(), "/", false)
	if took := time.Since(began); !errors.Is(err, ErrLost) || took > 1500*time.Millisecond {
		t.Errorf("%v after %v", err, took)
	}
	if c.Err() == nil || c.Err().Error() != "no answer within 666.666666ms" {
		t.Errorf("%v", c.Err())
	}
	must(t, server.Thaw())
}

func TestServerEnds(t *testing.T) {
	server := testbed.StartZooKeeper(t)
	c := open(t, server.Addr(), Options{})
	server.Kill()
	await(t, "the end", c.Done())
	if err := c.CreateFolder(t.Context(), "/a", false); !errors.Is(err, ErrLost) {
		t.Errorf("%v", err)
	}
}

// A server that has lost its data refuses whoever has seen more than it has.
func TestRefusesTheFuture(t *testing.T) {
	_, err := dial(t, shared.get(t).Addr(), Options{LastZxid: 1 << 60})
	if !errors.Is(err, ErrRefused) {
		t.Errorf("%v", err)
	}
}

// scripted is a server that says what it is told to, and then reads until the other end has gone.
func scripted(t *testing.T, says ...[]byte) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for _, part := range says {
			if _, err := c.Write(part); err != nil {
				return
			}
			time.Sleep(2 * time.Millisecond) // so that the parts arrive as parts
		}
		_, _ = bufio.NewReader(c).WriteTo(discard{})
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func frame(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// hello is a handshake's answer that grants a timeout in milliseconds.
func hello(timeout int32) []byte {
	var e encoder
	e.int32(0)
	e.int32(timeout)
	e.int64(7)
	e.buffer(make([]byte, 16))
	e.bool(false)
	return frame(e.b)
}

func reply(xid int32, zxid int64, code int32, body ...byte) []byte {
	var e encoder
	e.int32(xid)
	e.int64(zxid)
	e.int32(code)
	return frame(append(e.b, body...))
}

// What a server may say instead of an answer.
func TestBadAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		says [][]byte
		want string
	}{
		"not asked":         {[][]byte{hello(2000), reply(99, 1, 0)}, "an answer to request 99"},
		"another one's":     {[][]byte{hello(2000), reply(2, 1, 0)}, "an answer to request 2"},
		"HTTP":              {[][]byte{hello(2000), []byte("HTTP/1.1 400 Bad Request")}, "not a ZooKeeper server"},
		"too large":         {[][]byte{hello(2000), {0x05, 0, 0, 0}}, "answer is too large: 83886080 bytes"},
		"no header":         {[][]byte{hello(2000), {0, 0, 0, 15}}, "an answer of 15 bytes"},
		"half an event":     {[][]byte{hello(2000), reply(-1, -1, 0, 0, 0, 0, 1)}, "read an event: answer is cut short"},
		"nothing":           {[][]byte{hello(300)}, "no answer within 200ms"},
		"in pieces, a ping": {[][]byte{hello(300)[:9], hello(300)[9:], reply(-2, 5, 0)[:3], reply(-2, 5, 0)[3:]}, "no answer within 200ms"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := open(t, scripted(t, c.says...), Options{})
			_, err := conn.Children(t.Context(), "/", false)
			if !errors.Is(err, ErrLost) || conn.Err() == nil || !strings.Contains(conn.Err().Error(), c.want) {
				t.Errorf("%v, because %v, want %q", err, conn.Err(), c.want)
			}
		})
	}
	for name, c := range map[string]struct{ says, want string }{
		"expired":   {string(hello(0)), "session expired"},
		"cut short": {string(frame(make([]byte, 18))), "cut short"},
		"long":      {"\x00\x00\x20\x00", "not a ZooKeeper server: an answer of 8192 bytes"},
		"TLS alert": {"\x15\x03\x03\x00\x02\x02\x50", "the server speaks TLS here"},
	} {
		_, err := dial(t, scripted(t, []byte(c.says)), Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A large answer that comes in pieces is put together; a length alone takes no memory.
func TestLargeAnswer(t *testing.T) {
	body := make([]byte, 5<<20)
	names := append(binary.BigEndian.AppendUint32(nil, 1), frame(body)...)
	c := open(t, scripted(t, hello(2000), reply(1, 1, 0, names...)), Options{})
	got, err := c.Children(t.Context(), "/", false)
	if err != nil || len(got) != 1 || len(got[0]) != len(body) {
		t.Errorf("%d %v", len(got), err)
	}
}

func TestOpenIsCancelled(t *testing.T) {
	raw, err := net.Dial("tcp", scripted(t))
	must(t, err)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	if _, err := Open(ctx, raw, Options{SessionTimeout: time.Second}); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
}

// An authentication that is refused ends the connection with its reason.
func TestAuthenticationFails(t *testing.T) {
	_, err := dial(t, scripted(t, hello(2000), reply(-4, 1, -115)), Options{Digest: []byte("a:b")})
	if !errors.Is(err, ErrAuthFailed) || !strings.HasPrefix(err.Error(), "authenticate: ") {
		t.Errorf("%v", err)
	}
}
