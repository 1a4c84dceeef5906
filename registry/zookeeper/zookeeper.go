package zookeeper

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/zookeeper/wire"
)

// How long to wait between attempts to connect: nothing while there are servers not tried yet, then the first delay,
// doubling up to the last one, each shortened by up to a half at random.
const (
	firstDelay = 50 * time.Millisecond
	lastDelay  = 2 * time.Second
)

// maxLogged bounds the troubles that are remembered as logged.
const maxLogged = 100

// refusalsEach is how often each server may refuse the handshake before the state that it may have lost is forgotten.
const refusalsEach = 3

// zooKeeper implements registry.Registry and registry.DefinitionWatcher.
type zooKeeper struct {
	config    *Config
	opts      registry.Options
	set       settings
	addresses []string
	tree      *tree
	metadata  *metadataStore

	find lookup

	// Of Run's goroutine.
	zxid     int64           // the newest transaction that a server has shown us
	refusals int             // handshakes in a row that a server may have refused because it is behind zxid
	old      map[string]bool // addresses of servers before 3.6

	mu     sync.Mutex
	state  registry.State
	logged map[string]struct{} // the troubles in this state, so that the log says each once
}

func newZooKeeper(c *Config, opts registry.Options, secure *tls.Config) *zooKeeper {
	z := &zooKeeper{
		config: c,
		opts:   opts,
		set: settings{
			sessionTimeout: c.SessionTimeout, connectTimeout: c.ConnectTimeout, tls: secure, batch: batchOf, shelf: newShelf(),
			roots: []string{c.DubboRoot, c.ServicesRoot},
		},
		tree: newTree(),
		find: net.DefaultResolver.LookupNetIP,
		old:  make(map[string]bool),
	}
	for _, a := range c.Addresses {
		full, _ := withPort(a) // validated
		z.addresses = append(z.addresses, full)
	}
	if c.Username != "" {
		z.set.digest = []byte(c.Username + ":" + c.Password)
	}
	z.metadata = newMetadataStore(c.DubboRoot, z.tree, opts.Dubbo, z.complain)
	return z
}

// Run keeps a session until ctx ends.
func (z *zooKeeper) Run(ctx context.Context) error {
	z.report(registry.Connecting, nil)
	closing := sync.WaitGroup{} // sessions take up to a second to end; the next one need not wait for that
	defer func() {
		closing.Wait()
		z.tree.end()
	}()
	defer z.metadata.stop()
	z.metadata.start(ctx)
	lost := registry.Connecting // what it is called while there is no session
	for ctx.Err() == nil {
		s := z.connect(ctx, lost)
		if s == nil {
			break
		}
		lost = registry.Stale
		z.tree.attach(s)
		z.report(registry.Live, nil)
		select {
		case <-s.lost:
			z.tree.detach()
			z.learnFrom(s)
			z.report(registry.Stale, fmt.Errorf("lost the session: %w", s.reason()))
		case <-ctx.Done():
			z.tree.detach()
		}
		closing.Go(s.close)
	}
	return nil
}

// learnFrom keeps of a session that was lost what the next one needs.
func (z *zooKeeper) learnFrom(s *session) {
	z.zxid = max(z.zxid, s.conn.Zxid())
	if errors.Is(s.reason(), wire.ErrTooLarge) { // too much was asked for at once
		z.set.batch = max(1, z.set.batch/16)
	}
}

// connect tries one server after the other until there is a session; nil when ctx ended.
func (z *zooKeeper) connect(ctx context.Context, state registry.State) *session {
	delay := firstDelay
	for {
		targets, errs := z.targets(ctx)
		for _, err := range errs {
			z.report(state, err)
		}
		for _, n := range rand.Perm(len(targets)) {
			s, err := z.try(ctx, targets[n])
			if err == nil {
				return s
			}
			if ctx.Err() != nil {
				return nil
			}
			z.report(state, err)
		}
		timer := time.NewTimer(delay/2 + rand.N(delay/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		delay = min(2*delay, lastDelay)
	}
}

// targets resolves the ensemble's names anew.
func (z *zooKeeper) targets(ctx context.Context) ([]target, []error) {
	ctx, cancel := context.WithTimeout(ctx, z.set.connectTimeout)
	defer cancel()
	return resolve(ctx, z.addresses, z.find)
}

// try opens a session at one server.
//
// A server that is behind what we have seen must not take us back in time, so it is told what that was, and refuses us.
// But one that lost its data would refuse us for ever: after some refusals we forget what we have seen.
func (z *zooKeeper) try(ctx context.Context, t target) (*session, error) {
	t.old = z.old[t.address]
	delete(z.old, t.address) // it may have been upgraded when it is lost
	s, err := open(ctx, t, z.set, z.zxid, z.tree.changed)
	if errors.Is(err, wire.ErrUnimplemented) {
		t.old, z.old[t.address] = true, true
		s, err = open(ctx, t, z.set, z.zxid, z.tree.changed)
	}
	switch {
	case err == nil:
		z.refusals = 0
	case errors.Is(err, wire.ErrRefused) && z.zxid != 0:
		if z.refusals++; z.refusals >= refusalsEach*len(z.addresses) {
			z.zxid, z.refusals = 0, 0
		}
	}
	return s, err
}

func (z *zooKeeper) report(state registry.State, err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.tell(state, err)
}

// complain reports trouble that does not change the state.
func (z *zooKeeper) complain(err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.tell(z.state, err)
}

// tell reports under the mutex: a state that is over must not be told after the one that came next.
func (z *zooKeeper) tell(state registry.State, err error) {
	changed := state != z.state || z.logged == nil
	if changed || len(z.logged) > maxLogged {
		z.logged = make(map[string]struct{})
	}
	if err != nil {
		if _, known := z.logged[err.Error()]; !known {
			z.logged[err.Error()], changed = struct{}{}, true
		}
	}
	z.state = state
	switch {
	case err != nil && changed:
		z.opts.Logger.Warn("trouble with ZooKeeper", "state", state.String(), "error", err)
	case changed && state == registry.Live:
		z.opts.Logger.Info("connected to ZooKeeper")
	}
	z.opts.Report(state, err)
}

// cannotWatch reports why something cannot be watched.
func (z *zooKeeper) cannotWatch(what string) func(error) {
	return func(err error) { z.complain(fmt.Errorf("watch %s: %w", what, advise(err))) }
}

// advise says what to do about an error, where there is something.
func advise(err error) error {
	if errors.Is(err, wire.ErrNoAuth) {
		return fmt.Errorf("%w: give username and password of a user who may", err)
	}
	return err
}

// Watch reports every instance of one service: of Kind Dubbo by interface and by application, of Kind Plain those that
// Spring Cloud registers.
func (z *zooKeeper) Watch(ctx context.Context, service registry.ServiceName, push func(registry.Snapshot)) error {
	r, err := z.watcher(ctx, service, push)
	if err != nil {
		return err
	}
	return r.follow()
}

// watcher is what Watch runs. It is a function of its own so that the stack of those who wait stays small.
func (z *zooKeeper) watcher(ctx context.Context, service registry.ServiceName, push func(registry.Snapshot)) (*runner, error) {
	if err := checkPart(service.Name); err != nil {
		return nil, fmt.Errorf("watch %s: %w", service, err)
	}
	build := plainWatch(z.config.ServicesRoot, service, push)
	if service.Kind == registry.Dubbo {
		build = newDubboWatch(z, service, push).build
	}
	return z.newRunner(ctx, z.cannotWatch(service.String()), build), nil
}

// WatchServices reports the interfaces that have a provider and the applications that have an instance.
func (z *zooKeeper) WatchServices(ctx context.Context, push func(registry.ServiceSet)) error {
	w := newServicesWatch(z, push)
	return z.follow(ctx, z.cannotWatch("the list of services"), w.build)
}

// WatchDefinition reports the definition that Dubbo's providers store, of an application that has an instance if possible.
func (z *zooKeeper) WatchDefinition(ctx context.Context, service registry.ServiceName, push func([]byte)) error {
	if err := checkPart(service.Name); err != nil {
		return fmt.Errorf("watch the definition of %s: %w", service, err)
	}
	for _, part := range []string{service.Group, service.Version} {
		if err := checkPart(part); part != "" && err != nil {
			return fmt.Errorf("watch the definition of %s: %w", service, err)
		}
	}
	if service.Kind != registry.Dubbo || service.Group == "*" || service.Version == "*" {
		return fmt.Errorf("watch the definition of %s: not one Dubbo service", service)
	}
	w := &definitionWatch{z: z, service: service, push: push}
	return z.follow(ctx, z.cannotWatch("the definition of "+service.String()), w.build)
}
