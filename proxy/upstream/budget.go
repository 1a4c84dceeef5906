package upstream

import (
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/config"
)

// budget bounds the retries of one service to a share of its requests, so that a service whose instances all fail gets
// hardly more than what its clients send. It costs requests nothing: their number is asked for when a retry is.
//
// It is a bucket of tokens: each request puts a share of one in, each retry takes one out, and a few a second come by
// themselves for services with little traffic (Finagle's RetryBudget; the Google SRE book's chapter on overload asks for
// 10 %). The bucket holds no more than what about a second of the present traffic puts in, so that a long good time does
// not pay for a storm.
type budget struct {
	mu       sync.Mutex
	tokens   float64
	at       int64  // when the tokens were counted
	requests uint64 // at that time
	counted  uint64 // what was granted by then
	rate     float64
	granted  uint64
	refused  uint64
}

// take asks for one retry. requests is how many the service has been sent so far, retries among them.
func (b *budget) take(now int64, requests uint64, rule config.RetryBudget) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(now, requests, rule)
	if b.tokens < 1 {
		b.refused++
		return false
	}
	b.tokens--
	b.granted++
	return true
}

func (b *budget) count(now int64, requests uint64, rule config.RetryBudget) {
	first := b.at == 0
	seconds := float64(now-b.at) / float64(time.Second)
	if first {
		seconds = 1
	}
	var fresh float64
	if requests > b.requests { // instances that left took their counts with them
		fresh = max(0, float64(requests-b.requests)-float64(b.granted-b.counted)) // a retry earns no retry
	}
	b.at, b.requests, b.counted = now, requests, b.granted
	if seconds <= 0 {
		b.tokens += fresh * rule.Share
		return
	}
	// The traffic of about the last second, whatever the time between two questions.
	w := min(1, seconds)
	if first {
		fresh = min(fresh, 1/max(rule.Share, 0.01)) // what was sent since the start of the process is no rate
	}
	b.rate += (fresh/seconds - b.rate) * w
	// Either the share or the least number, not both: together they would be more than the share that was promised.
	earned, limit := fresh*rule.Share, b.rate*rule.Share
	if least := float64(rule.MinPerSecond); limit < least {
		earned, limit = least*seconds, least
	}
	b.tokens = min(b.tokens+earned, max(limit, 1))
}

// left is how many retries could be taken now, how many were, and how many were refused.
func (b *budget) left(now int64, requests uint64, rule config.RetryBudget) (tokens float64, granted, refused uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(now, requests, rule)
	return b.tokens, b.granted, b.refused
}
