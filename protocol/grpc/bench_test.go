package grpc

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/sluice-gateway/sluice/protocol"
)

const benchItem = `{"name":"shelves/1/items/2","count":5,"serial":"123456789","active":true,"color":"RED","tags":["red","round"],"price":{"currency":"EUR","units":"12"}}`

// echoTarget answers a call with its own message, without a connection.
func echoTarget() protocol.Handler {
	return protocol.HandlerFunc(func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		body, err := protocol.ReadAll(nil, req.Body, 1<<20)
		if err != nil {
			return nil, err
		}
		resp := req.NewResponse()
		resp.Status = 200
		resp.Header.Add("content-type", contentType)
		resp.Trailer.Add("grpc-status", "0")
		resp.Body, resp.ContentLength = protocol.NewBytes(body), int64(len(body))
		return resp, nil
	})
}

// BenchmarkTranscode is what turning a message over costs, both ways, without a connection.
func BenchmarkTranscode(b *testing.B) {
	d := NewDescriptors(protos, 0, nil)
	defer d.Close()
	if err := d.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	tr, err := NewTranscoder(Route{}, d, nil)
	if err != nil {
		b.Fatal(err)
	}
	for name, h := range map[string]protocol.Handler{"json": tr.Filter(echoTarget()), "plain": echoTarget()} {
		b.Run(name, func(b *testing.B) {
			req := new(protocol.Request)
			var body protocol.Bytes
			text := []byte(benchItem)
			b.ReportAllocs()
			for b.Loop() {
				req.Reset()
				body.SetBytes(text)
				req.Method, req.Path, req.Body, req.ContentLength = "POST", "/test.shop.v1.Shop/Echo", &body, int64(len(text))
				req.Header.Add("Content-Type", "application/json")
				resp, err := h.Serve(b.Context(), req)
				if err != nil {
					b.Fatal(err)
				}
				if _, _, err := resp.Body.Next(); err != nil {
					b.Fatal(err)
				}
				_ = resp.Close()
			}
		})
	}
}

// BenchmarkUnary compares JSON over HTTP/1.1 with gRPC through the same client, to a real server. All four parties run in
// this process.
func BenchmarkUnary(b *testing.B) {
	s := startShop(b)
	c := s.client(b)
	_, transcoding := transcoder(b, Route{}, &Reflection{Target: c}, c)
	b.Run("json", func(b *testing.B) { benchHTTP(b, transcoding) })
	b.Run("http alone", func(b *testing.B) { benchHTTP(b, answering(200, "application/json", benchItem)) })
	b.Run("grpc", func(b *testing.B) {
		cc := dial(b, listen2(b, edge(Native{}.Filter(c))))
		m := s.method("Echo")
		in := dynamicpb.NewMessage(m.Input())
		set(in, "name", "shelves/1/items/2")
		b.ReportAllocs()
		for b.Loop() {
			if err := cc.Invoke(b.Context(), "/test.shop.v1.Shop/Echo", in, dynamicpb.NewMessage(m.Output())); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// benchHTTP posts over one connection of HTTP/1.1.
func benchHTTP(b *testing.B, h protocol.Handler) {
	url := listen(b, h) + "/test.shop.v1.Shop/Echo"
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	b.ReportAllocs()
	for b.Loop() {
		resp, err := client.Post(url, "application/json", strings.NewReader(benchItem))
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			b.Fatal(resp.Status)
		}
	}
}
