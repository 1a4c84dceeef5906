package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/sluice-gateway/sluice/registry"
)

// errExpired says that our lease is gone, with everything that hung on it.
var errExpired = errors.New("the lease has expired")

// Register implements registry.Registrar: one key below prefix, in our own JSON, on a lease that is kept alive.
func (c *client) Register(ctx context.Context, r registry.Registration, report func(error)) error {
	key, body, err := c.announcement(r)
	if err != nil {
		return fmt.Errorf("register %s: %w", clip(r.Service.String()), err)
	}
	a := &announcement{key: []byte(key), body: body, ttl: c.config.LeaseTTL}
	var last *session
	for delay := firstDelay; ; {
		s, changed := c.current(ctx)
		if s == nil {
			break
		}
		last = s
		err := a.refresh(ctx, s)
		wait := a.ttl / 3
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, errExpired): // at once, with a new one
			continue
		case err != nil:
			report(fmt.Errorf("register %s: %w", key, err))
			wait, delay = delay, min(2*delay, lastDelay)
		default:
			delay = firstDelay
			if !a.told {
				a.told = true
				report(nil)
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			break
		}
	}
	c.withdraw(context.WithoutCancel(ctx), a, last)
	return nil //nolint:nilerr // that ctx has ended is the caller's wish
}

// announcement is the key that says where we are.
type announcement struct {
	key, body []byte
	ttl       time.Duration
	lease     int64
	told      bool // that it stands
}

func (c *client) announcement(r registry.Registration) (key string, body []byte, err error) {
	if err := checkName(r.Service.Name); err != nil {
		return "", nil, err
	}
	if err := checkName(r.ID); err != nil {
		return "", nil, fmt.Errorf("id: %w", err)
	}
	if err := r.Instance.Validate(); err != nil {
		return "", nil, err
	}
	i := r.Instance
	body, err = json.Marshal(struct {
		Address  string            `json:"address"`
		Weight   float64           `json:"weight"`
		Protocol string            `json:"protocol,omitempty"`
		Zone     string            `json:"zone,omitempty"`
		Metadata map[string]string `json:"metadata,omitempty"`
	}{i.Address(), i.Weight, i.Protocol, i.Zone, i.Metadata})
	return base(c.config.Prefix) + r.Service.Name + "/" + r.ID, body, err
}

// refresh keeps the lease and makes sure that the key hangs on it. A key that somebody removed, or a store that was wiped,
// is written again.
func (a *announcement) refresh(ctx context.Context, s *session) error {
	if a.lease == 0 {
		answer, err := call(ctx, s.conn, "get a lease", s.conn.lease.LeaseGrant, &pb.LeaseGrantRequest{TTL: int64(a.ttl.Seconds())})
		if err != nil {
			return err
		}
		a.lease, a.told = answer.GetID(), false
	} else if err := a.keep(ctx, s); err != nil {
		if errors.Is(err, errExpired) {
			a.lease = 0
		}
		return err
	}
	put := &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: a.key, Value: a.body, Lease: a.lease}}
	ours := &pb.Compare{
		Key: a.key, Target: pb.Compare_LEASE, Result: pb.Compare_EQUAL, TargetUnion: &pb.Compare_Lease{Lease: a.lease},
	}
	answer, err := call(ctx, s.conn, "register", s.conn.kv.Txn, &pb.TxnRequest{
		Compare: []*pb.Compare{ours}, Failure: []*pb.RequestOp{{Request: put}},
	})
	if says(err, "requested lease not found") {
		a.lease = 0
		return errExpired
	}
	if err == nil && !answer.GetSucceeded() {
		a.told = false
	}
	return err
}

// keep renews the lease.
func (a *announcement) keep(ctx context.Context, s *session) error {
	ctx, cancel := context.WithTimeout(ctx, s.conn.timeout)
	defer cancel()
	stream, err := s.conn.lease.LeaseKeepAlive(s.conn.signed(ctx))
	if err != nil {
		return s.conn.explain("keep the lease", err)
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: a.lease}); err != nil {
		return s.conn.explain("keep the lease", err)
	}
	answer, err := stream.Recv()
	if err != nil {
		return s.conn.explain("keep the lease", err)
	}
	if answer.GetTTL() <= 0 {
		return errExpired
	}
	return nil
}

// withdraw takes the key away with its lease. Without a session there is nobody to tell: the lease runs out by itself.
func (c *client) withdraw(ctx context.Context, a *announcement, s *session) {
	if s == nil || a.lease == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, registry.WithdrawTimeout)
	defer cancel()
	if _, err := call(ctx, s.conn, "withdraw the registration", s.conn.lease.LeaseRevoke, &pb.LeaseRevokeRequest{ID: a.lease}); err != nil {
		c.opts.Logger.Warn("registration was not withdrawn", "key", string(a.key), "error", err)
	}
}
