package http2

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/sluice-gateway/sluice/protocol"
)

// maxInterim bounds the interim answers that wait to be passed on.
const maxInterim = 16

// interim is a 1xx answer.
type interim struct {
	status int
	header protocol.Header
}

// liveness is what is asked of a context while nothing comes.
type liveness interface{ Err() error }

// clientStream is one exchange with an instance. It is pooled with its connection, is the Response's first registered
// Finisher, so the last to run, and says for its stream's body how long to wait.
type clientStream struct {
	stream
	conn *clientConn
	body body
	pump pump

	// Guarded by conn.mu.
	generation          uint32 // tells exchanges on the same object apart
	headless, upgrading bool   // the request's method is HEAD, it wants an upgrade
	arriving            protocol.Header
	interims            []interim
	status              int   // of the final head; 0 until it is there
	length              int64 // its content-length

	// Of the exchange.
	ctx     liveness
	watched bool // ctx wakes us
	req     *protocol.Request
	resp    *protocol.Response
	sentAt  atomic.Int64 // when the request was sent whole; 0 while it is not
	quiet   int64        // since when nothing comes that somebody waits for; 0 if nobody does
	patient bool
	over    atomic.Bool
}

func newClientStream(cc *clientConn) *clientStream {
	s := &clientStream{conn: cc}
	s.onCancel = s
	s.body = body{s: &s.stream, of: s}
	s.pump.s = s
	s.pump.done = make(chan struct{}, 1)
	return s
}

// cancelled implements canceller: who waits has been woken already.
func (s *clientStream) cancelled() {}

// head takes a head that has come and returns what is wrong with it. The lock is held.
func (s *clientStream) head(h *headBlock, end bool) (fault string) {
	if h.status < 200 {
		switch {
		case end:
			return "an interim answer ends the stream"
		case len(s.interims) == maxInterim:
			return "too many interim answers"
		}
		s.interims = append(s.interims, interim{status: h.status})
		s.interims[len(s.interims)-1].header, s.arriving = s.arriving, protocol.Header{}
		return ""
	}
	s.headed = true
	s.status, s.length = h.status, h.length
	s.expected = h.length
	if (s.headless || protocol.NoBody("", h.status)) && !s.upgrading {
		s.expected = 0
	}
	if end && s.expected > 0 {
		return "content-length without content"
	}
	return ""
}

// exchange sends what is at hand of the request's body and waits for the answer's head.
func (s *clientStream) exchange(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
	c := s.conn.client
	s.ctx, s.req = ctx, req
	s.resp = req.NewResponse()
	s.resp.OnClose(s) // already now, for the case that a panic below leaves the Response to its listener
	w, ok := ctx.(watchable)
	if s.watched = ok; ok {
		w.watch(s, s.generation)
	}
	if err := s.sendRequest(); err != nil {
		return nil, err
	}
	cc := &s.conn.conn
	cc.mu.Lock()
	for s.status == 0 || len(s.interims) > 0 {
		switch {
		case len(s.interims) > 0:
			s.passInterim()
		case s.err != nil:
			err := s.err
			cc.mu.Unlock()
			return nil, c.explain("read head", err)
		default:
			if err := s.await(s); err != nil {
				return nil, err
			}
		}
	}
	return s.accept()
}

// sendRequest sends what is at hand of the body, and leaves the rest to a pump.
func (s *clientStream) sendRequest() error {
	req := s.req
	cc := &s.conn.conn
	switch {
	case req.Body == nil:
		s.sentAt.Store(1)
		if s.conn.client.cfg.ResponseTimeout > 0 {
			s.sentAt.Store(protocol.Now())
		}
		cc.mu.Lock()
		cc.commit()
		return nil
	case req.Upgrade != "":
		cc.mu.Lock()
		cc.commit()
		return nil // the bytes follow when the instance has agreed
	}
	s.patient = strings.HasPrefix(req.Header.Value(protocol.NameContentType), "application/grpc")
	if awaitsContinue(req) {
		s.pump.prepare(nil, true)
		s.pump.held = true
		cc.mu.Lock()
		cc.commit()
		return nil
	}
	whole, rest, more, err := s.sendBuffered()
	if err != nil {
		s.fail(&bodyError{err})
		return s.conn.client.bodyFailure(err)
	}
	cc.mu.Lock()
	cc.commit()
	if whole {
		s.sentAt.Store(protocol.Now())
		return nil
	}
	s.pump.prepare(rest, more)
	s.conn.client.workers.run(&s.pump)
	return nil
}

// awaitsContinue reports whether the client wants to send its body only after 100 (Continue), and has not sent it yet
// (RFC 9110 section 10.1.1).
func awaitsContinue(req *protocol.Request) bool {
	return req.Header.Value(protocol.NameExpect) != "" && req.Body.Buffered() == 0 && !req.Body.Done()
}

// sendBuffered sends the pieces of the body that are at hand, as far as windows and buffer take them. rest is what they did
// not take of the piece that was handed over last.
func (s *clientStream) sendBuffered() (whole bool, rest []byte, more bool, err error) {
	b, cc := s.req.Body, &s.conn.conn
	for b.Buffered() > 0 || b.Done() {
		piece, more, err := b.Next()
		if err != nil {
			return false, nil, false, err
		}
		if err := s.pump.count(piece, more); err != nil {
			return false, nil, false, err
		}
		end := !more && s.req.Trailer.Len() == 0
		cc.mu.Lock()
		n := 0
		if s.listed && !s.sendEnd {
			n = s.appendData(piece, end)
			if n == len(piece) && !more && !end {
				s.endWithTrailers(&s.req.Trailer)
			}
		}
		cc.mu.Unlock()
		switch {
		case n < len(piece):
			return false, piece[n:], more, nil
		case !more:
			return true, nil, false, nil
		}
	}
	return false, nil, true, nil
}

// endWithTrailers ends our side with the request's trailers. The lock is held.
func (s *stream) endWithTrailers(h *protocol.Header) {
	if sendable(h) {
		s.appendTrailers(h)
		return
	}
	s.c.out = appendFrame(s.c.out, 0, frameData, flagEndStream, s.id)
	s.endSending()
}

// passInterim passes a 1xx answer on. The lock is held before and after, not meanwhile.
func (s *clientStream) passInterim() {
	i := s.interims[0]
	s.interims = s.interims[1:]
	s.c.mu.Unlock()
	if i.status == http.StatusContinue {
		s.pump.release()
	}
	if f := s.req.Informer; f != nil {
		f.Inform(i.status, &i.header)
	}
	s.c.mu.Lock()
}

// accept makes the Response. It lets go of the lock.
func (s *clientStream) accept() (*protocol.Response, error) {
	resp, req := s.resp, s.req
	resp.Status, resp.ContentLength = s.status, s.length
	resp.Header, s.arriving = s.arriving, resp.Header
	empty := s.recvEnd && s.ready == 0 && s.trailer.Len() == 0
	s.c.mu.Unlock()
	s.quiet = 0
	if req.Upgrade != "" && resp.Status == http.StatusOK {
		s.upgraded()
		empty = false
	} else if req.Upgrade == "" && s.status/100 == 2 {
		s.pump.release() // it did not say 100, and wants the body all the same
	}
	if resp.Status == http.StatusNoContent {
		resp.ContentLength = protocol.UnknownLength // RFC 9110 section 8.6: never sent with 204
	}
	if !empty {
		resp.Body = &s.body
	} else if resp.ContentLength < 0 && !protocol.NoBody(req.Method, resp.Status) {
		resp.ContentLength = 0
	}
	return resp, nil
}

// upgraded makes of the answer to an extended CONNECT what every listener understands, and lets the other direction go.
func (s *clientStream) upgraded() {
	resp, req := s.resp, s.req
	resp.Status, resp.Upgrade, resp.ContentLength = http.StatusSwitchingProtocols, true, protocol.UnknownLength
	s.patient = true
	if key, ok := req.Header.Lookup(keyField); ok {
		resp.Header.Set(acceptField, acceptKey(key))
	}
	if req.Body != nil {
		s.pump.prepare(nil, true)
		s.pump.length = protocol.UnknownLength
		s.conn.client.workers.run(&s.pump)
	}
}

// fail ends the stream because of err, which its reader gets.
func (s *clientStream) fail(err error) {
	c := s.c
	c.mu.Lock()
	if s.listed {
		s.abort(err)
		c.resetStream(&s.stream, Cancel)
	}
	c.commit()
}

// lost reports whether the connection ended without a byte of an answer.
func (s *clientStream) lost() bool {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.c.dead != nil && s.status == 0
}

// giveUp ends the exchange of a generation, because whoever wanted its answer is gone.
func (s *clientStream) giveUp(generation uint32) {
	c := &s.conn.conn // not s.c, which another exchange may be setting
	c.mu.Lock()
	if s.generation == generation && s.listed {
		s.abort(errGone)
		c.resetStream(&s.stream, Cancel)
	}
	c.commit()
}

// Finish implements protocol.Finisher: the exchange is over.
func (s *clientStream) Finish(*protocol.Request, *protocol.Response, error) {
	if s.req == nil {
		return // given up: there was no answer, only the empty Response for it
	}
	if s.finish() {
		s.conn.recycle(s)
	}
}

// finish ends the exchange and reports whether both sides of the stream came to their ends.
func (s *clientStream) finish() (clean bool) {
	s.closeStream()
	if s.watched {
		s.ctx.(watchable).watch(nil, 0)
	}
	s.ctx, s.req, s.resp = nil, nil, nil
	if s.conn.client.pool.crowded() {
		s.conn.client.pool.roomMade(1)
	}
	s.c.mu.Lock()
	s.release()
	clean = s.err == nil
	s.c.commit()
	return clean
}

// closeStream gives up what is left of both directions and waits until nobody reads the request's body.
func (s *clientStream) closeStream() {
	if s.over.Swap(true) {
		return
	}
	c := s.c
	c.mu.Lock()
	s.drop()
	if s.listed {
		c.resetStream(&s.stream, Cancel)
	}
	c.commit()
	s.pump.stop()
}

// recycle keeps a stream for another exchange.
func (cc *clientConn) recycle(s *clientStream) {
	s.stream.recycle()
	s.arriving.Reset()
	s.interims, s.status, s.length = nil, 0, 0
	s.sentAt.Store(0)
	s.over.Store(false)
	s.patient, s.quiet, s.watched = false, 0, false
	s.pump.reset()
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.dead == nil && !cc.leaving {
		cc.free = append(cc.free, s)
	}
}
