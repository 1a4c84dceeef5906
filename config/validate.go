package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/strictyaml"
)

// The types say here what is wrong with themselves, each message beginning with the key. What crosses from one section
// to another is in check.go.

// Validate checks the address and the limits.
func (l *Listener) Validate() error {
	var errs []error
	if l.Address == "" {
		errs = append(errs, missing("address"))
	} else if _, _, err := splitAddress(l.Address); err != nil {
		errs = append(errs, fmt.Errorf("address: %w", err))
	}
	for key, n := range map[string]int64{"headerBytes": int64(l.Limits.HeaderBytes), "headerCount": int64(l.Limits.HeaderCount), "uriBytes": int64(l.Limits.URIBytes), "streams": int64(l.Limits.Streams)} {
		if n < 1 {
			errs = append(errs, fmt.Errorf("limits.%s: must be at least 1", key))
		}
	}
	if l.Limits.Connections < 0 {
		errs = append(errs, errors.New("limits.connections: must not be negative"))
	}
	return errors.Join(errs...)
}

// Validate checks the shares and the time.
func (p *Protection) Validate() error {
	var errs []error
	for key, share := range map[string]float64{"service": p.Service, "registry": p.Registry} {
		if !(share >= 0 && share <= 1) {
			errs = append(errs, fmt.Errorf("%s: must be a share from 0 to 1, such as 0.5", key))
		}
	}
	if p.Min < 1 {
		errs = append(errs, errors.New("min: must be at least 1"))
	}
	return errors.Join(errs...)
}

// Validate checks that a file can be young enough.
func (l *LastKnownGood) Validate() error {
	if l.MaxAge <= 0 {
		return errors.New("maxAge: must be more than 0")
	}
	return nil
}

// Validate checks what is announced.
func (r *Registration) Validate() error {
	var errs []error
	if r.Service == "" {
		errs = append(errs, missing("service"))
	}
	if !(r.Weight > 0 && r.Weight <= 1e6) {
		errs = append(errs, errors.New("weight: must be more than 0, and at most 1000000"))
	}
	if r.Address != "" {
		host := r.Address
		if h, _, err := splitAddress(r.Address); err == nil {
			host = h
		}
		if ip, err := netip.ParseAddr(host); host == "" || err != nil && !hostName(host) || err == nil && ip.IsUnspecified() {
			errs = append(errs, fmt.Errorf("address: must be what others reach the gateway at, a host or host:port, not %q", r.Address))
		}
	}
	if r.HealthURL != "" {
		if u, err := url.Parse(r.HealthURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			errs = append(errs, fmt.Errorf("healthURL: must be a URL such as http://10.0.0.1:9900/livez, not %q", r.HealthURL))
		}
	}
	return errors.Join(errs...)
}

// Validate checks that what belongs together is there.
func (t *ListenerTLS) Validate() error {
	var errs []error
	if len(t.Certificates) == 0 {
		errs = append(errs, missing("certificates"))
	}
	if versions := []string{"1.2", "1.3"}; t.MinVersion != "" && !contains(versions, t.MinVersion) {
		errs = append(errs, fmt.Errorf("minVersion: %s", strictyaml.Unknown("version", t.MinVersion, versions)))
	}
	words := []string{"none", "optional", "required"}
	switch {
	case t.ClientAuth != "" && !contains(words, t.ClientAuth):
		errs = append(errs, fmt.Errorf("clientAuth: %s", strictyaml.Unknown("word", t.ClientAuth, words)))
	case t.ClientAuth != "" && t.ClientAuth != "none" && t.ClientCA == "":
		errs = append(errs, errors.New("clientCA: is missing; without it no client's certificate can be verified"))
	case t.ClientCA != "" && (t.ClientAuth == "" || t.ClientAuth == "none"):
		errs = append(errs, errors.New("clientAuth: must be optional or required beside clientCA"))
	}
	return errors.Join(errs...)
}

// Validate checks that there are both files.
func (c *Certificate) Validate() error {
	var errs []error
	if c.Cert == "" {
		errs = append(errs, missing("cert"))
	}
	if c.Key == "" {
		errs = append(errs, missing("key"))
	}
	return errors.Join(errs...)
}

// Validate checks the address, and that what is remembered fits in memory.
func (a *Admin) Validate() error {
	const most = 1 << 16
	if a.Recent < 0 || a.Recent > most {
		return fmt.Errorf("recent: must be from 0 to %d", most)
	}
	if a.Address == "off" {
		return nil
	}
	if _, _, err := splitAddress(a.Address); err != nil {
		return fmt.Errorf("address: %w, or off", err)
	}
	return nil
}

func splitAddress(address string) (host, port string, err error) {
	bad := fmt.Errorf(`must be host:port such as "127.0.0.1:8080" or ":8080", not %q`, address)
	host, port, err = net.SplitHostPort(address)
	if err != nil {
		return "", "", bad
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return "", "", bad
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !hostName(host) {
		return "", "", bad
	}
	return host, port, nil
}

func hostName(s string) bool {
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := 0; i < len(label); i++ {
			c := label[i]
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
				return false
			}
		}
	}
	return len(s) <= 253
}

// Validate checks that the route can match.
func (r *Route) Validate() error {
	if r.Match.Path == "" {
		return missing("match.path")
	}
	return nil
}

// Validate checks hosts and methods; the path's syntax is known by the router.
func (m *Match) Validate() error {
	var errs []error
	for i, host := range m.Hosts {
		name := strings.TrimPrefix(host, "*.")
		switch _, _, err := net.SplitHostPort(host); {
		case err == nil:
			errs = append(errs, fmt.Errorf("hosts[%d]: must be without a port; a host matches on every port", i))
		case net.ParseIP(strings.Trim(host, "[]")) == nil && !hostName(name):
			errs = append(errs, fmt.Errorf(`hosts[%d]: must be a name such as shop.example.com, or *.example.com, not %q`, i, host))
		}
	}
	for i, method := range m.Methods {
		switch upper := strings.ToUpper(method); {
		case !token(method):
			errs = append(errs, fmt.Errorf("methods[%d]: %q is not a method's name", i, method))
		case upper != method:
			errs = append(errs, fmt.Errorf("methods[%d]: methods are in capitals; did you mean %q?", i, upper))
		}
	}
	for key, values := range map[string]map[string]ValueMatch{"headers": m.Headers, "cookies": m.Cookies} {
		for name := range values {
			if !token(name) {
				errs = append(errs, fmt.Errorf("%s: %q cannot be a name", key, name))
			}
		}
	}
	return errors.Join(errs...)
}

// token reports whether s is a token of RFC 9110 §5.6.2.
func token(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// UnmarshalText is the short form of an exact value.
func (v *ValueMatch) UnmarshalText(text []byte) error {
	v.Exact = string(text)
	return nil
}

// Validate checks that the conditions go together.
func (v *ValueMatch) Validate() error {
	given := 0
	for _, s := range []string{v.Exact, v.Prefix, v.Regex} {
		if s != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return errors.New("takes only one of exact, prefix and regex")
	case given == 1 && v.Present != nil && !*v.Present:
		return errors.New("present: must not be false beside exact, prefix or regex")
	}
	if _, err := regexp.Compile(v.Regex); err != nil {
		return fmt.Errorf("regex: %w", err)
	}
	return nil
}

// Validate checks that there is a limit.
func (f *FlowControl) Validate() error {
	var errs []error
	if f.QPS < 0 || math.IsNaN(f.QPS) || math.IsInf(f.QPS, 0) {
		errs = append(errs, errors.New("qps: must not be negative"))
	}
	if f.Concurrency < 0 {
		errs = append(errs, errors.New("concurrency: must not be negative"))
	}
	if f.QPS == 0 && f.Concurrency == 0 {
		errs = append(errs, errors.New("limits nothing; give qps, concurrency, or both"))
	}
	return errors.Join(errs...)
}

// Validate checks that there is one kind of target.
func (t *Target) Validate() error {
	var errs []error
	switch {
	case t.Dubbo == nil && t.Service == "" && len(t.Split) == 0:
		errs = append(errs, errors.New("needs service, or dubbo"))
	case t.Dubbo != nil && t.Service != "":
		errs = append(errs, errors.New("service: cannot stand beside dubbo, whose interface names the service"))
	case t.Dubbo != nil && t.Group != "":
		errs = append(errs, errors.New("group: cannot stand beside dubbo, which has a group of its own"))
	}
	if !strings.Contains(t.Service, "{") && !reflect.DeepEqual(t.Discover, Discover{}) {
		errs = append(errs, errors.New(`discover: has a meaning only for a service with a capture of the path, such as "{service}"`))
	}
	errs = append(errs, t.Retries.validate()...)
	errs = append(errs, t.traffic()...)
	return errors.Join(errs...)
}

func (r *Retries) validate() (errs []error) {
	if r.Attempts < 0 {
		errs = append(errs, errors.New("retries.attempts: must not be negative"))
	}
	words := []string{"connect", "reset", "timeout", "5xx"}
	for i, on := range r.On {
		if n, err := strconv.Atoi(on); err == nil && n >= 400 && n < 600 {
			continue
		}
		if !contains(words, on) {
			errs = append(errs, fmt.Errorf("retries.on[%d]: must be connect, reset, timeout, 5xx, or a status from 400 to 599, not %q", i, on))
		}
	}
	return errs
}

// Validate checks the selection and the words.
func (s *Service) Validate() error {
	var errs []error
	if s.Match.Service == "" {
		errs = append(errs, missing("match.service"))
	}
	errs = append(errs, s.Balance.validate()...)
	if protocols := []string{"http1", "h2c", "h2", "dubbo"}; s.Protocol != "" && !contains(protocols, s.Protocol) {
		errs = append(errs, fmt.Errorf("protocol: %s", strictyaml.Unknown("protocol", s.Protocol, protocols)))
	}
	if s.TLS != nil && (s.TLS.Cert == "") != (s.TLS.Key == "") {
		errs = append(errs, errors.New("tls: cert and key go together"))
	}
	if !(s.RetryBudget.Share >= 0 && s.RetryBudget.Share <= 1) {
		errs = append(errs, errors.New("retryBudget.share: must be from 0 to 1"))
	}
	if s.RetryBudget.MinPerSecond < 0 {
		errs = append(errs, errors.New("retryBudget.minPerSecond: must not be negative"))
	}
	for key, n := range map[string]int{"service": s.Limits.Service, "instance": s.Limits.Instance, "queue": s.Limits.Queue} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("limits.%s: must not be negative", key))
		}
	}
	for key, n := range map[string]int{"max": s.Connections.Max, "pending": s.Connections.Pending} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("connections.%s: must not be negative", key))
		}
	}
	return errors.Join(errs...)
}

// Validate checks that there is a place.
func (a *AccessLog) Validate() error {
	if a.Path == "" {
		return errors.New("path: must be a file, stdout, stderr or off")
	}
	return nil
}
