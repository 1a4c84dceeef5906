package zookeeper

import (
	"time"

	"github.com/sluice-gateway/sluice/registry/dubbo"
)

// How long a push waits for metadata that is being learned: longer the first time, because an empty answer would say that
// there is nobody, and shorter later, when news of others would be held up.
const (
	firstPatience = fetchTimeout + time.Second
	patience      = 500 * time.Millisecond
)

// exports is what a revision exports, or why that is not known.
type exports struct {
	services []dubbo.Exported
	err      error
}

// learn finds out what the Dubbo applications among nodes export. Revisions that are not known within the time given are
// in the answer with an error; their followers are woken when they are.
func (z *zooKeeper) learn(v *view, nodes []registered, wait time.Duration) (map[revision]exports, error) {
	candidates := make(map[revision][]dubbo.Source)
	for _, r := range nodes {
		if r.node == nil || !r.node.exports() {
			continue
		}
		rev := r.revision()
		known, at := candidates[rev], r.node.dubbo.Source
		if at.Address != "" && len(known) < candidatesKept {
			known = append(known, at)
		}
		candidates[rev] = known
	}
	infos := make(map[revision]*info, len(candidates))
	var pending []<-chan struct{}
	for rev, c := range candidates {
		i, tried := z.metadata.want(v.follower, rev, c)
		infos[rev] = i
		pending = append(pending, tried)
	}
	if err := v.await(pending, wait); err != nil {
		return nil, err
	}
	all := make(map[revision]exports, len(infos))
	for rev, i := range infos {
		services, known, err := z.metadata.state(i)
		if !known && err == nil {
			err = errNotYet
		}
		all[rev] = exports{services, err}
	}
	return all, nil
}

// await waits until all channels are closed, or some time has passed.
func (v *view) await(channels []<-chan struct{}, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for _, c := range channels {
		select {
		case <-c:
			continue
		default:
		}
		select {
		case <-c:
		case <-timer.C:
			return nil
		case <-v.ctx.Done():
			return v.ctx.Err()
		}
	}
	return nil
}

// exports reports whether the instance is a Dubbo application's that exports anything.
func (n *instanceNode) exports() bool { return n.dubbo != nil && n.dubbo.Revision != dubbo.NoRevision }

// revision is what this instance runs.
func (r *registered) revision() revision {
	rev := revision{app: r.app, id: r.node.dubbo.Revision}
	if rev.id == "" {
		rev.since = r.node.dubbo.since
	}
	return rev
}
