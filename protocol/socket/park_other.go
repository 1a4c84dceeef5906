//go:build !linux

package socket

import "errors"

// Parker exists on Linux only; elsewhere idle connections keep their goroutine.
type Parker struct{}

// NewParker says that there is none.
func NewParker() (*Parker, error) { return nil, errors.ErrUnsupported }

// Park is never reached.
func (p *Parker) Park(Parked, int64) bool { return false }

// Len is 0.
func (p *Parker) Len() int { return 0 }

// Flush has nothing to do.
func (p *Parker) Flush() {}

// Close has nothing to do.
func (p *Parker) Close() {}
