package flowcontrol

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/alibaba/sentinel-golang/core/base"
	"github.com/alibaba/sentinel-golang/core/flow"
	"github.com/alibaba/sentinel-golang/core/isolation"
	"github.com/alibaba/sentinel-golang/core/stat"
)

// Limits are what one resource may take. A limit of 0 is no limit.
type Limits struct {
	// QPS is requests per second, counted in Sentinel's sliding window of two halves; fractions are allowed.
	QPS float64
	// Concurrency is requests running at once.
	Concurrency int
}

func (l Limits) none() bool { return l.QPS == 0 && l.Concurrency == 0 }

// Validate refuses what would not mean what it says.
func (l Limits) Validate() error {
	switch {
	case !(l.QPS >= 0 && l.QPS <= 1e9):
		return fmt.Errorf("qps: must be between 0 (no limit) and 1e9, not %v", l.QPS)
	case l.QPS > 0 && l.QPS < 1/maxWindow:
		return fmt.Errorf("qps: %v is less than one request in %v seconds, which is as slow as a limit can be", l.QPS, maxWindow)
	case l.Concurrency < 0 || l.Concurrency > math.MaxInt32:
		return fmt.Errorf("concurrency: must be between 0 (no limit) and %d, not %d", math.MaxInt32, l.Concurrency)
	}
	return nil
}

// Engine is one gateway's share of Sentinel.
type Engine struct {
	namespace string
	chain     *base.SlotChain

	mu      sync.Mutex
	applied map[string]Limits
}

// New returns an engine without rules. namespace keeps its resources apart from those of other engines in the process; it
// may be empty for the only one.
func New(namespace string, logger *slog.Logger) *Engine {
	useLogger(logger)
	chain := base.NewSlotChain()
	chain.AddStatPrepareSlot(stat.DefaultResourceNodePrepareSlot)
	chain.AddRuleCheckSlot(flow.DefaultSlot)
	chain.AddRuleCheckSlot(isolation.DefaultSlot)
	chain.AddStatSlot(stat.DefaultSlot)
	chain.AddStatSlot(flow.DefaultStandaloneStatSlot)
	return &Engine{namespace: namespace, chain: chain, applied: map[string]Limits{}}
}

// Apply makes limits, by resource, the rules in force. Counters of a resource whose limits did not change go on. Either all
// are valid or nothing changes.
func (e *Engine) Apply(limits map[string]Limits) error {
	var errs []error
	for _, resource := range slices.Sorted(maps.Keys(limits)) {
		if err := limits[resource].Validate(); err != nil {
			errs = append(errs, fmt.Errorf("resource %s: %w", resource, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for resource := range e.applied {
		if _, stays := limits[resource]; !stays {
			errs = append(errs, e.load(resource, Limits{}))
		}
	}
	for resource, l := range limits {
		if old, known := e.applied[resource]; !known || old != l {
			errs = append(errs, e.load(resource, l))
		}
	}
	return errors.Join(errs...)
}

// load gives one resource its rules.
func (e *Engine) load(resource string, l Limits) error {
	name := e.resource(resource)
	var flows []*flow.Rule
	if l.QPS > 0 {
		threshold, interval := window(l.QPS)
		flows = append(flows, &flow.Rule{
			ID: name, Resource: name, TokenCalculateStrategy: flow.Direct, ControlBehavior: flow.Reject,
			Threshold: threshold, StatIntervalInMs: interval,
		})
	}
	var isolations []*isolation.Rule
	if l.Concurrency > 0 {
		isolations = append(isolations, &isolation.Rule{
			ID: name, Resource: name, MetricType: isolation.Concurrency, Threshold: uint32(l.Concurrency),
		})
	}
	if _, err := flow.LoadRulesOfResource(name, flows); err != nil {
		return fmt.Errorf("load flow rule of %s: %w", resource, err)
	}
	if _, err := isolation.LoadRulesOfResource(name, isolations); err != nil {
		return fmt.Errorf("load isolation rule of %s: %w", resource, err)
	}
	if l.none() {
		delete(e.applied, resource)
	} else {
		e.applied[resource] = l
	}
	return nil
}

// Close takes every rule of this engine back.
func (e *Engine) Close() error { return e.Apply(nil) }

func (e *Engine) resource(name string) string {
	if e.namespace == "" {
		return name
	}
	return e.namespace + "/" + name
}

// maxWindow is the longest counting window in seconds.
const maxWindow = 60.0

// window turns a rate into a whole number of requests in a window, because Sentinel compares counts: half a request per
// second would let nothing through, one and a half only one.
func window(qps float64) (threshold float64, intervalMs uint32) {
	for seconds := 1.0; seconds < maxWindow; seconds++ {
		if n := qps * seconds; n >= 1 && math.Abs(n-math.Round(n)) < 1e-6 {
			return math.Round(n), uint32(seconds * 1000)
		}
	}
	seconds := math.Ceil(max(1, min(maxWindow, 10/qps)))
	return math.Floor(qps*seconds + 1e-6), uint32(seconds * 1000)
}
