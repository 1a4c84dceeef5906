package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/strictyaml"
)

// HealthCheck asks every instance now and then whether it is well, whatever traffic there is. An instance that is not gets
// no requests while there are others.
type HealthCheck struct {
	// Kind is how instances are asked: http (an answer with one of statuses), tcp (a connection, with TLS where the service
	// has it), grpc (grpc.health.v1), dubbo (a heartbeat, or $echo of the service). Required.
	Kind string `yaml:"kind"`
	// Path of http: what is asked for, with a query if need be.
	Path string `yaml:"path"`
	// Method of http.
	Method string `yaml:"method"`
	// Host of http and grpc is sent instead of the instance's address.
	Host string `yaml:"host"`
	// Statuses of http that mean well: classes such as 2xx, or single ones.
	Statuses []string `yaml:"statuses"`
	// Service of grpc is the name that is asked about; empty means the server as a whole.
	Service string `yaml:"service"`
	// Echo of dubbo calls $echo of the service, which also needs a free thread of the provider. Without it a heartbeat is
	// sent, which any provider answers.
	Echo bool `yaml:"echo"`
	// Port is asked instead of the instance's; 0 means the instance's.
	Port int `yaml:"port"`
	// Interval between two checks of an instance, give or take a tenth.
	Interval time.Duration `yaml:"interval"`
	// Timeout of one check, from dialling to the answer.
	Timeout time.Duration `yaml:"timeout"`
	// UnhealthyThreshold is how many checks in a row must fail until an instance counts as unhealthy.
	UnhealthyThreshold int `yaml:"unhealthyThreshold"`
	// HealthyThreshold is how many in a row must succeed until an unhealthy one counts as healthy again.
	HealthyThreshold int `yaml:"healthyThreshold"`
	// WaitForFirst gives a new instance no requests, while there are others, until it has passed its first check. Without
	// it an instance is used at once. Either way it is checked at once.
	WaitForFirst bool `yaml:"waitForFirst"`
}

// SetDefaults implements the convention of this package.
func (h *HealthCheck) SetDefaults() {
	*h = HealthCheck{
		Path: "/", Method: "GET", Statuses: []string{"2xx"},
		Interval: 5 * time.Second, Timeout: time.Second, UnhealthyThreshold: 3, HealthyThreshold: 2,
	}
}

// Validate checks the kind and what goes with it.
func (h *HealthCheck) Validate() error {
	kinds := []string{"http", "tcp", "grpc", "dubbo"}
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case h.Kind == "":
		errs = append(errs, missing("kind", kinds...))
	case !contains(kinds, h.Kind):
		fault("kind: %s", strictyaml.Unknown("kind", h.Kind, kinds))
	default:
		errs = append(errs, h.strangers()...)
	}
	if !strings.HasPrefix(h.Path, "/") || strings.ContainsFunc(h.Path, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '#' }) {
		fault("path: must begin with / and hold no blanks and no #, not %q", h.Path)
	}
	if !token(h.Method) || h.Method == "CONNECT" {
		fault("method: %q cannot be asked with", h.Method)
	}
	if host, _, err := splitAddress(h.Host); h.Host != "" && !hostName(h.Host) && (err != nil || host == "") {
		fault("host: must be a name, with a port if need be, not %q", h.Host)
	}
	if len(h.Statuses) == 0 {
		fault("statuses: no answer would mean well; leave it out for 2xx")
	}
	for i, s := range h.Statuses {
		if _, _, ok := StatusRange(s); !ok {
			fault("statuses[%d]: must be a class such as 2xx, or a status from 200 to 599, not %q", i, s)
		}
	}
	if h.Port < 0 || h.Port > 65535 {
		fault("port: must be from 1 to 65535")
	}
	if h.Interval < 100*time.Millisecond {
		fault("interval: must be at least 100ms")
	}
	if h.Timeout <= 0 {
		fault("timeout: must be more than 0")
	} else if h.Timeout > h.Interval {
		fault("timeout: must not be longer than interval, %v", h.Interval)
	}
	for key, n := range map[string]int{"unhealthyThreshold": h.UnhealthyThreshold, "healthyThreshold": h.HealthyThreshold} {
		if n < 1 {
			fault("%s: must be at least 1", key)
		}
	}
	return errors.Join(errs...)
}

// strangers are keys that mean nothing to the kind.
func (h *HealthCheck) strangers() (errs []error) {
	var d HealthCheck
	d.SetDefaults()
	for _, key := range []struct {
		name, kinds string
		given       bool
	}{
		{"path", "http", h.Path != d.Path},
		{"method", "http", h.Method != d.Method},
		{"statuses", "http", strings.Join(h.Statuses, " ") != strings.Join(d.Statuses, " ")},
		{"host", "http grpc", h.Host != ""},
		{"service", "grpc", h.Service != ""},
		{"echo", "dubbo", h.Echo},
	} {
		if key.given && !contains(strings.Fields(key.kinds), h.Kind) {
			errs = append(errs, fmt.Errorf("%s: means nothing to a check of kind %s, only to %s", key.name, h.Kind, strings.ReplaceAll(key.kinds, " ", " and ")))
		}
	}
	return errs
}

// StatusRange reads "2xx" or a single status. The bounds are inclusive.
func StatusRange(s string) (from, to int, ok bool) {
	if len(s) == 3 && s[1:] == "xx" && s[0] >= '2' && s[0] <= '5' {
		from = int(s[0]-'0') * 100
		return from, from + 99, true
	}
	n, err := strconv.Atoi(s)
	return n, n, err == nil && n >= 200 && n <= 599
}
