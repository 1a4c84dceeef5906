package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/flowcontrol"
	"github.com/sluice-gateway/sluice/proxy/upstream"
	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/telemetry"
)

// Options are what a Gateway is made of.
type Options struct {
	Components Components
	// Logger is never nil.
	Logger *slog.Logger
	// Dubbo asks instances for their own metadata; nil leaves application-level discovery to what registries store.
	Dubbo registry.MetadataFetcher
	// Namespace keeps the flow control of several gateways in one process apart.
	Namespace string
}

// Gateway serves traffic by the document that was applied last.
type Gateway struct {
	logger     *slog.Logger
	components Components
	catalogue  *discovery.Catalogue
	store      *upstream.Store
	flow       *flowcontrol.Engine
	metrics    *telemetry.Metrics
	definition *definitions
	server     server
	announcer  announcer
	started    time.Time

	draining atomic.Bool
	cancel   context.CancelFunc
	tasks    sync.WaitGroup // the store's housekeeping, retiring plans, listeners that serve or drain

	mu sync.Mutex // one apply or Shutdown at a time; both may take long, so nobody who only looks waits for it

	statusMu  sync.Mutex // held for moments only; who changes listeners or log holds mu as well
	listeners map[string]*listener
	log       *telemetry.AccessLog
	applied   applied
}

// applied is what status tells of the last Apply.
type applied struct {
	at       time.Time
	refused  []config.RefusedRoute
	kept     []string // names of refused routes whose earlier version serves on
	rejected string   // why the newest document was not applied at all; "" when it was
	failedAt time.Time
	startup  time.Duration
}

// New returns a Gateway that serves nothing yet. It needs a Shutdown.
func New(opts Options) *Gateway {
	ctx, cancel := context.WithCancel(context.Background())
	g := &Gateway{
		logger: opts.Logger, components: opts.Components, cancel: cancel, started: time.Now(),
		catalogue: discovery.New(opts.Logger, opts.Dubbo),
		flow:      flowcontrol.New(opts.Namespace, opts.Logger),
		metrics:   telemetry.NewMetrics(),
		listeners: map[string]*listener{},
	}
	g.definition = &definitions{catalogue: g.catalogue}
	g.store = upstream.NewStore(opts.Logger, g.catalogue, opts.Components.Dialers)
	g.tasks.Go(func() { g.store.Run(ctx) })
	return g
}

// Metrics counts requests by route.
func (g *Gateway) Metrics() *telemetry.Metrics { return g.metrics }

// Discovered is the time from a registry's telling of a new instance to the first request sent to it.
func (g *Gateway) Discovered() prometheus.Collector { return g.store.Discovered() }

// Start applies the first document. Any mistake in it is an error, and nothing serves then.
func (g *Gateway) Start(doc *config.Document) error {
	if len(doc.Refused) > 0 {
		return problems(doc.Refused)
	}
	return g.apply(doc, true)
}

// Reload applies a changed document. Routes with mistakes are refused alone; where the document in force has a route of
// that name, it serves on. An error means that nothing has changed.
func (g *Gateway) Reload(doc *config.Document) error { return g.apply(doc, false) }

// Reject notes that a document was not even applied, for status.
func (g *Gateway) Reject(err error) {
	g.statusMu.Lock()
	defer g.statusMu.Unlock()
	g.applied.rejected, g.applied.failedAt = err.Error(), time.Now()
}

func (g *Gateway) apply(doc *config.Document, first bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.draining.Load() {
		return errors.New("the gateway is shutting down")
	}
	if err := g.applyLocked(doc, first); err != nil {
		g.Reject(err)
		return err
	}
	return nil
}

// How long an apply waits for registries to tell of services that are new in it. A start waits hardly at all: it is
// readiness that says whether traffic should come, and a registry that is down must not hold up what needs none.
const (
	settleAtReload = 2 * time.Second
	settleAtStart  = 100 * time.Millisecond
)

// applyLocked builds everything that can fail, swaps, and then stops what is old.
func (g *Gateway) applyLocked(doc *config.Document, first bool) error {
	registries, err := registrySpecs(doc)
	if err != nil {
		return err
	}
	log := g.log
	if first || log.Path() != doc.AccessLog.Path {
		if log, err = telemetry.OpenAccessLog(doc.AccessLog.Path); err != nil {
			return err
		}
	}
	discard := func() {
		if log != g.log {
			log.Close()
		}
	}
	stores, err := g.loadCertificates(doc.Listeners)
	if err != nil {
		discard()
		return err
	}
	fresh, err := g.bind(doc.Listeners)
	if err != nil {
		discard()
		return err
	}
	g.catalogue.Keep(discovery.Keep{Path: doc.LastKnownGood.Path, MaxAge: doc.LastKnownGood.MaxAge})
	if err := g.catalogue.Apply(registries); err != nil {
		closeListeners(fresh)
		discard()
		return err
	}
	old := g.server.plan.Load()
	doc, refused, kept := withEarlier(doc, old)
	plan, more := (&compiler{gateway: g, doc: doc, log: log}).compile()
	if len(more) > 0 && first {
		plan.abandon(g.store)
		closeListeners(fresh)
		discard()
		return problems(more)
	}
	if len(more) > 0 {
		// What parses but cannot be built is refused alike, so its earlier version is looked for as well.
		plan.abandon(g.store)
		again := *doc
		again.Routes = slices.DeleteFunc(slices.Clone(doc.Routes), func(r config.Route) bool {
			return slices.ContainsFunc(more, func(x config.RefusedRoute) bool { return x.Name == r.Name })
		})
		again.Refused = more
		var keptMore []string
		doc, _, keptMore = withEarlier(&again, old)
		refused, kept = append(refused, more...), append(kept, keptMore...)
		plan, more = (&compiler{gateway: g, doc: doc, log: log}).compile()
		for _, r := range more {
			kept = slices.DeleteFunc(kept, func(name string) bool { return name == r.Name })
		}
	}
	if err := g.flow.Apply(plan.limits); err != nil {
		plan.abandon(g.store)
		closeListeners(fresh)
		discard()
		return fmt.Errorf("apply flow control: %w", err)
	}
	if first {
		plan.settle(settleAtStart)
	} else {
		plan.settle(settleAtReload)
	}
	plan.remember(old, doc.Admin.Recent)
	g.server.plan.Store(plan)
	g.switchListeners(doc, fresh, stores)
	g.retire(old, g.log, log)

	g.statusMu.Lock()
	g.log = log
	g.applied = applied{at: plan.at, refused: refused, kept: kept, startup: doc.Startup.Timeout}
	g.statusMu.Unlock()

	wanted, err := g.announcements(doc)
	if err != nil {
		g.logger.Error("the gateway is not registered", "error", err) // what serves goes on
	}
	g.announce(wanted)
	return nil
}

// withEarlier puts the earlier versions of refused routes back in, as far as there are any.
func withEarlier(doc *config.Document, old *Plan) (_ *config.Document, refused []config.RefusedRoute, kept []string) {
	refused = doc.Refused
	if old == nil || len(refused) == 0 {
		return doc, refused, nil
	}
	merged := *doc
	merged.Routes = slices.Clone(doc.Routes)
	for _, r := range refused {
		i := slices.IndexFunc(old.document.Routes, func(o config.Route) bool { return o.Name == r.Name })
		taken := slices.ContainsFunc(merged.Routes, func(o config.Route) bool { return o.Name == r.Name })
		if i >= 0 && !taken {
			merged.Routes = append(merged.Routes, old.document.Routes[i])
			kept = append(kept, r.Name)
		}
	}
	return &merged, refused, kept
}

func problems(refused []config.RefusedRoute) error {
	var all config.Problems
	for _, r := range refused {
		all = append(all, r.Problems...)
	}
	return all
}

// abandon releases a plan that never served.
func (p *Plan) abandon(store *upstream.Store) {
	for _, c := range p.routes {
		c.free(store)
	}
}

// retireEvery is how often a retiring plan looks whether its last requests have ended.
const retireEvery = 20 * time.Millisecond

// retire releases what only an old plan holds, route by route as their requests end.
func (g *Gateway) retire(old *Plan, oldLog, log *telemetry.AccessLog) {
	if old == nil {
		return
	}
	busy := g.freeIdle(append(old.routes, old.lost))
	done := func() {
		if oldLog != log {
			oldLog.Close()
		}
	}
	if len(busy) == 0 {
		done()
		return
	}
	g.tasks.Go(func() {
		tick := time.NewTicker(retireEvery)
		defer tick.Stop()
		for len(busy) > 0 {
			<-tick.C
			busy = g.freeIdle(busy)
		}
		done()
	})
}

func (g *Gateway) freeIdle(routes []*compiled) (busy []*compiled) {
	for _, c := range routes {
		if c.inflight.Load() > 0 {
			busy = append(busy, c)
			continue
		}
		c.free(g.store)
	}
	return busy
}

// ReopenLogs makes the access log open its file anew, after rotation.
func (g *Gateway) ReopenLogs() {
	g.statusMu.Lock()
	defer g.statusMu.Unlock()
	g.log.Reopen()
}

// Shutdown stops serving: readiness fails at once; after delay listeners close, requests in flight finish, idle
// connections are closed. When ctx ends first, what is left is cut, and its error returned.
// A second Shutdown does nothing.
func (g *Gateway) Shutdown(ctx context.Context, delay time.Duration) error {
	if g.draining.Swap(true) {
		return nil
	}
	g.withdrawAll(ctx)
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	err := g.stopListeners(ctx)
	g.catalogue.Save()
	if p := g.server.plan.Load(); p != nil {
		g.retire(p, nil, nil)
	}
	g.cancel()
	err = errors.Join(err, g.wait(ctx))
	g.store.Close(ctx)
	g.catalogue.Close()
	err = errors.Join(err, g.flow.Close())
	g.log.Close()
	return err
}

// wait waits for the gateway's own goroutines. Those of exchanges that do not end even after their connections were cut
// are not waited for longer than overtime after ctx: a process that was told to stop must stop.
func (g *Gateway) wait(ctx context.Context) error {
	const overtime = 5 * time.Second
	ended := make(chan struct{})
	go func() {
		g.tasks.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	timer := time.NewTimer(overtime)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
		return errors.New("requests still run after their connections were cut")
	}
}
