package http2

import (
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// budget bounds what a peer can make this end do without doing anything useful itself. Floods of PING, SETTINGS, PRIORITY,
// WINDOW_UPDATE, empty DATA and unknown frames (CVE-2019-9512 and its siblings) use up frames, requests that are reset
// before they are answered (CVE-2023-44487), or that are made so that we reset them (CVE-2025-8671), use up resets. Both
// grow again with useful traffic and, slowly, with time. A connection without either is closed with ENHANCE_YOUR_CALM.
type budget struct {
	frames, resets int
	at             int64
}

const (
	maxFrames, framesPerSecond = 2000, 100
	maxResets, resetsPerSecond = 200, 20
	// earnedByHeaders and earnedByData are what one frame of use allows in other frames: acknowledgements, window updates.
	earnedByHeaders, earnedByData = 10, 3
)

func (b *budget) init(now int64) { *b = budget{frames: maxFrames, resets: maxResets, at: now} }

func (b *budget) earn(frames int) { b.frames = min(maxFrames, b.frames+frames) }

// spendReset pays for one reset and reports whether that was possible. The connection's lock is held.
func (c *conn) spendReset() bool {
	c.budget.resets = min(maxResets, c.budget.resets+c.answered)
	c.answered = 0
	return c.budget.reset(protocol.Now)
}

// frame pays for one frame and reports whether that was possible.
func (b *budget) frame(now func() int64) bool {
	if b.frames <= 0 {
		b.refill(now())
	}
	b.frames--
	return b.frames >= 0
}

// reset pays for one stream that was for nothing.
func (b *budget) reset(now func() int64) bool {
	if b.resets <= 0 {
		b.refill(now())
	}
	b.resets--
	return b.resets >= 0
}

func (b *budget) refill(now int64) {
	passed := min(now-b.at, int64(time.Minute))
	b.at = now
	b.frames = min(maxFrames, max(b.frames, 0)+int(passed*framesPerSecond/int64(time.Second)))
	b.resets = min(maxResets, max(b.resets, 0)+int(passed*resetsPerSecond/int64(time.Second)))
}

var errFlood = violation(EnhanceYourCalm, "too many frames that do nothing")
var errRapidReset = violation(EnhanceYourCalm, "too many requests were reset")
