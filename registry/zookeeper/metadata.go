package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

const (
	// fetchTimeout bounds one question to one instance.
	fetchTimeout = 3 * time.Second
	// fetchers bounds the questions under way.
	fetchers = 16
	// candidatesTried bounds the instances asked in one attempt.
	candidatesTried = 3
	// keepIdle is how long a revision that nobody needs is remembered.
	keepIdle = 10 * time.Minute
)

// How long to wait between attempts to learn a revision.
const (
	firstAttempt = 100 * time.Millisecond
	lastAttempt  = 30 * time.Second
)

// errNoSource says that a revision's metadata is nowhere to be had.
var errNoSource = errors.New("not in the metadata centre, and no instance says where to ask")

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
	services []exported
	known    bool
	err      error         // why it is not known
	tried    chan struct{} // closed when the first attempt since it was wanted is over
	running  bool
	kick     chan struct{} // holds at most one token: there is a new candidate
	asked    []candidate   // in the order in which they came
	users    map[*follower]struct{}
	idle     time.Time
}

// candidate is an instance's MetadataService.
type candidate struct{ protocol, address string }

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
func (m *metadataStore) want(f *follower, rev revision, candidates []candidate) (*info, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.infos[rev]
	if i == nil {
		m.forgetIdle()
		i = &info{rev: rev, tried: make(chan struct{}), kick: make(chan struct{}, 1), users: make(map[*follower]struct{})}
		m.infos[rev] = i
	}
	i.users[f] = struct{}{}
	f.wanted[rev] = i
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
func (i *info) offer(candidates []candidate) {
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
		if len(kept) >= 4*candidatesTried {
			break
		}
	}
	i.asked = kept
	if fresh && i.running {
		select {
		case i.kick <- struct{}{}:
		default:
		}
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
func (m *metadataStore) state(i *info) (services []exported, known bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return i.services, i.known, i.err
}

// learn tries until the revision is known, or nobody wants it any more.
func (m *metadataStore) learn(ctx context.Context, i *info) {
	delay := firstAttempt
	for first := true; ; first = false {
		services, err := m.attempt(ctx, i)
		if m.conclude(i, services, err, first, ctx.Err() != nil) {
			return
		}
		m.complain(fmt.Errorf("metadata of %s, revision %s: %w", i.rev.app, clip(i.rev.id), err))
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-i.kick:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
		}
		delay = min(2*delay, lastAttempt)
	}
}

// conclude takes an attempt's result and reports whether it was the last one.
func (m *metadataStore) conclude(i *info, services []exported, err error, first, stopping bool) (done bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i.services, i.known, i.err = services, err == nil, err
	if first {
		close(i.tried)
	}
	if err == nil || first {
		for f := range i.users {
			f.poke()
		}
	}
	i.running = err != nil && len(i.users) > 0 && !stopping
	return !i.running
}

func (m *metadataStore) attempt(ctx context.Context, i *info) ([]exported, error) {
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	services, err := m.centre(ctx, i.rev)
	if services != nil {
		return services, nil
	}
	m.mu.Lock()
	candidates := slices.Clone(i.asked)
	m.mu.Unlock()
	if len(candidates) == 0 || m.fetcher == nil {
		if err == nil {
			err = errNoSource
		}
		return nil, err
	}
	for _, c := range candidates[:min(len(candidates), candidatesTried)] {
		if services, err = m.ask(ctx, i.rev, c); err == nil {
			return services, nil
		}
		m.mu.Lock()
		if at := slices.Index(i.asked, c); at >= 0 { // to the end: the next attempt asks others first
			i.asked = append(slices.Delete(i.asked, at, at+1), c)
		}
		m.mu.Unlock()
	}
	return nil, err
}

func (m *metadataStore) ask(ctx context.Context, rev revision, c candidate) ([]exported, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	data, err := m.fetcher.FetchMetadata(ctx, c.protocol, c.address, rev.app, rev.id)
	if err != nil {
		return nil, fmt.Errorf("ask %s://%s: %w", c.protocol, c.address, err)
	}
	services, err := parseMetadataInfo(data)
	if err != nil {
		return nil, fmt.Errorf("ask %s://%s: %w", c.protocol, c.address, err)
	}
	return services, nil
}

// centre looks where Java's and dubbo-go's providers store a revision; nil if it is in neither place.
func (m *metadataStore) centre(ctx context.Context, rev revision) ([]exported, error) {
	data, err := task(ctx, m.tree, func(s *session) ([]byte, error) { return m.stored(s, rev) })
	if err != nil {
		return nil, fmt.Errorf("read the metadata centre: %w", err)
	}
	if len(data) == 0 {
		return nil, nil
	}
	services, err := parseMetadataInfo(data)
	if err != nil {
		return nil, fmt.Errorf("read the metadata centre: %w", err)
	}
	return services, nil
}

func (m *metadataStore) stored(s *session, rev revision) ([]byte, error) {
	java := m.root + "/metadata/" + rev.app
	if rev.id == "" {
		return s.newest(java, rev.since)
	}
	if err := checkPart(rev.id); err != nil {
		return nil, fmt.Errorf("revision: %w", err)
	}
	data, err := s.peek(java + "/" + rev.id)
	if err != nil || len(data) > 0 {
		return data, err
	}
	return s.peek(m.root + "/" + rev.app + "/" + rev.id)
}

// task runs a function of the session that requests something, as a task of the session: the library's requests cannot be
// cancelled.
func task[T any](ctx context.Context, t *tree, ask func(*session) (T, error)) (answer T, err error) {
	s, _ := t.current()
	if s == nil {
		return answer, errLost
	}
	type result struct {
		answer T
		err    error
	}
	results := make(chan result, 1)
	if !s.run(func() {
		answer, err := ask(s)
		results <- result{answer, err}
	}) {
		return answer, errLost
	}
	select {
	case r := <-results:
		return r.answer, r.err
	case <-ctx.Done():
		return answer, ctx.Err()
	}
}
