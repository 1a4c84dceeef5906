package dubbo

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo/types"
)

// DefinitionSource is where the definitions of services come from: what providers publish in their registry.
type DefinitionSource interface {
	// SubscribeDefinition calls notify with the service's FullServiceDefinition, as JSON, as soon as it is known and whenever
	// it changes; empty when the registry holds none. notify returns quickly. After stop it is not called any more.
	SubscribeDefinition(service Service, notify func(json []byte)) (stop func())
}

// Catalog follows the definitions of the services that somebody asks for, and compiles each when it is first used.
type Catalog struct {
	source DefinitionSource
	logger *slog.Logger

	mu      sync.Mutex
	entries map[Service]*Entry
}

// NewCatalog returns an empty Catalog. logger may be nil.
func NewCatalog(source DefinitionSource, logger *slog.Logger) *Catalog {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Catalog{source: source, logger: logger, entries: map[Service]*Entry{}}
}

// Acquire gives the entry of a service, which follows its definition until it is released as often as it was acquired.
func (c *Catalog) Acquire(s Service) *Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[s]
	if e == nil {
		e = &Entry{catalog: c, service: s, known: make(chan struct{})}
		c.entries[s] = e
		e.stop = c.source.SubscribeDefinition(s, e.notify)
	}
	e.users++
	return e
}

// Entry is one service's definition, in its newest state.
type Entry struct {
	catalog *Catalog
	service Service
	stop    func()
	users   int // guarded by the catalog's mutex

	// raw is the newest document; nil until the source has spoken.
	raw atomic.Pointer[[]byte]
	// known is closed when raw is set.
	known chan struct{}
	once  sync.Once

	compiled atomic.Pointer[compiledDefinition]
	mu       sync.Mutex // only one goroutine compiles
}

// compiledDefinition is what became of a document. If that could not be read, plans are those of the one before.
type compiledDefinition struct {
	raw   *[]byte
	plans *servicePlans
	err   error
}

// Release gives the entry back.
func (e *Entry) Release() {
	c := e.catalog
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.users--; e.users == 0 {
		e.stop()
		delete(c.entries, e.service)
	}
}

func (e *Entry) notify(json []byte) {
	e.raw.Store(&json)
	e.once.Do(func() { close(e.known) })
}

// firstDefinition is how long a request waits for a registry that has not said anything about a service yet.
const firstDefinition = 3 * time.Second

// plans gives the newest plans. It waits only for the very first definition.
func (e *Entry) plans(ctx context.Context, deadline int64) (*servicePlans, error) {
	raw := e.raw.Load()
	if raw == nil {
		if err := e.wait(ctx, deadline); err != nil {
			return nil, err
		}
		raw = e.raw.Load()
	}
	c := e.compiled.Load()
	if c == nil || c.raw != raw {
		c = e.compile()
	}
	if c.plans == nil {
		return nil, noDefinition("the definition of "+e.service.String()+" cannot be read", c.err)
	}
	return c.plans, nil
}

func (e *Entry) wait(ctx context.Context, deadline int64) error {
	bound := firstDefinition
	if deadline != 0 {
		bound = min(bound, time.Duration(deadline-protocol.Now()))
	}
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-e.known:
		return nil
	case <-timer.C:
		err := noDefinition("the registry has not yet said what "+e.service.String()+" looks like", nil)
		err.RetryAfter = time.Second
		return err
	case <-ctx.Done():
		return goneError(context.Cause(ctx))
	}
}

// compile reads the newest document. What was compiled before stays in use if it cannot be read.
func (e *Entry) compile() *compiledDefinition {
	e.mu.Lock()
	defer e.mu.Unlock()
	raw, before := e.raw.Load(), e.compiled.Load()
	if before != nil && before.raw == raw {
		return before
	}
	c := &compiledDefinition{raw: raw}
	var d *types.Definition
	if len(*raw) > 0 {
		d, c.err = types.ParseDefinition(*raw)
	}
	switch {
	case c.err == nil:
		c.plans = newServicePlans(d)
	case before != nil:
		c.plans = before.plans
	}
	if c.err != nil {
		e.catalog.logger.Warn("cannot read a Dubbo service's definition", "service", e.service.String(), "error", c.err, "keeps", c.plans != nil)
	}
	e.compiled.Store(c)
	return c
}

var errNoDefinition = errors.New("no definition of the method")

func noDefinition(message string, cause error) *protocol.Error {
	if cause == nil {
		cause = errNoDefinition
	}
	return &protocol.Error{Status: 502, Code: protocol.CodeNoDefinition, Message: message, Cause: cause, NotSent: true}
}
