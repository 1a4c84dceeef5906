package http2

import "github.com/sluice-gateway/sluice/protocol"

// receiver is whose body it is: it says how long to wait, and turns what went wrong into what the reader shall see.
type receiver interface {
	// beforeWait is called, with the lock held, when the reader has to wait. It returns a time of protocol.Now, 0 for ever.
	beforeWait() int64
	// waited is called, without the lock, when that time has come. nil means to go on waiting.
	waited() error
	// broken translates why the stream ended early.
	broken(err error) error
	// trailers takes the trailers when the last piece is handed over. The lock is held.
	trailers(h *protocol.Header)
	// closeBody is Close.
	closeBody() error
}

// body is the protocol.Body over a stream's receiving half.
type body struct {
	s  *stream
	of receiver
}

// Next implements protocol.Body.
func (b *body) Next() ([]byte, bool, error) {
	s := b.s
	c := s.c
	c.mu.Lock()
	if s.again {
		s.again = false
		return b.hand()
	}
	s.release()
	for s.ready == 0 && !s.recvEnd {
		switch {
		case s.shut:
			c.commit()
			return nil, false, protocol.ErrBodyClosed
		case s.err != nil:
			err := s.err
			c.commit()
			return nil, false, b.of.broken(err)
		}
		if err := s.await(b.of); err != nil {
			return nil, false, err
		}
	}
	if s.shut {
		c.commit()
		return nil, false, protocol.ErrBodyClosed
	}
	if len(s.in) > 0 {
		s.taken = s.in[0]
		k := copy(s.in, s.in[1:])
		s.in[k] = chunk{}
		s.in = s.in[:k]
		s.ready -= s.taken.n
	}
	return b.hand()
}

// hand hands taken over and lets go of the lock.
func (b *body) hand() ([]byte, bool, error) {
	s := b.s
	var piece []byte
	if s.taken.buf != nil {
		piece = s.taken.buf.B[:s.taken.n]
	}
	more := !s.recvEnd || s.ready > 0
	s.handed += int64(len(piece))
	if s.maxBody > 0 && s.handed > s.maxBody {
		s.drop()
		s.c.commit()
		return nil, false, protocol.ErrBodyTooLarge
	}
	if !more {
		b.of.trailers(&s.trailer)
	}
	s.c.commit()
	s.readBytes.Add(int64(len(piece)))
	return piece, more, nil
}

// await waits until something has come, and takes the lock again unless it returns an error.
func (s *stream) await(of receiver) error {
	c := s.c
	s.rlimit = of.beforeWait()
	s.rwaits = true
	if s.rlimit != 0 {
		c.armAt(s.rlimit)
	}
	c.commit()
	<-s.rwake
	c.mu.Lock()
	s.rwaits = false
	if !s.overdue() {
		return nil
	}
	c.mu.Unlock()
	if err := of.waited(); err != nil {
		return err
	}
	c.mu.Lock()
	return nil
}

// overdue reports whether the reader has waited for as long as it may, for nothing. The lock is held.
func (s *stream) overdue() bool {
	waits := s.ready == 0 && !s.recvEnd && s.err == nil && !s.shut
	return waits && s.rlimit != 0 && protocol.Now() >= s.rlimit
}

// Buffered implements protocol.Body.
func (b *body) Buffered() int {
	s := b.s
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	switch {
	case s.shut:
		return 0
	case s.again:
		return s.taken.n
	}
	return s.ready
}

// Done implements protocol.Body.
func (b *body) Done() bool {
	s := b.s
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.recvEnd && s.ready == 0 && !s.again
}

// Rewind implements protocol.Body. It works while one piece at most was handed over.
func (b *body) Rewind() bool {
	s := b.s
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	switch {
	case s.shut || s.err != nil:
		return false
	case s.handed == 0 || s.again:
		return true
	case s.handed != int64(s.taken.n):
		return false
	}
	s.again, s.handed = true, 0
	s.readBytes.Store(0)
	return true
}

// Close implements protocol.Body.
func (b *body) Close() error { return b.of.closeBody() }
