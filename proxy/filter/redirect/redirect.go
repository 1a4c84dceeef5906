// Package redirect answers requests with a redirection.
package redirect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/filter/header"
)

// Config is the section of the filter redirect.
type Config struct {
	// To is the whole target, as it is sent. With it, scheme, host and path have no meaning.
	To string `yaml:"to"`
	// Scheme, Host and Path replace that part of the request's own address; what is left out stays.
	Scheme string `yaml:"scheme"`
	Host   string `yaml:"host"`
	Path   string `yaml:"path"`
	// DropQuery leaves the query out.
	DropQuery bool `yaml:"dropQuery"`
	// Status is 301, 302 (default), 303, 307 or 308.
	Status int `yaml:"status"`
}

// Default is a temporary redirection.
func Default() *Config { return &Config{Status: 302} }

// Answers implements filter.Answerer.
func (c *Config) Answers() bool { return true }

// Validate implements filter.Config.
func (c *Config) Validate() error {
	var errs []error
	if !slices.Contains([]int{301, 302, 303, 307, 308}, c.Status) {
		errs = append(errs, fmt.Errorf("status: %d is not one of 301, 302, 303, 307, 308", c.Status))
	}
	parts := c.Scheme != "" || c.Host != "" || c.Path != ""
	switch {
	case c.To == "" && !parts:
		errs = append(errs, errors.New("to: is missing; or give scheme, host or path"))
	case c.To != "" && parts:
		errs = append(errs, errors.New("to: goes without scheme, host and path"))
	}
	if err := header.CheckValue(c.To); err != nil {
		errs = append(errs, fmt.Errorf("to: %w", err))
	}
	if c.Scheme != "" && c.Scheme != "http" && c.Scheme != "https" {
		errs = append(errs, fmt.Errorf("scheme: %q is not http or https", c.Scheme))
	}
	if strings.ContainsAny(c.Host, "/ @?#\r\n") {
		errs = append(errs, fmt.Errorf("host: %q is not a host", c.Host))
	}
	if c.Path != "" {
		if !strings.HasPrefix(c.Path, "/") {
			errs = append(errs, errors.New(`path: must begin with "/"`))
		} else if _, err := protocol.NormalizePath(new(protocol.Arena), c.Path); err != nil {
			errs = append(errs, fmt.Errorf("path: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Build implements filter.Config.
func (c *Config) Build() (protocol.Filter, error) {
	return func(protocol.Handler) protocol.Handler { return protocol.HandlerFunc(c.serve) }, nil
}

func (c *Config) serve(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
	resp := req.NewResponse()
	resp.Status = c.Status
	resp.Header.AddKnown(protocol.NameLocation, "Location", c.location(req))
	return resp, nil
}

func (c *Config) location(req *protocol.Request) string {
	to := c.To
	if to == "" {
		scheme, host, path := c.Scheme, c.Host, c.Path
		if scheme == "" {
			scheme = req.Scheme
		}
		if host == "" {
			host = req.Authority
			if c.Scheme != "" && c.Scheme != req.Scheme {
				host = withoutPort(host) // the other scheme is not spoken on this port
			}
		}
		if path == "" {
			path = req.Path
		}
		to = req.Arena.Concat(scheme, "://", host, path)
	}
	if req.RawQuery == "" || c.DropQuery || strings.Contains(to, "?") {
		return to
	}
	return req.Arena.Concat(to, "?", req.RawQuery)
}

func withoutPort(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		return host[:i]
	}
	return host
}
