package zookeeper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/zookeeper/wire"
)

// conflictRest is how long a registration that another session has taken is left to it before it is taken back.
const conflictRest = 5 * time.Second

var errTaken = errors.New("another session has taken its node; is this id given to two gateways?")

// announcement is one registration: an ephemeral node as Spring Cloud ZooKeeper makes it, which is made again whenever it
// is gone.
type announcement struct {
	z      *zooKeeper
	dir    string
	path   string
	data   []byte
	report func(error)

	tried bool      // there may be a node of ours
	held  uint64    // the session in which the node was seen to be ours
	taken time.Time // when it was seen to be another's since
}

// Register implements registry.Registrar in Spring Cloud ZooKeeper's layout.
func (z *zooKeeper) Register(ctx context.Context, r registry.Registration, report func(error)) error {
	a, err := z.announce(r, report)
	if err != nil {
		return fmt.Errorf("register %s: %w", r.Service, err)
	}
	trouble := func(err error) { report(fmt.Errorf("register %s: %w", r.Service, advise(err))) }
	err = z.follow(ctx, trouble, a.build)
	if a.tried {
		a.withdraw(ctx, trouble)
	}
	return err
}

func (z *zooKeeper) announce(r registry.Registration, report func(error)) (*announcement, error) {
	if r.Service.Kind != registry.Plain {
		return nil, errors.New("a gateway is no Dubbo service")
	}
	if err := checkPart(r.Service.Name); err != nil {
		return nil, fmt.Errorf("name: %w", err)
	}
	if err := checkPart(r.ID); err != nil {
		return nil, fmt.Errorf("id: %w", err)
	}
	if err := r.Instance.Validate(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(springInstance(r, time.Now()))
	if err != nil {
		return nil, err
	}
	dir := z.config.ServicesRoot + "/" + r.Service.Name
	return &announcement{z: z, dir: dir, path: dir + "/" + r.ID, data: data, report: report}, nil
}

// build makes sure that the node is there and of this session. The watch on it runs this again when it changes.
func (a *announcement) build(v *view) error {
	found, err := v.get(key{content, a.path})
	if err != nil {
		return err
	}
	s, epoch := v.tree.current()
	if s == nil || epoch != v.epoch {
		return errLost
	}
	node := found[0]
	a.tried = true
	switch {
	case node.err != nil:
		return node.err
	case !node.found:
		return a.create(v.ctx, s)
	case node.owner == s.conn.Session && bytes.Equal(node.data, a.data):
		if a.held != v.epoch {
			a.held, a.taken = v.epoch, time.Time{}
			a.report(nil)
		}
		return nil
	case a.held == v.epoch: // it was ours a moment ago
		a.held, a.taken = 0, time.Now()
		return errTaken
	case !a.taken.IsZero() && time.Since(a.taken) < conflictRest:
		return errTaken
	}
	// What an earlier session of ours left is replaced without a gap.
	return s.conn.ReplaceEphemeral(v.ctx, a.path, a.data, a.access())
}

// access lets nobody else change the node if there is a user to whom it can belong.
func (a *announcement) access() wire.Access {
	if a.z.set.digest != nil {
		return wire.Owned
	}
	return wire.Everybody
}

func (a *announcement) create(ctx context.Context, s *session) error {
	err := s.conn.CreateEphemeral(ctx, a.path, a.data, a.access())
	if !errors.Is(err, wire.ErrNoNode) {
		return err
	}
	for at := 1; at < len(a.dir); { // the folders above it, from the top
		next := strings.IndexByte(a.dir[at:], '/')
		end := len(a.dir)
		if next >= 0 {
			end = at + next
		}
		container := end == len(a.dir) && !s.old
		if err := s.conn.CreateFolder(ctx, a.dir[:end], container); err != nil && !errors.Is(err, wire.ErrNodeExists) {
			return fmt.Errorf("create %s: %w", a.dir[:end], err)
		}
		at = end + 1
	}
	return s.conn.CreateEphemeral(ctx, a.path, a.data, a.access())
}

// withdraw removes the node. If the whole registry is being ended, the end of its session does.
func (a *announcement) withdraw(ctx context.Context, trouble func(error)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), registry.WithdrawTimeout)
	defer cancel()
	wake := newBell()
	defer a.z.tree.leave(a.z.tree.join(wake.ring))
	for {
		s, _ := a.z.tree.current()
		if s != nil {
			_, stat, err := s.conn.Data(ctx, a.path, false)
			switch {
			case errors.Is(err, wire.ErrNoNode), err == nil && stat.EphemeralOwner != s.conn.Session && !a.taken.IsZero():
				return // gone, or another gateway's
			case err == nil:
				err = s.conn.Delete(ctx, a.path)
			}
			if err == nil {
				return
			}
			if !errors.Is(err, errLost) {
				trouble(fmt.Errorf("withdraw: %w", err))
				return
			}
		}
		select {
		case <-wake:
		case <-a.z.tree.ended:
			return
		case <-ctx.Done():
			trouble(errors.New("withdraw: no connection; the node goes when the session times out"))
			return
		}
	}
}

// springService is Curator's ServiceInstance with Spring Cloud's payload, field by field as its clients read it.
type springService struct {
	Name       string        `json:"name"`
	ID         string        `json:"id"`
	Address    string        `json:"address"`
	Port       int           `json:"port"`
	SSLPort    *int          `json:"sslPort"`
	Payload    springPayload `json:"payload"`
	Registered int64         `json:"registrationTimeUTC"`
	Type       string        `json:"serviceType"`
	URI        springURI     `json:"uriSpec"`
}

type springPayload struct {
	Class    string            `json:"@class"`
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Metadata map[string]string `json:"metadata"`
}

type springURI struct {
	Parts []springPart `json:"parts"`
}

type springPart struct {
	Value    string `json:"value"`
	Variable bool   `json:"variable"`
}

func springInstance(r registry.Registration, now time.Time) springService {
	i := r.Instance
	metadata := map[string]string{"instance_status": "UP"}
	if i.Disabled {
		metadata["instance_status"] = "OUT_OF_SERVICE"
	}
	if i.Weight != 1 {
		metadata["weight"] = strconv.FormatFloat(i.Weight, 'g', -1, 64)
	}
	if i.Zone != "" {
		metadata["zone"] = i.Zone
	}
	maps.Copy(metadata, i.Metadata)
	s := springService{
		Name: r.Service.Name, ID: r.ID, Address: i.Host, Port: i.Port, Registered: now.UnixMilli(), Type: "DYNAMIC",
		Payload: springPayload{
			Class: "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance",
			ID:    r.ID, Name: r.Service.Name, Metadata: metadata,
		},
		URI: springURI{Parts: []springPart{{"scheme", true}, {"://", false}, {"address", true}, {":", false}, {"port", true}}},
	}
	if i.Protocol == "https" {
		s.SSLPort = &i.Port
	}
	return s
}
