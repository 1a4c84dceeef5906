// Package requestsize bounds the body of requests on one route.
package requestsize

import (
	"context"
	"errors"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
)

// Config is the section of the filter requestSize.
type Config struct {
	// Max is the largest body, such as 5MB. Required.
	Max config.Size `yaml:"max"`
}

// Default has no limit yet.
func Default() *Config { return &Config{} }

// Validate implements filter.Config.
func (c *Config) Validate() error {
	if c.Max <= 0 {
		return errors.New("max: must be more than 0, such as 5MB")
	}
	return nil
}

// Build implements filter.Config.
func (c *Config) Build() (protocol.Filter, error) {
	limit := int64(c.Max)
	return func(next protocol.Handler) protocol.Handler {
		return protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
			if req.ContentLength > limit {
				return nil, protocol.ErrBodyTooLarge
			}
			if req.Body != nil && req.ContentLength == protocol.UnknownLength && req.Upgrade == "" {
				req.Body = &bounded{Body: req.Body, limit: limit}
			}
			return next.Serve(ctx, req)
		})
	}, nil
}

// bounded is a body of unknown length that ends with an error when it is longer than limit.
type bounded struct {
	protocol.Body
	limit, seen int64
}

// Next implements protocol.Body.
func (b *bounded) Next() ([]byte, bool, error) {
	piece, more, err := b.Body.Next()
	b.seen += int64(len(piece))
	if err == nil && b.seen > b.limit {
		return nil, false, protocol.ErrBodyTooLarge
	}
	return piece, more, err
}

// Rewind implements protocol.Body.
func (b *bounded) Rewind() bool {
	if !b.Body.Rewind() {
		return false
	}
	b.seen = 0
	return true
}
