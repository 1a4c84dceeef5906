package admin

import "time"

// The answers of /api/v1/explain. Their names are stable; members may be added. `sluice explain` reads them, too.
type (
	// Explanation is what would become of a request.
	Explanation struct {
		Request ExplainedRequest `json:"request"`
		Matched bool             `json:"matched"`
		// Answer is what the gateway itself would answer, when the request would be sent nowhere.
		Answer *Answer         `json:"answer,omitempty"`
		Route  *ExplainedRoute `json:"route,omitempty"`
		// Candidates are the routes that take the request or come close, the best first.
		Candidates []Candidate `json:"candidates"`
		// Routes is how many there are in all.
		Routes  int           `json:"routes"`
		Targets []Destination `json:"targets,omitempty"`
	}
	// ExplainedRequest is the request as routes see it.
	ExplainedRequest struct {
		Method string `json:"method"`
		Host   string `json:"host"`
		Path   string `json:"path"`
		Query  string `json:"query,omitempty"`
	}
	// Answer is one that the gateway makes itself.
	Answer struct {
		Status  int    `json:"status"`
		Code    string `json:"code"`
		Message string `json:"message"`
		Allow   string `json:"allow,omitempty"`
	}
	// ExplainedRoute is the route that takes the request.
	ExplainedRoute struct {
		Name     string    `json:"name"`
		Position string    `json:"position"`
		Hosts    []string  `json:"hosts,omitempty"`
		Path     string    `json:"path"`
		Captures []Capture `json:"captures,omitempty"`
		// Filters in the order in which the request passes them.
		Filters []string `json:"filters,omitempty"`
		// Preflight is true when the filters answer it as a CORS preflight.
		Preflight   bool         `json:"preflight,omitempty"`
		FlowControl *FlowControl `json:"flowControl,omitempty"`
		To          string       `json:"to,omitempty"`
		Timeout     string       `json:"timeout,omitempty"`
		Retries     *Retries     `json:"retries,omitempty"`
		InFlight    int64        `json:"inFlight"`
		Requests    uint64       `json:"requests"`
		Earlier     bool         `json:"earlierVersion,omitempty"`
	}
	// Capture is what the path's pattern took.
	Capture struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	// FlowControl is the route's limits; 0 is none.
	FlowControl struct {
		QPS         float64 `json:"qps,omitempty"`
		Concurrency int     `json:"concurrency,omitempty"`
	}
	// Retries are those of the route.
	Retries struct {
		Attempts   int      `json:"attempts"`
		On         []string `json:"on,omitempty"`
		PerTry     string   `json:"perTry,omitempty"`
		Idempotent bool     `json:"idempotent,omitempty"`
	}
	// Candidate is a route, and why it takes the request or not.
	Candidate struct {
		Name     string   `json:"name"`
		Position string   `json:"position"`
		Hosts    []string `json:"hosts,omitempty"`
		Path     string   `json:"path"`
		Won      bool     `json:"won,omitempty"`
		// Behind is why a route that would take the request does not get it.
		Behind string `json:"behind,omitempty"`
		// Failed is the first predicate that does not hold: host, path, method, header, query, cookie.
		Failed string `json:"failed,omitempty"`
		// Of names the header, the query parameter or the cookie.
		Of     string `json:"of,omitempty"`
		Wanted string `json:"wanted,omitempty"`
		Seen   string `json:"seen,omitempty"`
	}
)

// Where requests of the route go.
type (
	// Destination is one place that requests of the route go to.
	Destination struct {
		Service  string `json:"service"`
		Registry string `json:"registry"`
		// RegistryState is connecting, live, stale or down; LastError its newest trouble.
		RegistryState string `json:"registryState,omitempty"`
		LastError     string `json:"lastError,omitempty"`
		// Share of the route's requests, for parts of a split and mirrors.
		Share  float64 `json:"share"`
		Mirror bool    `json:"mirror,omitempty"`
		// Group and Version of a Dubbo service that this request chooses.
		Group   string `json:"group,omitempty"`
		Version string `json:"version,omitempty"`
		// Subset narrows the service; Unfit is true when no instance is in it, and all are used.
		Subset string `json:"subset,omitempty"`
		Unfit  bool   `json:"unfit,omitempty"`
		// Answer is what the gateway would answer without sending the request here.
		Answer *Answer `json:"answer,omitempty"`
		// Unwatched is true when the next request will make the gateway ask for the instances.
		Unwatched bool   `json:"unwatched,omitempty"`
		Policy    string `json:"policy,omitempty"`
		// Hedge is when a request like this one gets a second try; "at p95" while that is not known.
		Hedge string `json:"hedge,omitempty"`
		// Keyed is true when the request has what the policy hashes; Stuck is the instance that its cookie names.
		Keyed      bool       `json:"keyed,omitempty"`
		Stuck      string     `json:"stuck,omitempty"`
		Answered   bool       `json:"answered"`
		Stale      bool       `json:"stale,omitempty"`
		LastChange *time.Time `json:"lastChange,omitempty"`
		// Panic names flags that do not count now, because so many instances have them.
		Panic string `json:"panic,omitempty"`
		// Total and ExcludedTotal count all; the lists hold the first hundred.
		Total         int             `json:"total"`
		Instances     []Instance      `json:"instances"`
		ExcludedTotal int             `json:"excludedTotal"`
		Excluded      []excludedDoc   `json:"excluded,omitempty"`
		Skipped       int             `json:"skipped,omitempty"`
		Limits        *ServiceLimits  `json:"limits,omitempty"`
		RetryBudget   *ServiceRetries `json:"retryBudget,omitempty"`
	}
	// Instance is one that may be picked.
	Instance struct {
		instanceDoc
		// Chance is the part of requests like this one that would go there now, 0 to 1. Which one gets it is random.
		Chance float64 `json:"chance"`
		// Share is what it would get if all were idle.
		Share float64 `json:"share"`
		// Price is what the policy compares by; see its name.
		Price float64 `json:"price,omitempty"`
		// Warm is the part of its weight that a new instance may have now.
		Warm float64 `json:"warm"`
		// Flags are draining, unhealthy, ejected, full.
		Flags []string `json:"flags,omitempty"`
		// Limit is how many requests it may have at once.
		Limit int64 `json:"limit,omitempty"`
		// Tier is its place among zones and priorities, when they count.
		Tier *Tier `json:"tier,omitempty"`
	}
	// Tier is a group of instances that requests come to by the same rule.
	Tier struct {
		Priority int     `json:"priority"`
		Zone     string  `json:"zone,omitempty"`
		Local    bool    `json:"local,omitempty"`
		Share    float64 `json:"share"`
	}
	// ServiceLimits are those of a service, and how full it is.
	ServiceLimits struct {
		Service  int   `json:"service,omitempty"`
		Instance int   `json:"instance,omitempty"`
		Adaptive bool  `json:"adaptive,omitempty"`
		Queue    int   `json:"queue,omitempty"`
		InFlight int64 `json:"inFlight"`
		Waiting  int64 `json:"waiting"`
	}
	// ServiceRetries is the budget of a service's retries.
	ServiceRetries struct {
		Share        float64 `json:"share"`
		MinPerSecond int     `json:"minPerSecond"`
		Left         float64 `json:"left"`
		Granted      uint64  `json:"granted"`
		Refused      uint64  `json:"refused"`
	}
)

// What is remembered of requests that have ended.
type (
	// Remembered is the answer for a request's id.
	Remembered struct {
		// Size is how many requests are remembered in all.
		Size     int        `json:"size"`
		Requests []Exchange `json:"requests"`
	}
	// Exchange is one request and its answer.
	Exchange struct {
		RequestID  string    `json:"requestId,omitempty"`
		Time       time.Time `json:"time"`
		Method     string    `json:"method"`
		Host       string    `json:"host"`
		Path       string    `json:"path"`
		PathCut    bool      `json:"pathCut,omitempty"`
		Status     int       `json:"status"`
		DurationMs float64   `json:"durationMs"`
		Route      string    `json:"route,omitempty"`
		Service    string    `json:"service,omitempty"`
		Attempts   int       `json:"attempts"`
		// Tries are the attempts in order. When there were many, some before the last are left out.
		Tries []ExchangeTry `json:"tries,omitempty"`
		Code  string        `json:"code,omitempty"`
		Error string        `json:"error,omitempty"`
	}
	// ExchangeTry is one attempt.
	ExchangeTry struct {
		Instance string `json:"instance"`
		// Status it was answered with, or Code that says how it failed. Neither means that another try was quicker.
		Status int     `json:"status,omitempty"`
		Code   string  `json:"code,omitempty"`
		Ms     float64 `json:"ms"`
	}
)
