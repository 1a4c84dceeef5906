package http2

import (
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// armAt sees to it that waiting goroutines are looked at no later than t. One timer serves the whole connection, and is left
// alone if it fires earlier: deadlines nearly always grow, so that a wait costs a comparison. The lock is held.
func (c *conn) armAt(t int64) {
	if c.timerAt != 0 && c.timerAt <= t || c.dead != nil {
		return
	}
	c.timerAt = t
	d := time.Duration(max(t-protocol.Now(), 0))
	if c.timer == nil {
		c.timer = time.AfterFunc(d, c.onTimer)
		return
	}
	c.timer.Reset(d)
}

// timerStep keeps many different deadlines from making the timer fire for each.
const timerStep = int64(time.Millisecond)

// onTimer wakes who has waited long enough; they look at the clock themselves.
func (c *conn) onTimer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timerAt = 0
	now, next := protocol.Now(), int64(0)
	earliest := func(t int64) {
		if next == 0 || t < next {
			next = t
		}
	}
	for _, s := range c.streams {
		if s.rwaits && s.rlimit != 0 {
			if s.rlimit <= now {
				s.rwaits = false
				signal(s.rwake)
			} else {
				earliest(s.rlimit)
			}
		}
		if s.wwaits && s.wlimit != 0 {
			if s.wlimit <= now {
				s.wakeWriter()
			} else {
				earliest(s.wlimit)
			}
		}
	}
	if next != 0 {
		c.armAt(max(next, now+timerStep))
	}
}
