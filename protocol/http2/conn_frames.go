package http2

import "encoding/binary"

// headers begins a header block (RFC 9113 section 6.2).
func (c *conn) headers(f *frame, p []byte) error {
	if f.stream == 0 {
		return violation(ProtocolError, "HEADERS on stream 0")
	}
	if f.has(flagPadded) {
		if len(p) == 0 {
			return violation(FrameSizeError, "padded HEADERS without a length")
		}
		pad := int(p[0])
		p = p[1:]
		if pad > len(p) {
			return violation(ProtocolError, "HEADERS have more padding than payload")
		}
		p = p[:len(p)-pad]
	}
	selfish := false
	if f.has(flagPriority) {
		if len(p) < 5 {
			return violation(FrameSizeError, "HEADERS are too short for their priority")
		}
		selfish = binary.BigEndian.Uint32(p)&maxWindow == f.stream
		p = p[5:]
	}
	c.budget.earn(earnedByHeaders)
	b := &c.block
	b.stream, b.end = f.stream, f.has(flagEndStream)
	if selfish {
		// RFC 7540 section 5.3.1; RFC 9113 has no priorities, and clients that send such nonsense deserve no better.
		c.mu.Lock()
		if s := c.streams[f.stream]; s != nil {
			c.resetStream(s, ProtocolError)
			c.cancelled = append(c.cancelled, s)
		} else if c.server && f.stream&1 == 1 && f.stream > c.last {
			c.last = f.stream
			c.refuse(f.stream, ProtocolError)
		}
		ok := c.spendReset()
		c.mu.Unlock()
		if !ok {
			return errRapidReset
		}
	}
	if f.has(flagEndHeaders) {
		return c.decode(p)
	}
	b.active, b.frames = true, 0
	b.octets = append(b.octets[:0], p...)
	return nil
}

// continuation goes on with a header block (section 6.10).
func (c *conn) continuation(f *frame, p []byte) error {
	b := &c.block
	if !b.active {
		return violation(ProtocolError, "CONTINUATION without a header block")
	}
	if b.frames++; b.frames > maxContinuations || len(b.octets)+len(p) > c.head.maxBytes+maxFrame {
		return violation(EnhanceYourCalm, "header block is too large")
	}
	b.octets = append(b.octets, p...)
	if !f.has(flagEndHeaders) {
		return nil
	}
	octets := b.octets
	b.active, b.octets = false, nil // rare enough, so nothing is kept
	return c.decode(octets)
}

// decode decodes a whole header block and hands it on.
func (c *conn) decode(octets []byte) error {
	id, end := c.block.stream, c.block.end
	s, kind, err := c.role.headersFor(id, end)
	if err != nil {
		return err
	}
	arena := &c.head.scrap
	if s == nil {
		kind = headDiscarded
		c.head.begin(kind, nil)
	} else {
		arena = &s.arena
	}
	if err := c.decoder.Decode(octets, arena, &c.head); err != nil {
		return violation(CompressionError, err.Error())
	}
	if s == nil {
		c.head.scrap.Reset()
		return nil
	}
	return c.role.headersDone(s, kind, end)
}

// rstStream is section 6.4.
func (c *conn) rstStream(f *frame, p []byte) error {
	switch {
	case f.stream == 0:
		return violation(ProtocolError, "RST_STREAM on stream 0")
	case len(p) != 4:
		return violation(FrameSizeError, "RST_STREAM is not of four octets")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle(f.stream) {
		return violation(ProtocolError, "RST_STREAM on an idle stream")
	}
	s := c.streams[f.stream]
	if s == nil {
		return c.idleFrame()
	}
	code := ErrCode(binary.BigEndian.Uint32(p))
	unanswered := !s.sendEnd
	if !c.server && code == NoError && s.recvEnd {
		s.sendEnd = true // the server has answered and wants no more of the request (section 8.1)
		c.resets.add(s.id, false)
		c.forget(s)
		s.wakeWriter()
		return nil
	}
	s.abort(&resetError{code: code})
	c.resets.add(s.id, false)
	c.forget(s)
	c.cancelled = append(c.cancelled, s)
	if c.server && unanswered && !c.spendReset() {
		return errRapidReset
	}
	return nil
}

// priority is section 6.3: looked at and ignored. All streams get their turns alike, which is what RFC 9218 section 10
// recommends for those that say nothing, and fair to all who share a connection.
func (c *conn) priority(f *frame, p []byte) error {
	if f.stream == 0 {
		return violation(ProtocolError, "PRIORITY on stream 0")
	}
	if len(p) != 5 || binary.BigEndian.Uint32(p)&maxWindow == f.stream {
		code := FrameSizeError
		if len(p) == 5 {
			code = ProtocolError
		}
		c.mu.Lock()
		if s := c.streams[f.stream]; s != nil {
			c.resetStream(s, code)
			c.cancelled = append(c.cancelled, s)
		} else if c.idle(f.stream) {
			c.mu.Unlock()
			return violation(code, "PRIORITY is not valid")
		} else {
			c.refuse(f.stream, code)
		}
		ok := c.spendReset()
		c.mu.Unlock()
		if !ok {
			return errRapidReset
		}
	}
	return c.idleFrame()
}

// windowUpdate is section 6.9.
func (c *conn) windowUpdate(f *frame, p []byte) error {
	if len(p) != 4 {
		return violation(FrameSizeError, "WINDOW_UPDATE is not of four octets")
	}
	n := int64(binary.BigEndian.Uint32(p) & maxWindow)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.budget.earn(c.takeEarned())
	if err := c.idleFrame(); err != nil {
		return err
	}
	if f.stream == 0 {
		if n == 0 {
			return violation(ProtocolError, "WINDOW_UPDATE of nothing")
		}
		if c.sendWin += n; c.sendWin > maxWindow {
			return violation(FlowControlError, "the connection's window is too large")
		}
		c.wakeWaiting()
		return nil
	}
	s := c.streams[f.stream]
	if s == nil {
		if c.idle(f.stream) {
			return violation(ProtocolError, "WINDOW_UPDATE on an idle stream")
		}
		return nil
	}
	code := NoError
	if n == 0 {
		code = ProtocolError
	} else if s.sendWin += n; s.sendWin > maxWindow {
		code = FlowControlError
	}
	if code != NoError {
		if !c.faulty(s, code) {
			return errRapidReset
		}
		return nil
	}
	s.wakeWriter()
	return nil
}

// ping is section 6.7.
func (c *conn) ping(f *frame, p []byte) error {
	switch {
	case f.stream != 0:
		return violation(ProtocolError, "PING on a stream")
	case len(p) != 8:
		return violation(FrameSizeError, "PING is not of eight octets")
	}
	if f.has(flagAck) {
		c.role.pinged(binary.BigEndian.Uint64(p))
		return c.idleFrame()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.budget.earn(c.takeEarned())
	if len(c.out) > maxOut+maxFrame {
		return errFlood // it asks and does not read the answers
	}
	c.out = appendPing(c.out, flagAck, p)
	return c.idleFrame()
}

// settings is section 6.5.
func (c *conn) settings(f *frame, p []byte) error {
	switch {
	case f.stream != 0:
		return violation(ProtocolError, "SETTINGS on a stream")
	case f.has(flagAck):
		if len(p) != 0 {
			return violation(FrameSizeError, "acknowledged SETTINGS with a payload")
		}
		return c.idleFrame()
	case len(p)%6 != 0:
		return violation(FrameSizeError, "SETTINGS are not of six octets each")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settled = true
	if len(c.out) > maxOut+maxFrame {
		return errFlood
	}
	for ; len(p) > 0; p = p[6:] {
		if err := c.setting(settingID(binary.BigEndian.Uint16(p)), binary.BigEndian.Uint32(p[2:])); err != nil {
			return err
		}
	}
	c.out = appendFrame(c.out, 0, frameSettings, flagAck, 0)
	c.role.changed()
	return c.idleFrame()
}

// setting applies one. The lock is held.
func (c *conn) setting(id settingID, v uint32) error {
	switch id {
	case settingHeaderTableSize:
		c.enc.SetPeerLimit(v)
	case settingEnablePush:
		if v > 1 || v == 1 && !c.server {
			return violation(ProtocolError, "SETTINGS_ENABLE_PUSH is not 0 or 1")
		}
	case settingMaxConcurrentStreams:
		c.peer.streams = v
	case settingInitialWindowSize:
		if v > maxWindow {
			return violation(FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE is too large")
		}
		delta := int64(v) - c.peer.window
		c.peer.window = int64(v)
		for _, s := range c.streams {
			if s.sendWin += delta; s.sendWin > maxWindow {
				return violation(FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE makes a window too large")
			}
			if delta > 0 {
				s.wakeWriter()
			}
		}
	case settingMaxFrameSize:
		if v < maxFrame || v > 1<<24-1 {
			return violation(ProtocolError, "SETTINGS_MAX_FRAME_SIZE is out of range")
		}
		c.peer.frame = int(min(v, maxSentFrame))
	case settingMaxHeaderListSize:
		c.peer.headerList = v
	case settingEnableConnect:
		if v > 1 || v == 0 && c.peer.connect {
			return violation(ProtocolError, "SETTINGS_ENABLE_CONNECT_PROTOCOL is not valid") // RFC 8441 section 3
		}
		c.peer.connect = v == 1
	}
	return nil
}

// maxSentFrame bounds our DATA frames whatever the peer accepts, so that streams that share a connection get their turns.
const maxSentFrame = 16 << 10
