package etcd

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"

	"github.com/sluice-gateway/sluice/registry"
)

// script is a server that says what no healthy etcd says, or says seldom.
type script struct {
	pb.UnimplementedKVServer
	pb.UnimplementedWatchServer
	t    testing.TB
	addr string

	mu       sync.Mutex
	revision int64
	kvs      map[string]string
	reads    int // of whole ranges
	// watch answers one request of a stream.
	watch func(s pb.Watch_WatchServer, q *pb.WatchRequest) error
}

func startScript(t testing.TB) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, addr: l.Addr().String(), revision: 10, kvs: map[string]string{}, watch: agree}
	g := grpc.NewServer()
	pb.RegisterKVServer(g, s)
	pb.RegisterWatchServer(g, s)
	var done sync.WaitGroup
	done.Go(func() { _ = g.Serve(l) })
	t.Cleanup(func() { g.Stop(); done.Wait() })
	return s
}

func (s *script) Range(_ context.Context, q *pb.RangeRequest) (*pb.RangeResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: s.revision}}
	if len(q.GetRangeEnd()) == 0 {
		return a, nil // a sign of life
	}
	s.reads++
	for k, v := range s.kvs {
		if k >= string(q.GetKey()) && k < string(q.GetRangeEnd()) {
			a.Kvs = append(a.Kvs, &mvccpb.KeyValue{Key: []byte(k), Value: []byte(v)})
		}
	}
	return a, nil
}

func (s *script) set(key, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	s.kvs[key] = value
}

func (s *script) Watch(stream pb.Watch_WatchServer) error {
	for {
		q, err := stream.Recv()
		if err != nil {
			return err
		}
		s.mu.Lock()
		watch := s.watch
		s.mu.Unlock()
		if err := watch(stream, q); err != nil {
			return err
		}
	}
}

func (s *script) watchBy(watch func(pb.Watch_WatchServer, *pb.WatchRequest) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = watch
}

// agree takes every watch, and says nothing more.
func agree(stream pb.Watch_WatchServer, q *pb.WatchRequest) error {
	if c := q.GetCreateRequest(); c != nil {
		return stream.Send(&pb.WatchResponse{Header: &pb.ResponseHeader{Revision: 10}, WatchId: c.GetWatchId(), Created: true})
	}
	return nil
}

// TestCompacted: when the server has forgotten where we were, all is read again over the same connection.
func TestCompacted(t *testing.T) {
	s := startScript(t)
	c := section(t, s.addr)
	s.set(c.Prefix+"/orders/a", "10.0.0.1:80")
	first := true
	s.watchBy(func(stream pb.Watch_WatchServer, q *pb.WatchRequest) error {
		if q.GetProgressRequest() != nil && first {
			first = false
			s.set(c.Prefix+"/orders/b", "10.0.0.2:80")
			return stream.Send(&pb.WatchResponse{Header: &pb.ResponseHeader{Revision: 11}, WatchId: 1, Canceled: true, CompactRevision: 11})
		}
		if q.GetProgressRequest() != nil {
			return stream.Send(&pb.WatchResponse{Header: &pb.ResponseHeader{Revision: 12}, WatchId: -1})
		}
		return agree(stream, q)
	})
	r := run(t, c)
	w := r.Watch(registry.App("orders"))
	shows(t, w, "10.0.0.1:80")
	shows(t, w, "10.0.0.1:80", "10.0.0.2:80")
	if r.saw(registry.Stale) {
		t.Error("it was taken for a loss")
	}
}

// TestStill: a watch that does not move while the store does is left, though the server answers.
func TestStill(t *testing.T) {
	s := startScript(t)
	c := section(t, s.addr)
	r := run(t, c)
	w := r.Watch(registry.App("orders"))
	shows(t, w)
	s.set(c.Prefix+"/orders/a", "10.0.0.1:80") // and nobody is told
	r.AwaitError("the watch stands still at revision 10 while the store is at 11")
	shows(t, w, "10.0.0.1:80")
}

// TestWatchRefused: whatever reason the server gives is passed on.
func TestWatchRefused(t *testing.T) {
	s := startScript(t)
	s.watchBy(func(stream pb.Watch_WatchServer, q *pb.WatchRequest) error {
		return stream.Send(&pb.WatchResponse{WatchId: q.GetCreateRequest().GetWatchId(), Created: true, Canceled: true, CancelReason: "permission denied for a reason"})
	})
	r := run(t, section(t, s.addr))
	w := r.Watch(registry.App("orders"))
	r.AwaitError("watch at "+s.addr, "permission denied for a reason")
	if r.saw(registry.Live) || w.Count() > 0 {
		t.Error("it is live")
	}
}

// TestOddEvents: events of keys and watches that are not ours, without a key, in fragments.
func TestOddEvents(t *testing.T) {
	s := startScript(t)
	c := section(t, s.addr)
	put := func(key, value string) *mvccpb.Event {
		return &mvccpb.Event{Kv: &mvccpb.KeyValue{Key: []byte(key), Value: []byte(value)}}
	}
	s.watchBy(func(stream pb.Watch_WatchServer, q *pb.WatchRequest) error {
		if err := agree(stream, q); err != nil || q.GetCreateRequest().GetWatchId() != 1 {
			return err
		}
		for _, a := range []*pb.WatchResponse{
			{WatchId: 77, Events: []*mvccpb.Event{put(c.Prefix+"/orders/x", "10.6.6.6:80")}},
			{WatchId: -1},
			{WatchId: 1, Events: []*mvccpb.Event{{}, put("/a", "10.6.6.6:80"), {Type: mvccpb.Event_DELETE, Kv: &mvccpb.KeyValue{Key: []byte(c.Prefix + "/orders/never")}}}},
			{WatchId: 1, Fragment: true, Events: []*mvccpb.Event{put(c.Prefix+"/orders/a", "10.0.0.1:80")}},
			{WatchId: 1, Events: []*mvccpb.Event{put(c.Prefix+"/orders/b", "10.0.0.2:80")}},
		} {
			if err := stream.Send(a); err != nil {
				return err
			}
		}
		return nil
	})
	w := run(t, c).Watch(registry.App("orders"))
	shows(t, w, "10.0.0.1:80", "10.0.0.2:80")
	for _, s := range w.All() {
		if len(s.Instances) == 1 {
			t.Errorf("half a transaction was pushed: %+v", s)
		}
	}
}

// TestNoEtcd: something else that speaks HTTP answers there.
func TestNoEtcd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); done.Wait() })
	r := run(t, section(t, l.Addr().String()))
	r.AwaitError("no etcd without TLS answers there", strings.TrimSpace(l.Addr().String()))
}
