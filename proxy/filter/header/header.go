// Package header holds the filters that edit header fields: setRequestHeader, addRequestHeader, removeRequestHeader, and
// the same for responses.
package header

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// Side says whose header is edited.
type Side uint8

// The two sides of an exchange.
const (
	Request Side = iota
	Response
)

type action uint8

const (
	set action = iota
	add
	remove
)

// Config is the section of each of these filters.
type Config struct {
	// Name of the field; case does not matter. Required.
	Name string `yaml:"name"`
	// Value that it is given; not for the removing filters. May be empty.
	Value string `yaml:"value"`

	side   Side
	action action
}

// Set gives a field exactly one value. Setting a request's Host changes the authority that is sent to services with
// preserveHost.
func Set(side Side) *Config { return &Config{side: side, action: set} }

// Add appends a field beside those of the same name.
func Add(side Side) *Config { return &Config{side: side, action: add} }

// Remove drops every field of the name.
func Remove(side Side) *Config { return &Config{side: side, action: remove} }

// Validate implements filter.Config.
func (c *Config) Validate() error {
	return errors.Join(c.validateName(), c.validateValue())
}

func (c *Config) validateName() error {
	if c.Name == "" {
		return errors.New("name: is missing")
	}
	if !Token(c.Name) {
		return fmt.Errorf("name: %q is not the name of a header field", c.Name)
	}
	id := protocol.LookupName(c.Name)
	switch {
	case id.HopByHop() || id == protocol.NameContentLength:
		return fmt.Errorf("name: %s belongs to the connection; the gateway writes it itself", c.Name)
	case id == protocol.NameHost && (c.side == Response || c.action != set):
		return errors.New("name: Host can only be set, and only in requests")
	}
	return nil
}

func (c *Config) validateValue() error {
	if c.action == remove && c.Value != "" {
		return errors.New("value: has no meaning where a field is removed")
	}
	if err := CheckValue(c.Value); err != nil {
		return fmt.Errorf("value: %w", err)
	}
	if c.action == set && protocol.LookupName(c.Name) == protocol.NameHost && (c.Value == "" || strings.ContainsAny(c.Value, "/ @?#")) {
		return fmt.Errorf("value: %q is not a host", c.Value)
	}
	return nil
}

// Build implements filter.Config.
func (c *Config) Build() (protocol.Filter, error) {
	if c.side == Request {
		return c.request, nil
	}
	return c.response, nil
}

func (c *Config) request(next protocol.Handler) protocol.Handler {
	host := protocol.LookupName(c.Name) == protocol.NameHost
	return protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		if host {
			req.Authority = c.Value
		} else {
			c.edit(&req.Header)
		}
		return next.Serve(ctx, req)
	})
}

func (c *Config) response(next protocol.Handler) protocol.Handler {
	return protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp, err := next.Serve(ctx, req)
		if err == nil {
			c.edit(&resp.Header)
		}
		return resp, err
	})
}

func (c *Config) edit(h *protocol.Header) {
	switch c.action {
	case set:
		h.Set(c.Name, c.Value)
	case add:
		h.Add(c.Name, c.Value)
	case remove:
		h.Del(c.Name)
	}
}

// Token reports whether s may name a field (RFC 9110 section 5.6.2).
func Token(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		alphanumeric := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if !alphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// CheckValue says why s may not be the value of a field (RFC 9110 section 5.5).
func CheckValue(s string) error {
	if s != strings.Trim(s, " \t") {
		return fmt.Errorf("%q begins or ends with a blank, which no recipient would see", s)
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return fmt.Errorf("%q holds a control character", s)
		}
	}
	return nil
}
