package config

import (
	"errors"
	"fmt"
	"time"
)

// Outlier takes instances out of the service for a while whose answers are worse than those of the others, as requests show
// it. outlier: off does not.
type Outlier struct {
	// ConsecutiveErrors is how many requests in a row must fail: no connection, one that broke, an answer that makes no
	// sense or did not come in time. 0 does not count.
	ConsecutiveErrors int `yaml:"consecutiveErrors"`
	// ServerErrors counts answers with a status from 500 as errors too. They are often the application's word about the
	// request, which every instance would answer alike; errorRate looks at them by comparison.
	ServerErrors bool `yaml:"serverErrors"`
	// ErrorRate compares the share of requests that fail with that of the others.
	ErrorRate OutlierErrorRate `yaml:"errorRate"`
	// Latency compares how long answers take with what the others' take.
	Latency OutlierLatency `yaml:"latency"`
	// Interval over which errorRate and latency count.
	Interval time.Duration `yaml:"interval"`
	// BaseEjection is how long an instance is taken out the first time. It grows by as much with each further time, and
	// shrinks again while the instance behaves.
	BaseEjection time.Duration `yaml:"baseEjection"`
	// MaxEjection is the longest.
	MaxEjection time.Duration `yaml:"maxEjection"`
	// MaxShare of the service's instances may be out at once, more than 0 to 1. One may be out in any case, and one always
	// stays.
	MaxShare float64 `yaml:"maxShare"`
}

// OutlierErrorRate compares the share of requests that fail, or are answered with a status from 500.
type OutlierErrorRate struct {
	// Threshold is the share, more than 0 to 1, from which an instance is taken out, if the others together fail at most
	// half as often. 0 does not compare.
	Threshold float64 `yaml:"threshold"`
	// MinRequests that an instance must have had within outlier.interval.
	MinRequests int `yaml:"minRequests"`
}

// OutlierLatency compares the median of the time until an answer's head.
type OutlierLatency struct {
	// Factor is how many times as long as the median of the others an instance must take; 0 does not compare. Three
	// instances with minRequests are needed at least.
	Factor float64 `yaml:"factor"`
	// MinRequests that an instance must have answered within outlier.interval.
	MinRequests int `yaml:"minRequests"`
}

// SetDefaults implements the convention of this package.
func (o *Outlier) SetDefaults() {
	*o = Outlier{
		ConsecutiveErrors: 5,
		ErrorRate:         OutlierErrorRate{MinRequests: 50},
		Latency:           OutlierLatency{MinRequests: 50},
		Interval:          10 * time.Second,
		BaseEjection:      30 * time.Second, MaxEjection: 5 * time.Minute, MaxShare: 0.3,
	}
}

// UnmarshalText is the short form off.
func (o *Outlier) UnmarshalText(text []byte) error {
	if string(text) != "off" {
		return fmt.Errorf("must be off, or a mapping such as {consecutiveErrors: 5}, not %q", text)
	}
	o.SetDefaults()
	o.ConsecutiveErrors = 0
	return nil
}

// Off reports whether nothing takes instances out.
func (o *Outlier) Off() bool {
	return o.ConsecutiveErrors == 0 && o.ErrorRate.Threshold == 0 && o.Latency.Factor == 0
}

// Validate checks counts, shares and times.
func (o *Outlier) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.ConsecutiveErrors < 0 {
		fault("consecutiveErrors: must not be negative")
	}
	if r := o.ErrorRate.Threshold; !(r >= 0 && r <= 1) {
		fault("errorRate.threshold: must be a share from 0 to 1, such as 0.5")
	}
	if o.Interval < time.Second {
		fault("interval: must be at least 1s")
	}
	if f := o.Latency.Factor; f != 0 && !(f >= 1.5 && f <= 1000) {
		fault("latency.factor: must be 0, or from 1.5 to 1000; what is closer to the others is no outlier")
	}
	for key, n := range map[string]int{"errorRate": o.ErrorRate.MinRequests, "latency": o.Latency.MinRequests} {
		if n < 5 {
			fault("%s.minRequests: must be at least 5", key)
		}
	}
	if o.BaseEjection < time.Second {
		fault("baseEjection: must be at least 1s")
	}
	if o.MaxEjection < o.BaseEjection {
		fault("maxEjection: must not be shorter than baseEjection, %v", o.BaseEjection)
	}
	if !(o.MaxShare > 0 && o.MaxShare <= 1) {
		fault("maxShare: must be a share, more than 0 to 1")
	}
	if o.ServerErrors && o.ConsecutiveErrors == 0 {
		fault("serverErrors: counts nothing while consecutiveErrors is 0")
	}
	return errors.Join(errs...)
}
