package upstream

import (
	"context"
	"errors"
	"sync"

	"github.com/sluice-gateway/sluice/protocol"
)

// errGivenUp is why a try ended whose answer nobody needs any more.
var errGivenUp = errors.New("another try was quicker")

// tryContext is the context of one of two tries: it ends with the request's own, or when the try is given up, which its
// client must notice at once.
type tryContext struct {
	context.Context //nolint:containedctx // it is one
	end             context.CancelCauseFunc

	mu    sync.Mutex
	over  bool
	wake  func()
	woken bool
}

var _ protocol.Interrupter = (*tryContext)(nil)

func newTryContext(parent context.Context) *tryContext {
	c := &tryContext{}
	c.Context, c.end = context.WithCancelCause(parent)
	return c
}

// giveUp ends the try. It does nothing the second time.
func (c *tryContext) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.over = true
	c.end(errGivenUp)
	if c.wake != nil {
		c.wake()
		c.woken = true
	}
}

// Interrupt implements protocol.Interrupter.
func (c *tryContext) Interrupt(wake func()) (woken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	woken, c.wake = c.woken, wake
	c.woken = false
	if c.over && wake != nil {
		wake()
		c.woken = true
	}
	return woken
}
