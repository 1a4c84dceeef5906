package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// pageSize is how many keys are asked for at once.
	pageSize = 5000
	// retryRefused is how often a range that may not be read is tried again.
	retryRefused = 30 * time.Second
)

var (
	// errReload ends a watch whose position the server has forgotten, or that must begin with other ranges.
	errReload = errors.New("read everything again")
	// errStill is the end of a session whose watch has stopped moving though the server answers.
	errStill = errors.New("the watch stands still")
)

// session is the use of one connection, from the first reading to its loss.
type session struct {
	client *client
	conn   *conn
	// seen is the newest revision of which the watch has spoken.
	seen atomic.Int64
}

// run reads and follows until the connection is lost; it always returns an error.
func (s *session) run(ctx context.Context) error {
	for {
		next, revision, err := s.load(ctx)
		if err == nil {
			err = s.watch(ctx, next, revision)
		}
		if !errors.Is(err, errReload) {
			return s.diagnose(ctx, err)
		}
	}
}

// diagnose tells a server that is silent from one that only has nobody to ask: a member without a leader still answers from
// what it has.
func (s *session) diagnose(ctx context.Context, err error) error {
	if status.Code(err) != codes.DeadlineExceeded || ctx.Err() != nil {
		return err
	}
	key, _ := s.client.roots[0].bounds()
	q := &pb.RangeRequest{Key: key, KeysOnly: true, Serializable: true}
	if _, silent := call(ctx, s.conn, "read", s.conn.kv.Range, q); silent == nil || says(silent, "permission denied") {
		return fmt.Errorf("%w: this member of the cluster is alive, but has no leader", err)
	}
	return err
}

// load reads all ranges at one revision. A range that may not be read is left out, unless that is all of them.
func (s *session) load(ctx context.Context) (next *state, revision int64, err error) {
	next = newState()
	for _, r := range s.client.roots {
		revision, err = s.loadRoot(ctx, next, r, revision)
		switch {
		case says(err, "permission denied"):
			next.refused[r.field] = fmt.Errorf("%s: %w; if it is not needed, turn it off with %s: \"\"", r.field, err, r.field)
		case says(err, "compacted"): // between two pages
			return nil, 0, errReload
		case err != nil:
			return nil, 0, err
		}
	}
	if len(next.refused) == len(s.client.roots) {
		return nil, 0, next.refused[s.client.roots[0].field]
	}
	return next, revision, nil
}

// loadRoot reads one range page by page. Of Dubbo's only the keys: they say it all but for what is asked for when needed.
func (s *session) loadRoot(ctx context.Context, next *state, r root, revision int64) (int64, error) {
	from, to := r.bounds()
	limit := int64(pageSize)
	for {
		page, err := call(ctx, s.conn, "read "+r.base, s.conn.kv.Range,
			&pb.RangeRequest{Key: from, RangeEnd: to, Limit: limit, Revision: revision, KeysOnly: r.dubbo})
		if status.Code(err) == codes.ResourceExhausted && limit > 1 {
			limit = max(1, limit/8)
			continue
		}
		if err != nil {
			return revision, err
		}
		if revision == 0 {
			revision = page.GetHeader().GetRevision()
		}
		kvs := page.GetKvs()
		for _, kv := range kvs {
			next.put(r, string(kv.GetKey()[len(r.base):]), kv.GetValue())
		}
		if !page.GetMore() || len(kvs) == 0 {
			return revision, nil
		}
		from = append(kvs[len(kvs)-1].GetKey(), 0)
	}
}

// get reads one key; nil if there is none.
func (s *session) get(ctx context.Context, key string) ([]byte, error) {
	answer, err := call(ctx, s.conn, "read "+key, s.conn.kv.Range, &pb.RangeRequest{Key: []byte(key)})
	if err != nil || len(answer.GetKvs()) == 0 {
		return nil, err
	}
	return answer.GetKvs()[0].GetValue(), nil
}

// bounds are the first key of a root and the first one behind it, as the protocol wants them.
func (r *root) bounds() (from, to []byte) {
	if r.base == "" {
		return []byte{0}, []byte{0}
	}
	to = []byte(r.base)
	to[len(to)-1]++ // it is a slash
	return []byte(r.base), to
}
