package http2

import "github.com/sluice-gateway/sluice/protocol"

// beforeWait implements receiver: for the head as for the body.
func (s *clientStream) beforeWait() int64 {
	limit := s.req.Deadline
	earlier := func(t int64) {
		if limit == 0 || t < limit {
			limit = t
		}
	}
	cfg := &s.conn.client.cfg
	if s.status == 0 {
		if t := int64(cfg.ResponseTimeout); t > 0 {
			if sent := s.sentAt.Load(); sent != 0 {
				earlier(sent + t)
			} else {
				earlier(protocol.Now() + t) // the pump says when; look again
			}
		}
	} else if t := int64(cfg.BodyIdleTimeout); t > 0 && !s.patient {
		if s.quiet == 0 {
			s.quiet = protocol.Now()
		}
		earlier(s.quiet + t)
	}
	if !s.watched {
		earlier(protocol.Now() + askInterval)
	}
	return limit
}

// waited implements receiver.
func (s *clientStream) waited() error {
	c := s.conn.client
	now := protocol.Now()
	step := "read body"
	s.c.mu.Lock()
	headless := s.status == 0
	s.c.mu.Unlock()
	if headless {
		step = "read head"
	}
	var err error
	switch t := int64(c.cfg.ResponseTimeout); {
	case s.req.Deadline != 0 && now >= s.req.Deadline:
		err = c.timeout(step, false, errAnswerLate)
	case headless && t > 0 && s.sentAt.Load() != 0 && now >= s.sentAt.Load()+t:
		err = c.timeout(step, false, errAnswerLate)
	case !headless && c.cfg.BodyIdleTimeout > 0 && !s.patient && now >= s.quiet+int64(c.cfg.BodyIdleTimeout):
		err = c.timeout(step, false, errBodyStalled)
	case !s.watched && s.ctx.Err() != nil:
		err = c.clientGone(step, false)
	default:
		return nil
	}
	s.fail(err)
	if !headless {
		s.resp.Fail(err)
	}
	return err
}

// broken implements receiver.
func (s *clientStream) broken(err error) error {
	err = s.conn.client.explain("read body", err)
	s.resp.Fail(err)
	return err
}

// trailers implements receiver.
func (s *clientStream) trailers(h *protocol.Header) { s.resp.Trailer, *h = *h, s.resp.Trailer }

// closeBody implements receiver.
func (s *clientStream) closeBody() error {
	s.closeStream()
	return nil
}

// writeStall implements sender.
func (s *clientStream) writeStall() int64 {
	if s.patient {
		return 0
	}
	return int64(s.conn.client.cfg.BodyIdleTimeout)
}
