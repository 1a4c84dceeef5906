package zookeeper

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
)

func frame(n int) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(n)), make([]byte, n)...)
}

func TestGuard(t *testing.T) {
	for name, c := range map[string]struct {
		sent []byte
		ok   bool
	}{
		"a handshake":               {frame(37), true},
		"and answers":               {bytes.Join([][]byte{frame(37), frame(16), frame(1 << 20), frame(20)}, nil), true},
		"an HTTP answer":            {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), false},
		"a long handshake":          {frame(maxHandshake + 1), false},
		"an answer without header":  {append(frame(37), frame(15)...), false},
		"an empty answer":           {append(frame(37), frame(0)...), false},
		"an answer over the limit":  {append(frame(37), 0x7f, 0xff, 0xff, 0xff), false},
		"a length with the top bit": {append(frame(37), 0xff, 0xff, 0xff, 0xff), false},
	} {
		client, server := net.Pipe()
		go func() {
			_, _ = server.Write(c.sent)
			_ = server.Close()
		}()
		got, err := io.ReadAll(&guard{Conn: client})
		_ = client.Close()
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if c.ok && !bytes.Equal(got, c.sent) {
			t.Errorf("%s: %d bytes came through, want %d", name, len(got), len(c.sent))
		}
	}
}

// However the stream is cut, no frame outside the limits comes through.
func FuzzFrames(f *testing.F) {
	f.Add(append(frame(37), frame(16)...), 3)
	f.Add([]byte("HTTP/1.1 200 OK"), 1)
	f.Fuzz(func(t *testing.T, stream []byte, step int) {
		var fr frames
		for rest := stream; len(rest) > 0; {
			n := min(max(step, 1), fr.limit(), len(rest))
			if n <= 0 {
				t.Fatal("no progress")
			}
			if fr.take(rest[:n]) != nil {
				return
			}
			if fr.left < 0 || fr.left > maxFrame || fr.have > 3 {
				t.Fatalf("%+v", fr)
			}
			rest = rest[n:]
		}
	})
}
