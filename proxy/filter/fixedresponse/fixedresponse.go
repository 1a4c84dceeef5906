// Package fixedresponse answers requests with what the document says.
package fixedresponse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/filter/header"
)

// Config is the section of the filter fixedResponse.
type Config struct {
	// Status is 200 to 599. Default 200.
	Status int `yaml:"status"`
	// Body is sent as it is.
	Body string `yaml:"body"`
	// ContentType of the body. Default text/plain; charset=utf-8.
	ContentType string `yaml:"contentType"`
	// Headers are further fields.
	Headers map[string]string `yaml:"headers"`
}

// Default is an empty 200.
func Default() *Config { return &Config{Status: 200, ContentType: "text/plain; charset=utf-8"} }

// Answers implements filter.Answerer.
func (c *Config) Answers() bool { return true }

// Validate implements filter.Config.
func (c *Config) Validate() error {
	var errs []error
	if c.Status < 200 || c.Status > 599 {
		errs = append(errs, fmt.Errorf("status: %d is not in 200-599", c.Status))
	} else if c.Body != "" && protocol.NoBody("GET", c.Status) {
		errs = append(errs, fmt.Errorf("body: an answer with status %d has none", c.Status))
	}
	if err := header.CheckValue(c.ContentType); err != nil {
		errs = append(errs, fmt.Errorf("contentType: %w", err))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		field := header.Add(header.Response)
		field.Name, field.Value = name, c.Headers[name]
		if err := field.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("headers: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Build implements filter.Config.
func (c *Config) Build() (protocol.Filter, error) {
	names := slices.Sorted(maps.Keys(c.Headers))
	body := []byte(c.Body)
	return func(protocol.Handler) protocol.Handler {
		return protocol.HandlerFunc(func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
			resp := req.NewResponse()
			resp.Status = c.Status
			if len(body) > 0 {
				resp.Header.AddKnown(protocol.NameContentType, "Content-Type", c.ContentType)
				resp.Body, resp.ContentLength = protocol.NewBytes(body), int64(len(body))
			}
			for _, name := range names {
				resp.Header.Add(name, c.Headers[name])
			}
			return resp, nil
		})
	}, nil
}
