// Package rewrite holds the filters that change the path a service sees: stripPrefix, prefixPath and rewritePath. Routes
// are matched before, by the path that the client sent.
package rewrite

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// Strip removes leading segments: the filter stripPrefix.
type Strip struct {
	// Parts is how many segments are removed. Default 1.
	Parts int `yaml:"parts"`
}

// DefaultStrip removes one segment.
func DefaultStrip() *Strip { return &Strip{Parts: 1} }

// Validate implements filter.Config.
func (c *Strip) Validate() error {
	if c.Parts < 1 {
		return errors.New("parts: must be at least 1")
	}
	return nil
}

// Build implements filter.Config.
func (c *Strip) Build() (protocol.Filter, error) {
	return func(next protocol.Handler) protocol.Handler {
		return protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
			req.Path = strip(req.Path, c.Parts)
			return next.Serve(ctx, req)
		})
	}, nil
}

func strip(path string, parts int) string {
	for range parts {
		i := strings.IndexByte(path[min(1, len(path)):], '/')
		if i < 0 {
			return "/"
		}
		path = path[i+1:]
	}
	return path
}

// Prefix puts a path in front: the filter prefixPath.
type Prefix struct {
	// Prefix begins with a slash and does not end with one. Required.
	Prefix string `yaml:"prefix"`
}

// Validate implements filter.Config.
func (c *Prefix) Validate() error {
	switch {
	case !strings.HasPrefix(c.Prefix, "/"):
		return errors.New(`prefix: must begin with "/"`)
	case strings.HasSuffix(c.Prefix, "/"):
		return errors.New(`prefix: must not end with "/"; the path that follows begins with one`)
	}
	if _, err := protocol.NormalizePath(new(protocol.Arena), c.Prefix); err != nil {
		return fmt.Errorf("prefix: %w", err)
	}
	return nil
}

// Build implements filter.Config.
func (c *Prefix) Build() (protocol.Filter, error) {
	prefix, err := protocol.NormalizePath(new(protocol.Arena), c.Prefix)
	if err != nil {
		return nil, err
	}
	return func(next protocol.Handler) protocol.Handler {
		return protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
			req.Path = req.Arena.Concat(prefix, req.Path)
			return next.Serve(ctx, req)
		})
	}, nil
}

// Path replaces what an expression matches: the filter rewritePath.
type Path struct {
	// Regex (RE2) is looked for in the path; every match is replaced. Required.
	Regex string `yaml:"regex"`
	// Replacement may name groups: $1, ${name}. As in Spring, $\ stands for $ as well.
	Replacement string `yaml:"replacement"`
}

// Validate implements filter.Config.
func (c *Path) Validate() error {
	if c.Regex == "" {
		return errors.New("regex: is missing")
	}
	if _, err := regexp.Compile(c.Regex); err != nil {
		return fmt.Errorf("regex: %w", err)
	}
	return nil
}

// Build implements filter.Config.
func (c *Path) Build() (protocol.Filter, error) {
	re, err := regexp.Compile(c.Regex)
	if err != nil {
		return nil, err
	}
	replacement := strings.ReplaceAll(c.Replacement, `$\`, "$")
	return func(next protocol.Handler) protocol.Handler {
		return protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
			if re.MatchString(req.Path) {
				// What comes out may hold dot segments again ("/x(.*)" on "/x../y"), so it is brought into normal form.
				path, err := protocol.NormalizePath(&req.Arena, "/"+strings.TrimPrefix(re.ReplaceAllString(req.Path, replacement), "/"))
				if err != nil {
					return nil, protocol.NewError(400, protocol.CodeBadRequest, "the path cannot be rewritten").With(err)
				}
				req.Path = path
			}
			return next.Serve(ctx, req)
		})
	}, nil
}
