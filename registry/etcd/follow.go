package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// stream is the watch of all ranges, which one goroutine reads and several write to.
type stream struct {
	pb.Watch_WatchClient
	mu sync.Mutex
}

func (w *stream) send(r *pb.WatchRequest) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Send(r)
}

// watch follows all ranges from the revision behind the one that was read. Once the server has taken all watches, next is
// what the registry knows, and we are live.
func (s *session) watch(ctx context.Context, next *state, revision int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel(nil)

	// A member that has lost its leader ends the stream, instead of being silent on it.
	opened, err := pb.NewWatchClient(s.conn.cc).Watch(s.conn.signed(metadata.AppendToOutgoingContext(ctx, "hasleader", "true")))
	if err != nil {
		return s.conn.explain("watch", err)
	}
	w := &stream{Watch_WatchClient: opened}
	s.seen.Store(revision)
	waiting := 0
	for i, r := range s.client.roots {
		if next.refused[r.field] != nil {
			continue
		}
		from, to := r.bounds()
		create := &pb.WatchCreateRequest{
			WatchId: int64(i) + 1, Key: from, RangeEnd: to, StartRevision: revision + 1, ProgressNotify: true, Fragment: true,
		}
		if err := w.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}}); err != nil {
			return s.ended(ctx, w, err)
		}
		waiting++
	}
	// From here on signs of life are asked for: a server may also die before it takes the watches.
	tasks.Go(func() { cancel(s.keepAlive(ctx, w, next)) })
	for {
		answer, err := w.Recv()
		if err != nil {
			return s.ended(ctx, w, err)
		}
		if err := s.refused(answer); err != nil {
			return err
		}
		if answer.GetCreated() {
			if waiting--; waiting == 0 {
				s.client.live(s, next)
				tasks.Go(func() { s.teach(ctx) })
			}
		}
		if id := answer.GetWatchId(); id >= 1 && int(id) <= len(s.client.roots) {
			s.client.index.apply(next, s.client.roots[id-1], answer.GetEvents(), !answer.GetFragment())
		}
		if !answer.GetFragment() {
			s.seen.Store(max(s.seen.Load(), answer.GetHeader().GetRevision()))
		}
	}
}

// ended says why a stream is over: the cause with which we ended it, or what the server said.
func (s *session) ended(ctx context.Context, w *stream, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, io.EOF) { // of Send, which knows no more
		if _, told := w.Recv(); told != nil {
			err = told
		}
	}
	return s.conn.explain("watch", err)
}

// refused tells a watch that the server has ended.
func (s *session) refused(answer *pb.WatchResponse) error {
	switch {
	case answer.GetCompactRevision() != 0:
		return errReload
	case answer.GetCanceled():
		return s.conn.explain("watch", status.Error(codes.Aborted, answer.GetCancelReason()))
	}
	return nil
}

// apply takes the events of one answer into st. Those of one transaction may come in several; nobody is woken before the
// last one.
func (x *index) apply(st *state, r root, events []*mvccpb.Event, last bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range events {
		key := e.GetKv().GetKey()
		if len(key) < len(r.base) {
			continue
		}
		rel := string(key[len(r.base):])
		if e.GetType() == mvccpb.Event_DELETE {
			st.remove(r, rel)
		} else {
			st.put(r, rel, e.GetKv().GetValue())
		}
	}
	if last && x.now == st {
		x.wake(st.takeChanges())
	}
}

// keepAlive asks for signs of life and returns why the session must end: a server that gives none, a login that is not
// taken any more, a watch that does not move while the store does.
func (s *session) keepAlive(ctx context.Context, w *stream, st *state) error {
	tick := time.NewTicker(s.client.config.Timeouts.KeepAlive)
	defer tick.Stop()
	probe, again := s.client.roots[0], time.Now().Add(retryRefused)
	for _, r := range s.client.roots {
		if st.refused[r.field] == nil {
			probe = r
			break
		}
	}
	var before int64
	behind := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		revision, err := s.ping(ctx, probe)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		// The server was asked for the watch's progress at the last tick, when the store had come to before.
		if s.seen.Load() >= before {
			behind = 0
		} else if behind++; behind == 3 {
			return fmt.Errorf("%s: %w at revision %d while the store is at %d", s.conn.address, errStill, s.seen.Load(), revision)
		}
		before = revision
		progress := &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}
		if err := w.send(&pb.WatchRequest{RequestUnion: progress}); err != nil {
			return s.ended(ctx, w, err)
		}
		if len(st.refused) > 0 && time.Now().After(again) {
			again = time.Now().Add(retryRefused)
			if s.granted(ctx, st) {
				return errReload
			}
		}
	}
}

// ping asks for one key, which only a member with a leader and a login that is good answers. A server that is busy is not a
// dead one: it is asked twice.
func (s *session) ping(ctx context.Context, r root) (revision int64, err error) {
	key, _ := r.bounds()
	for range 2 {
		var answer *pb.RangeResponse
		answer, err = call(ctx, s.conn, "ask for a sign of life", s.conn.kv.Range, &pb.RangeRequest{Key: key, KeysOnly: true})
		if err == nil {
			return answer.GetHeader().GetRevision(), nil
		}
		if status.Code(err) != codes.DeadlineExceeded {
			break
		}
	}
	return 0, err
}

// granted reports whether a range that was refused may be read now.
func (s *session) granted(ctx context.Context, st *state) bool {
	for _, r := range s.client.roots {
		if st.refused[r.field] == nil {
			continue
		}
		from, to := r.bounds()
		q := &pb.RangeRequest{Key: from, RangeEnd: to, Limit: 1, KeysOnly: true}
		if _, err := call(ctx, s.conn, "read "+r.base, s.conn.kv.Range, q); err == nil {
			return true
		}
	}
	return false
}
