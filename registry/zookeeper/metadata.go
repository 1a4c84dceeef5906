package zookeeper

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/dubbo"
)

const (
	// fetchTimeout bounds one question to one instance.
	fetchTimeout = 3 * time.Second
	// fetchers bounds the questions under way.
	fetchers = 16
	// candidatesTried bounds the instances asked in one attempt.
	candidatesTried = 3
	// candidatesKept bounds the instances remembered for a revision.
	candidatesKept = 64
	// keepIdle is how long a revision that nobody needs is remembered.
	keepIdle = 10 * time.Minute
)

// errNotYet says that a revision's metadata is still being asked for.
var errNotYet = errors.New("not known yet")

// revision names one state of what an application exports. Its MetadataInfo never changes.
type revision struct {
	app, id string
	// since is when the instance registered, for those of Dubbo 2.7, which do not say their revision.
	since string
}

// metadataStore learns what revisions export, each once, for all followers: from the metadata centre, or from an
// instance of that revision.
type metadataStore struct {
	root     string
	tree     *tree
	fetcher  registry.MetadataFetcher // may be nil
	complain func(error)
	slots    chan struct{}

	mu    sync.Mutex
	run   context.Context //nolint:containedctx // of Run, which ends the attempts; nil outside it
	tasks sync.WaitGroup
	infos map[revision]*info
}

// info is what is known of one revision; its fields belong to the store's mutex.
type info struct {
	rev      revision
	services []dubbo.Exported
	known    bool
	err      error         // why it is not known
	tried    chan struct{} // closed when the first attempt since it was wanted is over
	running  bool
	kick     bell           // there is a new candidate
	asked    []dubbo.Source // in the order in which they came
	users    map[*follower]struct{}
	idle     time.Time
}

func newMetadataStore(root string, t *tree, fetcher registry.MetadataFetcher, complain func(error)) *metadataStore {
	return &metadataStore{
		root: root, tree: t, fetcher: fetcher, complain: complain,
		slots: make(chan struct{}, fetchers), infos: make(map[revision]*info),
	}
}

func (m *metadataStore) start(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.run = ctx
}

// stop waits for all attempts; the context of start must have ended.
func (m *metadataStore) stop() {
	m.mu.Lock()
	m.run = nil
	m.mu.Unlock()
	m.tasks.Wait()
}

// want asks for a revision on behalf of a follower, which is woken when the answer is there. Candidates are asked only
// if the metadata centre does not hold it. The channel is closed when the first attempt is over.
func (m *metadataStore) want(f *follower, rev revision, candidates []dubbo.Source) (*info, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.infos[rev]
	if i == nil {
		m.forgetIdle()
		i = &info{rev: rev, tried: make(chan struct{}), kick: newBell(), users: make(map[*follower]struct{})}
		m.infos[rev] = i
	}
	i.users[f] = struct{}{}
	f.want(rev, i)
	if i.known {
		return i, i.tried
	}
	i.offer(candidates)
	if !i.running && m.run != nil && m.run.Err() == nil {
		i.running = true
		i.tried = make(chan struct{})
		ctx := m.run
		m.tasks.Go(func() { m.learn(ctx, i) })
	}
	return i, i.tried
}

// offer replaces the candidates by those alive now, keeping the order of old ones; a new one is worth an attempt at once.
func (i *info) offer(candidates []dubbo.Source) {
	kept := i.asked[:0:0]
	for _, c := range i.asked {
		if slices.Contains(candidates, c) {
			kept = append(kept, c)
		}
	}
	fresh := false
	for _, c := range candidates {
		if !slices.Contains(kept, c) {
			kept, fresh = slices.Insert(kept, 0, c), true
		}
		if len(kept) >= candidatesKept {
			break
		}
	}
	i.asked = kept
	if fresh && i.running {
		i.kick.ring()
	}
}

// unwant ends a follower's interest in those of old that it did not ask for again.
func (m *metadataStore) unwant(f *follower, old map[revision]*info) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for rev, i := range old {
		if f.wanted[rev] == i {
			continue
		}
		delete(i.users, f)
		if len(i.users) == 0 {
			i.idle = time.Now()
		}
	}
}

func (m *metadataStore) forgetIdle() {
	for rev, i := range m.infos {
		if len(i.users) == 0 && !i.running && time.Since(i.idle) > keepIdle {
			delete(m.infos, rev)
		}
	}
}

// state returns what is known of a revision.
func (m *metadataStore) state(i *info) (services []dubbo.Exported, known bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return i.services, i.known, i.err
}
