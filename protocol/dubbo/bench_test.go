package dubbo

import (
	"bufio"
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
)

// fixedPeer answers every call with the same body and allocates nothing for it, so that what is counted is the gateway's.
func fixedPeer(b *testing.B, body string) *peer {
	return startPeer(b, func(pc *peerConn) {
		out := bufio.NewWriterSize(pc, 64<<10)
		answer := answerFrame(0, frame.StatusOK, []byte(body))
		in := bufio.NewReaderSize(pc, 64<<10)
		var head [frame.HeaderLen]byte
		for {
			if _, err := readFull(in, head[:]); err != nil {
				return
			}
			if _, err := in.Discard(int(binary.BigEndian.Uint32(head[12:]))); err != nil {
				return
			}
			copy(answer[4:12], head[4:12])
			_, _ = out.Write(answer)
			if in.Buffered() == 0 {
				if out.Flush() != nil {
					return
				}
			}
		}
	})
}

func readFull(r *bufio.Reader, p []byte) (int, error) {
	n := 0
	for n < len(p) {
		m, err := r.Read(p[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

type fixedSource string

func (s fixedSource) SubscribeDefinition(_ Service, notify func([]byte)) func() {
	notify([]byte(s))
	return func() {}
}

const benchDefinition = `{"canonicalName":"lab.UserService","methods":[
	{"name":"get","parameterTypes":["long"],"returnType":"lab.User"},{"name":"create","parameterTypes":["lab.User"],"returnType":"lab.User"}],
	"types":[{"type":"lab.User","properties":{"id":"java.lang.Long","name":"java.lang.String","age":"int","active":"boolean","score":"double",
	"tags":"java.util.List<java.lang.String>","balance":"java.math.BigDecimal"}}]}`

// benchAnswer is a user as a map, as generic calls return it.
const benchAnswer = "\x94H\x05class\x08lab.User\x02id\x97\x04name\x06user-7\x03age\x90\x06activeT\x05scoreD\x40\x58\xd0\x00\x00\x00\x00\x00\x04tags\x7a\x03red\x05greenZH\x05dubbo\x052.0.2Z"

// BenchmarkServe is a request from the transcoder's door to the answer's JSON: parsing arguments, framing, the socket both
// ways, decoding.
func BenchmarkServe(b *testing.B) {
	tests := []struct {
		name, body string
		route      Route
	}{
		{"get", "", Route{Interface: "lab.UserService", Method: "get", Args: []any{"{path.id}"}}},
		{"bean", `{"id":7,"name":"user-7","age":5,"active":true,"score":99.25,"tags":["red","green"],"balance":12.50}`, Route{Interface: "lab.UserService", Method: "create"}},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			p := fixedPeer(b, benchAnswer)
			client := testClient(b, ClientConfig{Address: p.address()})
			tr, err := NewTranscoder(tt.route, NewCatalog(fixedSource(benchDefinition), nil), nil)
			if err != nil {
				b.Fatal(err)
			}
			defer tr.Close()
			h := tr.Filter(client)
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				req := &protocol.Request{}
				body := protocol.NewBytes([]byte(tt.body))
				for pb.Next() {
					req.Reset()
					req.Params = append(req.Params, protocol.Param{Name: "id", Value: "7"})
					if tt.body != "" {
						body.Rewind()
						req.Body, req.ContentLength = body, int64(len(tt.body))
					}
					req.NarrowDeadline(int64(10 * time.Second))
					resp, err := h.Serve(context.Background(), req)
					if err != nil {
						b.Error(err)
						return
					}
					if piece, _, err := resp.Body.Next(); err != nil || len(piece) < 50 {
						b.Errorf("answer %q, %v", piece, err)
						return
					}
					_ = resp.Close()
				}
			})
		})
	}
}

// BenchmarkPrepare is the transcoder alone.
func BenchmarkPrepare(b *testing.B) {
	tr, err := NewTranscoder(Route{Interface: "lab.UserService", Method: "get", Args: []any{"{path.id}"}}, NewCatalog(fixedSource(benchDefinition), nil), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer tr.Close()
	h := tr.Filter(protocol.HandlerFunc(func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		return req.NewResponse(), nil
	}))
	req := &protocol.Request{Params: []protocol.Param{{Name: "id", Value: "7"}}}
	b.ReportAllocs()
	for b.Loop() {
		resp, err := h.Serve(context.Background(), req)
		if err != nil {
			b.Fatal(err)
		}
		_ = resp.Close()
	}
}
