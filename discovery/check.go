package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/sluice-gateway/sluice/registry"
)

// Check finds out whether a registry can be used: it runs it until it is live and has listed its services once, if it
// can, and ends it. When ctx ends before that, the error is the last that the registry has reported. Give ctx a deadline.
// Of a merged registry nothing can be checked but its members, by their own Check.
func Check(ctx context.Context, logger *slog.Logger, spec Spec, dubbo registry.MetadataFetcher) error {
	if spec.Config == nil {
		if len(spec.Members) == 0 {
			return errors.New("neither a registry of its own nor members")
		}
		return nil
	}
	running, end := context.WithCancel(ctx)
	c := &check{end: end}
	reg, err := spec.Config.Build(registry.Options{Name: "check", Logger: logger, Report: c.report, Dubbo: dubbo})
	if err != nil {
		end()
		return fmt.Errorf("build: %w", err)
	}
	var tasks sync.WaitGroup
	tasks.Go(func() {
		if err := reg.Run(running); err != nil && running.Err() == nil {
			c.fail(err)
		}
	})
	tasks.Go(func() {
		err := reg.WatchServices(running, func(registry.ServiceSet) { c.listed() })
		switch {
		case running.Err() != nil:
		case errors.Is(err, registry.ErrNotListable):
			c.cannotList()
		case err != nil:
			c.fail(fmt.Errorf("list services: %w", err))
		}
	})
	<-running.Done()
	end()
	tasks.Wait()
	return c.result()
}

// check gathers what a registry says until it is clear.
type check struct {
	end context.CancelFunc

	mu                 sync.Mutex
	live, list, noList bool
	failed, last       error
}

func (c *check) note(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	if c.failed != nil || c.good() {
		c.end()
	}
}

// good: a list is an answer, whatever the state.
func (c *check) good() bool { return c.list || (c.live && c.noList) }

func (c *check) report(s registry.State, err error) {
	c.note(func() {
		c.live = s == registry.Live
		if err != nil {
			c.last = err
		}
	})
}

func (c *check) listed()        { c.note(func() { c.list = true }) }
func (c *check) cannotList()    { c.note(func() { c.noList = true }) }
func (c *check) fail(err error) { c.note(func() { c.failed = err }) }

func (c *check) result() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.good():
		return nil
	case c.failed != nil:
		return c.failed
	case c.last != nil:
		return c.last
	case c.live:
		return errors.New("it is connected, but has not listed its services in time")
	}
	return errors.New("it has not answered in time")
}
