package eureka

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// Config is the section of a registry of type eureka.
type Config struct {
	// URLs are the servers' base addresses with their context path: http://host:8761/eureka of Spring Cloud's,
	// http://host:8080/eureka/v2 of Netflix's. One that works is kept; the next is tried when it fails. Required.
	URLs []string `yaml:"urls"`
	// Username and Password are for basic authentication; a user in a URL counts instead for that server.
	Username string `yaml:"username"`
	Password string `yaml:"password"`
	// TLS is for URLs that begin with https.
	TLS *registry.TLS `yaml:"tls"`
	// Interval is from one question for changes to the next. Servers show their clients a copy that is up to 30 s old unless
	// eureka.server.use-read-only-response-cache is false, or response-cache-update-interval-ms is set; asking oftener than they
	// refresh it still halves the wait, since it is added to theirs.
	Interval time.Duration `yaml:"interval"`
	// FullInterval is how often everything is read again: the hash that goes with the changes counts instances, and would
	// not show one that was mistaken for another.
	FullInterval time.Duration `yaml:"fullInterval"`
	// DeltaRetention is how far back the servers' list of changes reaches
	// (eureka.server.retention-time-in-m-s-in-delta-queue). After a longer silence everything is read again.
	DeltaRetention time.Duration `yaml:"deltaRetention"`
	// PreferSecure uses the secure port wherever an instance has enabled it, and not only where the other one is disabled.
	PreferSecure bool `yaml:"preferSecure"`
	// UseHostName dials an instance's hostName instead of its ipAddr.
	UseHostName bool `yaml:"useHostName"`
	// ConnectTimeout bounds connecting to one server, TLS included.
	ConnectTimeout time.Duration `yaml:"connectTimeout"`
	// Timeout is the longest silence of a server within an answer, the time before its first byte included. A whole answer may
	// take ten times as long.
	Timeout time.Duration `yaml:"timeout"`
	// MaxBodyMB bounds an answer, unpacked, in megabytes of 1,048,576 bytes; an instance of Spring Cloud takes about 1 KB. Answers
	// are read piece by piece and never held whole.
	MaxBodyMB int `yaml:"maxBodyMB"`
	// Heartbeat is the time between two signs of life while the gateway has registered itself. The server forgets it after
	// Lease without one (and servers as they are shipped after twice that).
	Heartbeat time.Duration `yaml:"heartbeat"`
	Lease     time.Duration `yaml:"lease"`
}

// Default is everything but the URLs.
func Default() *Config {
	return &Config{
		Interval:       5 * time.Second,
		FullInterval:   10 * time.Minute,
		DeltaRetention: 3 * time.Minute,
		ConnectTimeout: 3 * time.Second,
		Timeout:        10 * time.Second,
		MaxBodyMB:      256,
		Heartbeat:      10 * time.Second,
		Lease:          30 * time.Second,
	}
}

// Validate names each mistake by its place in the section.
func (c *Config) Validate() error {
	var errs []error
	if len(c.URLs) == 0 {
		errs = append(errs, errors.New("urls: is missing"))
	}
	for n, u := range c.URLs {
		if _, err := c.server(u); err != nil {
			errs = append(errs, fmt.Errorf("urls[%d]: %w", n, err))
		} else if first := slices.Index(c.URLs, u); first < n {
			errs = append(errs, fmt.Errorf("urls[%d]: is already listed at [%d]", n, first))
		}
	}
	switch {
	case c.Username == "" && c.Password != "":
		errs = append(errs, errors.New("username: is missing, but password is given"))
	case strings.Contains(c.Username, ":"):
		errs = append(errs, errors.New("username: must not contain a colon"))
	}
	if err := c.TLS.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("tls: %w", err))
	}
	for _, d := range []struct {
		field              string
		value, least, most time.Duration
	}{
		{"interval", c.Interval, 100 * time.Millisecond, 10 * time.Minute},
		{"fullInterval", c.FullInterval, time.Second, 24 * time.Hour},
		{"deltaRetention", c.DeltaRetention, time.Second, 24 * time.Hour},
		{"connectTimeout", c.ConnectTimeout, 10 * time.Millisecond, time.Minute},
		{"timeout", c.Timeout, 10 * time.Millisecond, 10 * time.Minute},
		{"heartbeat", c.Heartbeat, time.Second, time.Hour},
		{"lease", c.Lease, time.Second, 24 * time.Hour},
	} {
		if d.value < d.least || d.value > d.most {
			errs = append(errs, fmt.Errorf("%s: %v is not in %v-%v", d.field, d.value, d.least, d.most))
		}
	}
	if c.Lease < 2*c.Heartbeat {
		errs = append(errs, fmt.Errorf("lease: %v is less than two heartbeats of %v: one that is late would end it", c.Lease, c.Heartbeat))
	}
	if c.MaxBodyMB < 1 || c.MaxBodyMB > 1<<16 {
		errs = append(errs, fmt.Errorf("maxBodyMB: %d is not in 1-65536", c.MaxBodyMB))
	}
	return errors.Join(errs...)
}

// Resolve makes relative files count from folder, where the document stands.
func (c *Config) Resolve(folder string) { c.TLS.Resolve(folder) }

// Identity implements registry.Config.
func (c *Config) Identity() string {
	names := make([]string, 0, len(c.URLs))
	for _, u := range c.URLs {
		if s, err := c.server(u); err == nil {
			names = append(names, s.name)
		}
	}
	return fmt.Sprintf("eureka %v", names)
}

// Build makes the registry; it connects when it runs. The section must not change afterwards.
func (c *Config) Build(opts registry.Options) (registry.Registry, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return newClient(c, opts)
}

// server is one of the URLs.
type server struct {
	name               string // the base address without the user: for people
	base               *url.URL
	username, password string
}

// server reads one of the URLs.
func (c *Config) server(text string) (*server, error) {
	if strings.Contains(text, ",") {
		return nil, errors.New("holds a comma: write each address as an entry of its own")
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("is not a URL") // the text may hold a password
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errors.New("must be http://host:port/path or https://host:port/path")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("must end with its path, without ? and #")
	}
	s := &server{username: c.Username, password: c.Password}
	if u.User != nil {
		s.username = u.User.Username()
		s.password, _ = u.User.Password()
		u.User = nil
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	s.base, s.name = u, u.String()
	return s, nil
}
