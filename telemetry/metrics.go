package telemetry

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-gateway/sluice/protocol"
)

// Buckets returns the upper bounds of the duration histogram.
func Buckets() []time.Duration {
	return []time.Duration{
		time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
		50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
		2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
	}
}

const numBuckets = 13

// Metrics counts requests by route. It is a prometheus.Collector. Counters of a route outlive configurations, by name.
type Metrics struct {
	requests, duration, inflight, errors, bytes *prometheus.Desc

	mu     sync.Mutex
	routes map[string]*Route
	bounds [numBuckets]int64
}

// Route holds the counters of one route.
type Route struct {
	name     string
	metrics  *Metrics
	inflight atomic.Int64
	classes  [6]atomic.Uint64 // by the status's first digit
	buckets  [numBuckets + 1]atomic.Uint64
	nanos    atomic.Uint64
	in, out  atomic.Uint64

	mu     sync.Mutex
	errors map[protocol.Code]uint64
}

// NewMetrics returns empty counters.
func NewMetrics() *Metrics {
	m := &Metrics{
		routes:   map[string]*Route{},
		requests: prometheus.NewDesc("sluice_http_requests_total", "Requests that ended, by route and class of status.", []string{"route", "status"}, nil),
		duration: prometheus.NewDesc("sluice_http_request_duration_seconds", "Time from a request's head to the end of its answer.", []string{"route"}, nil),
		inflight: prometheus.NewDesc("sluice_http_requests_in_flight", "Requests that have begun and not ended.", []string{"route"}, nil),
		errors:   prometheus.NewDesc("sluice_errors_total", "Answers that the gateway made itself, by error code.", []string{"route", "code"}, nil),
		bytes:    prometheus.NewDesc("sluice_http_body_bytes_total", "Body bytes that passed.", []string{"route", "direction"}, nil),
	}
	for i, b := range Buckets() {
		m.bounds[i] = int64(b)
	}
	return m
}

// Route returns the counters of a route, which exist from the first call on.
func (m *Metrics) Route(name string) *Route {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.routes[name]
	if r == nil {
		r = &Route{name: name, metrics: m, errors: map[protocol.Code]uint64{}}
		m.routes[name] = r
	}
	return r
}

// Begin counts a request in flight.
func (r *Route) Begin() { r.inflight.Add(1) }

// End counts a request that has ended with status after nanos.
func (r *Route) End(rec *protocol.Record, status int, nanos int64) {
	r.inflight.Add(-1)
	r.classes[min(max(status/100, 0), 5)].Add(1)
	i := 0
	for i < numBuckets && nanos > r.metrics.bounds[i] {
		i++
	}
	r.buckets[i].Add(1)
	r.nanos.Add(uint64(max(nanos, 0)))
	if rec.RequestBytes > 0 {
		r.in.Add(uint64(rec.RequestBytes))
	}
	if rec.ResponseBytes > 0 {
		r.out.Add(uint64(rec.ResponseBytes))
	}
	if rec.Code != "" {
		r.mu.Lock()
		r.errors[rec.Code]++
		r.mu.Unlock()
	}
}

// InFlight is the number of requests begun and not ended.
func (r *Route) InFlight() int64 { return r.inflight.Load() }

// Requests is the number of requests that have ended.
func (r *Route) Requests() uint64 {
	var n uint64
	for i := range r.classes {
		n += r.classes[i].Load()
	}
	return n
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.requests, m.duration, m.inflight, m.errors, m.bytes} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. Routes that were never asked for are left out: ten thousand idle routes are
// nobody's series.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	routes := make([]*Route, 0, len(m.routes))
	for _, r := range m.routes {
		if r.Requests() > 0 || r.InFlight() > 0 {
			routes = append(routes, r)
		}
	}
	m.mu.Unlock()
	for _, r := range routes {
		m.collect(r, ch)
	}
}

func (m *Metrics) collect(r *Route, ch chan<- prometheus.Metric) {
	for class, word := range []string{"0xx", "1xx", "2xx", "3xx", "4xx", "5xx"} {
		if n := r.classes[class].Load(); n > 0 {
			ch <- prometheus.MustNewConstMetric(m.requests, prometheus.CounterValue, float64(n), r.name, word)
		}
	}
	cumulative := make(map[float64]uint64, numBuckets)
	var count uint64
	for i := range r.buckets {
		count += r.buckets[i].Load()
		if i < numBuckets {
			cumulative[time.Duration(m.bounds[i]).Seconds()] = count
		}
	}
	sum := float64(r.nanos.Load()) / float64(time.Second)
	ch <- prometheus.MustNewConstHistogram(m.duration, count, sum, cumulative, r.name)
	ch <- prometheus.MustNewConstMetric(m.inflight, prometheus.GaugeValue, float64(r.InFlight()), r.name)
	ch <- prometheus.MustNewConstMetric(m.bytes, prometheus.CounterValue, float64(r.in.Load()), r.name, "in")
	ch <- prometheus.MustNewConstMetric(m.bytes, prometheus.CounterValue, float64(r.out.Load()), r.name, "out")
	r.mu.Lock()
	defer r.mu.Unlock()
	codes := make([]protocol.Code, 0, len(r.errors))
	for code := range r.errors {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	for _, code := range codes {
		ch <- prometheus.MustNewConstMetric(m.errors, prometheus.CounterValue, float64(r.errors[code]), r.name, string(code))
	}
}
