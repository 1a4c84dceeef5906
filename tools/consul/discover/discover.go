// Package discover stands in for HashiCorp's go-discover in the Consul that the tests build: it knows no cloud, so that the SDKs of all
// clouds need not be compiled. An agent built with it joins by address only.
package discover

import (
	"errors"
	"log"
)

// Provider finds addresses in one cloud.
type Provider interface {
	Addrs(args map[string]string, l *log.Logger) ([]string, error)
	Help() string
}

// Providers are the clouds that are known: none.
var Providers = map[string]Provider{}

// Discover finds addresses by the name of a cloud.
type Discover struct{}

// Option changes a Discover.
type Option func(*Discover) error

// New makes a Discover.
func New(opts ...Option) (*Discover, error) {
	d := &Discover{}
	for _, opt := range opts {
		if err := opt(d); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// WithUserAgent is accepted and changes nothing.
func WithUserAgent(string) Option { return func(*Discover) error { return nil } }

// WithProviders is accepted and changes nothing.
func WithProviders(map[string]Provider) Option { return func(*Discover) error { return nil } }

// Names lists the clouds: none.
func (*Discover) Names() []string { return nil }

// Addrs fails: there is no cloud to ask.
func (*Discover) Addrs(string, *log.Logger) ([]string, error) {
	return nil, errors.New("discover addresses: this Consul was built for tests, without cloud auto-join")
}
