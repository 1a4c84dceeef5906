package dns

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/sluice-gateway/sluice/registry"
)

const (
	// maxQuestions bounds the questions under way.
	maxQuestions = 64
	// firstRetry is how soon a lookup that failed is tried again; the pause doubles up to MaxTTL.
	firstRetry = 500 * time.Millisecond
	// unsaid is how long an answer is good that does not say it: an empty one without the zone's SOA.
	unsaid = 5 * time.Second
	// probeEach is how often the servers are asked for a sign of life while no service is watched.
	probeEach = 10 * time.Second
)

// resolver implements registry.Registry.
type resolver struct {
	config *Config
	opts   registry.Options
	slots  chan struct{}

	started chan struct{} // closed by Run
	once    sync.Once

	mu      sync.Mutex
	state   registry.State
	logged  string
	watches map[*watch]struct{}

	file    time.Time // of resolv.conf as it was read last
	fromRes []string
}

// watch is one service; its fields belong to the resolver's mutex.
type watch struct {
	asked, failing bool
}

func newResolver(c *Config, opts registry.Options) *resolver {
	return &resolver{
		config: c, opts: opts, slots: make(chan struct{}, maxQuestions),
		started: make(chan struct{}), watches: map[*watch]struct{}{},
	}
}

// Run lets watches begin. While there are none it asks the servers for a sign of life.
func (r *resolver) Run(ctx context.Context) error {
	r.report(registry.Connecting, nil)
	r.once.Do(func() { close(r.started) })
	for ctx.Err() == nil {
		if r.idle() {
			r.probe(ctx)
		}
		timer := time.NewTimer(probeEach)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

func (r *resolver) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.watches {
		if w.asked {
			return false
		}
	}
	return true
}

// probe asks for the root's servers: whatever comes back is a sign of life.
func (r *resolver) probe(ctx context.Context) {
	servers, err := r.servers()
	var failed []error
	for _, s := range servers {
		if _, err = exchange(ctx, s, ".", dns.TypeNS, r.config.Timeout); err == nil {
			r.settle(nil)
			return
		}
		failed = append(failed, fmt.Errorf("%s: %w", s, err))
	}
	if ctx.Err() == nil {
		r.settle(errors.Join(append(failed, err)...))
	}
}

// WatchServices implements registry.Registry: DNS cannot list.
func (r *resolver) WatchServices(context.Context, func(registry.ServiceSet)) error {
	return registry.ErrNotListable
}

// Watch looks a name up, pushes what it finds, and looks again when the answer is not good any more. What has not changed is
// pushed again only after trouble.
func (r *resolver) Watch(ctx context.Context, service registry.ServiceName, push func(registry.Snapshot)) error {
	if service.Kind != registry.Plain {
		return fmt.Errorf("watch %s: DNS knows no Dubbo services", clip(service.String()))
	}
	t, err := r.config.parseTarget(service.Name)
	if err != nil {
		return fmt.Errorf("watch %s: %w", clip(service.String()), err)
	}
	select {
	case <-r.started:
	case <-ctx.Done():
		return nil
	}
	w := &watch{}
	r.mu.Lock()
	r.watches[w] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.watches, w)
		r.mu.Unlock()
	}()

	var last registry.Snapshot
	pushed, retry := false, firstRetry
	for ctx.Err() == nil {
		s, ttl, err := r.lookup(ctx, service, t)
		if ctx.Err() != nil {
			break
		}
		failed := r.concluded(w, err)
		wait := min(retry, r.config.MaxTTL)
		if err != nil {
			retry = min(2*retry, r.config.MaxTTL)
		} else {
			retry = firstRetry
			if !pushed || failed || !reflect.DeepEqual(s, last) {
				pushed, last = true, s
				push(clone(s))
			}
			if ttl < 0 {
				ttl = unsaid
			}
			wait = min(max(ttl, r.config.MinTTL), r.config.MaxTTL)
		}
		timer := time.NewTimer(wait + rand.N(wait/20+1)) // not all at once
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// clone is a snapshot that the receiver may keep while we compare with ours.
func clone(s registry.Snapshot) registry.Snapshot {
	s.Instances, s.Skipped = slices.Clone(s.Instances), slices.Clone(s.Skipped)
	return s
}

// concluded notes how a lookup went, and reports whether the one before had failed.
func (r *resolver) concluded(w *watch, err error) (before bool) {
	r.mu.Lock()
	before = w.failing
	w.asked, w.failing = true, err != nil
	state, all, none := r.state, true, true
	for other := range r.watches {
		all = all && (other.failing || !other.asked)
		none = none && !other.failing
	}
	r.mu.Unlock()
	switch {
	case err == nil && (state != registry.Live || (before && none)):
		r.settle(nil)
	case err != nil && all: // there is nothing that works
		r.settle(err)
	case err != nil:
		r.report(state, err)
	}
	return before
}

// settle makes the servers those that answer, or do not.
func (r *resolver) settle(err error) {
	r.mu.Lock()
	state := r.state
	r.mu.Unlock()
	switch {
	case err == nil:
		state = registry.Live
	case state == registry.Live:
		state = registry.Stale
	}
	r.report(state, err)
}

func (r *resolver) report(state registry.State, err error) {
	line := ""
	if err != nil {
		line = err.Error()
	}
	r.mu.Lock()
	changed := state != r.state || line != r.logged
	r.state, r.logged = state, line
	r.mu.Unlock()
	if err != nil && changed {
		r.opts.Logger.Warn("trouble with DNS", "state", state.String(), "error", err)
	}
	r.opts.Report(state, err)
}

// servers are those to ask now.
func (r *resolver) servers() ([]string, error) {
	if len(r.config.Servers) > 0 {
		all := make([]string, len(r.config.Servers))
		for i, s := range r.config.Servers {
			all[i], _ = withPort(s) // validated
		}
		return all, nil
	}
	info, err := os.Stat(r.config.ResolvConf)
	if err != nil {
		return nil, fmt.Errorf("resolvConf: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if info.ModTime().Equal(r.file) {
		return r.fromRes, nil
	}
	conf, err := dns.ClientConfigFromFile(r.config.ResolvConf)
	if err != nil {
		return nil, fmt.Errorf("resolvConf: %w", err)
	}
	all := make([]string, 0, len(conf.Servers))
	for _, s := range conf.Servers {
		if full, err := withPort(s); err == nil {
			all = append(all, full)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("resolvConf: %s names no nameserver", r.config.ResolvConf)
	}
	r.file, r.fromRes = info.ModTime(), all
	return all, nil
}
