package proxy

import (
	"context"
	"math/rand/v2"

	"github.com/sluice-gateway/sluice/protocol"
)

// split sends each request to one of several ends, by weight.
type split struct {
	ends []protocol.Handler
	// upTo holds the sum of the weights up to and with each end.
	upTo  []int
	total int
}

func (s *split) add(end protocol.Handler, weight int) {
	s.total += weight
	s.ends, s.upTo = append(s.ends, end), append(s.upTo, s.total)
}

// Serve implements protocol.Handler.
func (s *split) Serve(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
	n := rand.IntN(s.total)
	for i, upTo := range s.upTo {
		if n < upTo {
			return s.ends[i].Serve(ctx, req)
		}
	}
	return nil, errUnanswered // the last sum is the total
}
