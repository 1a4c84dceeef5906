package http2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func TestGRPCUnary(t *testing.T) {
	c, _, addr := grpcProxy(t, startGRPC(t, newGRPCService()))
	cc := dialGRPC(t, addr)
	for _, size := range []int{0, 1, 100, 16 << 10, 100 << 10, 1 << 20, 9 << 20} {
		body := bytes.Repeat([]byte("x"), size)
		got, err := invoke(t.Context(), cc, body)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%d octets came back as %d: %v", size, len(got), err)
		}
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			for j := range 100 {
				want := fmt.Sprint(i, " ", j)
				got, err := invoke(t.Context(), cc, []byte(want))
				if err != nil || string(got) != want {
					t.Errorf("%s came back as %s: %v", want, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := c.Stats(); n.Dialled != 1 {
		t.Errorf("%+v", n)
	}
}

// TestGRPCStatus carries a trailers-only answer.
func TestGRPCStatus(t *testing.T) {
	_, _, addr := grpcProxy(t, startGRPC(t, newGRPCService()))
	_, err := invoke(t.Context(), dialGRPC(t, addr), []byte("fail"))
	if s := status.Convert(err); s.Code() != codes.NotFound || s.Message() != "no such thing: 100 %\n" {
		t.Errorf("%v", err)
	}
}

func TestGRPCMetadata(t *testing.T) {
	_, _, addr := grpcProxy(t, startGRPC(t, newGRPCService()))
	cc := dialGRPC(t, addr)
	for range 3 {
		big := strings.Repeat("m", 60<<10)
		var header, trailer metadata.MD
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-big", big)
		_, err := invoke(ctx, cc, []byte("a"), grpc.Header(&header), grpc.Trailer(&trailer))
		if err != nil || strings.Join(header.Get("x-big"), "") != big || strings.Join(trailer.Get("x-big-too"), "") != big {
			t.Fatalf("%v: %d and %d octets", err, len(header.Get("x-big")), len(trailer.Get("x-big-too")))
		}
	}
}

func TestGRPCBidi(t *testing.T) {
	_, _, addr := grpcProxy(t, startGRPC(t, newGRPCService()))
	cc := dialGRPC(t, addr)
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			s := openGRPC(t.Context(), t, cc, "Chat")
			for j := range 200 {
				want := fmt.Sprint(i, " ", j)
				if err := s.SendMsg(&message{Value: []byte(want)}); err != nil {
					t.Errorf("send: %v", err)
					return
				}
				got := new(message)
				if err := s.RecvMsg(got); err != nil || string(got.Value) != want {
					t.Errorf("%s came back as %s: %v", want, got.Value, err)
					return
				}
			}
			if err := s.CloseSend(); err != nil {
				t.Errorf("close: %v", err)
			}
			if err := s.RecvMsg(new(message)); !errors.Is(err, io.EOF) {
				t.Errorf("end: %v", err)
			}
		})
	}
	wg.Wait()
}

// TestGRPCManyMessages reads 20,000 messages of a stream and sends as many on another.
func TestGRPCManyMessages(t *testing.T) {
	_, _, addr := grpcProxy(t, startGRPC(t, newGRPCService()))
	cc := dialGRPC(t, addr)
	s := openGRPC(t.Context(), t, cc, "Count")
	if err := s.SendMsg(&message{Value: []byte("0123456789")}); err != nil {
		t.Fatal(err)
	}
	_ = s.CloseSend()
	for i := range countMessages {
		got := new(message)
		if err := s.RecvMsg(got); err != nil || got.Value[0] != byte(i) {
			t.Fatalf("message %d: %v, %v", i, got.Value, err)
		}
	}
	if err := s.RecvMsg(new(message)); !errors.Is(err, io.EOF) {
		t.Errorf("end: %v", err)
	}
	chat := openGRPC(t.Context(), t, cc, "Chat")
	go func() {
		for i := range countMessages {
			if err := chat.SendMsg(&message{Value: []byte{byte(i)}}); err != nil {
				t.Errorf("send: %v", err)
				return
			}
		}
		_ = chat.CloseSend()
	}()
	for i := range countMessages {
		got := new(message)
		if err := chat.RecvMsg(got); err != nil || got.Value[0] != byte(i) {
			t.Fatalf("message %d: %v, %v", i, got.Value, err)
		}
	}
}

// TestGRPCSlowReader shows that one stream whose messages nobody reads does not stop the others of its connection.
func TestGRPCSlowReader(t *testing.T) {
	c, _, addr := grpcProxy(t, startGRPC(t, newGRPCService()))
	cc := dialGRPC(t, addr)
	var slow []grpc.ClientStream
	for range 4 {
		s := openGRPC(t.Context(), t, cc, "Count")
		if err := s.SendMsg(&message{Value: make([]byte, 200<<10)}); err != nil {
			t.Fatal(err)
		}
		_ = s.CloseSend()
		slow = append(slow, s)
	}
	time.Sleep(100 * time.Millisecond) // let them fill every window on the way
	for i := range 200 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if _, err := invoke(ctx, cc, []byte("quick")); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
		cancel()
	}
	for _, s := range slow {
		for i := range 20 {
			got := new(message)
			if err := s.RecvMsg(got); err != nil || got.Value[0] != byte(i) || len(got.Value) != 200<<10 {
				t.Fatalf("message %d: %d octets, %v", i, len(got.Value), err)
			}
		}
	}
	held := int64(0)
	for _, conn := range append(c.pool.conns, c.pool.leaving...) {
		conn.mu.Lock()
		held += conn.buffered
		conn.mu.Unlock()
	}
	if limit := int64(len(slow)) * 2 * int64(c.cfg.StreamWindow); held > limit {
		t.Errorf("%d octets of bodies are held, more than %d", held, limit)
	}
}

// TestGRPCCancel shows that a cancelled call ends at the other end at once, and leaves nothing behind.
func TestGRPCCancel(t *testing.T) {
	g := newGRPCService()
	c, s, addr := grpcProxy(t, startGRPC(t, g))
	cc := dialGRPC(t, addr)
	begun := time.Now()
	for i := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		if i%2 == 0 {
			go func() { _, err := invoke(ctx, cc, []byte("hang")); done <- err }()
		} else {
			chat := openGRPC(ctx, t, cc, "Chat")
			if err := chat.SendMsg(&message{Value: []byte("begin")}); err != nil {
				t.Fatal(err)
			}
			go func() {
				for {
					if err := chat.RecvMsg(new(message)); err != nil {
						done <- err
						return
					}
				}
			}()
		}
		await(t, "call has begun", g.hanging)
		cancel()
		if err := <-done; status.Code(err) != codes.Canceled {
			t.Errorf("%v", err)
		}
		await(t, "call was cancelled", g.cancelled)
	}
	if d := time.Since(begun); d > 5*time.Second {
		t.Errorf("cancelling took %v", d)
	}
	eventually(t, "nothing is under way", func() bool { return c.Stats().Streams == 0 && s.Stats().InFlight == 0 })
}

// TestGRPCDeadline passes a deadline that only the client's end knows of.
func TestGRPCDeadline(t *testing.T) {
	g := newGRPCService()
	_, _, addr := grpcProxy(t, startGRPC(t, g))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := invoke(ctx, dialGRPC(t, addr), []byte("hang")); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("%v", err)
	}
	await(t, "call was cancelled", g.cancelled)
}

// TestGRPCFewStreams shows that the instance's limit of concurrent streams is honoured with more connections.
func TestGRPCFewStreams(t *testing.T) {
	g := newGRPCService()
	c, _, addr := grpcProxy(t, startGRPC(t, g, grpc.MaxConcurrentStreams(10)))
	cc := dialGRPC(t, addr)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 35 {
		wg.Go(func() { _, _ = invoke(ctx, cc, []byte("hang")) })
	}
	for range 35 {
		await(t, "call has begun", g.hanging)
	}
	if n := c.Stats(); n.Open != 4 || n.Streams != 35 {
		t.Errorf("%+v", n)
	}
	cancel()
	wg.Wait()
}
