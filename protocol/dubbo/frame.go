package dubbo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// headerLen is the fixed part of every frame:
//
//	0-1   magic da bb
//	2     0x80 request, 0x40 two-way, 0x20 event, low five bits: serialization
//	3     status, in answers only
//	4-11  number of the request, big endian, chosen by the client and echoed
//	12-15 length of what follows
const headerLen = 16

const (
	magicHigh = 0xda
	magicLow  = 0xbb

	flagRequest = 0x80
	flagTwoWay  = 0x40
	flagEvent   = 0x20
	// serializationMask covers the serialization's number in the flag byte.
	serializationMask = 0x1f
	// hessian2 is the one serialization in every provider's list of accepted ones.
	hessian2 = 2
)

// frameHeader is a frame's fixed part, decoded.
type frameHeader struct {
	flag   byte
	status byte
	id     uint64
	length int
}

func (h frameHeader) isRequest() bool     { return h.flag&flagRequest != 0 }
func (h frameHeader) isTwoWay() bool      { return h.flag&flagTwoWay != 0 }
func (h frameHeader) isEvent() bool       { return h.flag&flagEvent != 0 }
func (h frameHeader) serialization() byte { return h.flag & serializationMask }

// appendHeader appends the fixed part with length 0; setLength fills it in.
func appendHeader(dst []byte, flag, status byte, id uint64) []byte {
	dst = append(dst, magicHigh, magicLow, flag, status)
	dst = binary.BigEndian.AppendUint64(dst, id)
	return append(dst, 0, 0, 0, 0)
}

// setLength completes the frame that began at frame[0] and reaches to its end.
func setLength(frame []byte) {
	binary.BigEndian.PutUint32(frame[12:headerLen], uint32(len(frame)-headerLen))
}

// errBadMagic means that the two ends no longer agree where frames begin, so nothing that follows can be trusted.
var errBadMagic = errors.New("frame does not begin with the magic number")

func parseHeader(p []byte) (frameHeader, error) {
	if p[0] != magicHigh || p[1] != magicLow {
		return frameHeader{}, fmt.Errorf("%w: % x", errBadMagic, p[:4])
	}
	n := binary.BigEndian.Uint32(p[12:headerLen])
	if n > maxFrame {
		return frameHeader{}, fmt.Errorf("frame of %d bytes", n)
	}
	return frameHeader{flag: p[2], status: p[3], id: binary.BigEndian.Uint64(p[4:12]), length: int(n)}, nil
}

const (
	// maxFrame is the longest frame that is skipped rather than taken for a broken stream.
	maxFrame = 256 << 20
	// readWindow is a connection's buffer: small answers are handed over from it without a buffer of their own.
	readWindow = 16 << 10
	// keptBody is the largest buffer for a long frame that is kept for the next one.
	keptBody = 256 << 10
)

// frameReader cuts a stream into frames.
type frameReader struct {
	src io.Reader
	// limit is the longest body that is handed over. A longer one is read and thrown away.
	limit int

	buf  []byte
	r, w int
	long []byte
}

func newFrameReader(src io.Reader, limit int) *frameReader {
	return &frameReader{src: src, limit: limit, buf: make([]byte, readWindow)}
}

// frame is one frame as read.
type frame struct {
	frameHeader
	// body is valid until the next call of next.
	body []byte
	// tooLong is true when the body was longer than the limit; body is empty then.
	tooLong bool
	// own is true when body fills a buffer that the caller may keep, if it gives another one back by swap.
	own bool
}

// next returns the next frame. An error ends the stream; io.EOF is one between frames.
func (fr *frameReader) next() (frame, error) {
	if err := fr.fill(headerLen); err != nil {
		return frame{}, err
	}
	h, err := parseHeader(fr.buf[fr.r:fr.w])
	if err != nil {
		return frame{}, err
	}
	fr.r += headerLen
	f := frame{frameHeader: h}
	switch {
	case h.length > fr.limit:
		f.tooLong = true
		err = fr.discard(h.length)
	case h.length <= len(fr.buf):
		if err = fr.fill(h.length); err == nil {
			f.body = fr.buf[fr.r : fr.r+h.length]
			fr.r += h.length
		}
	default:
		f.own = true
		f.body, err = fr.readLong(h.length)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return f, err
}

// swap gives the reader another buffer for long frames in exchange for the one that the last frame's body filled.
func (fr *frameReader) swap(b []byte) { fr.long = b[:0] }

// idle reports whether everything that was read has been handed over.
func (fr *frameReader) idle() bool { return fr.r == fr.w }

// fill reads until at least n bytes, at most a window, are buffered.
func (fr *frameReader) fill(n int) error {
	if fr.w-fr.r >= n {
		return nil
	}
	if fr.r > 0 && len(fr.buf)-fr.r < n || fr.r == fr.w {
		fr.w = copy(fr.buf, fr.buf[fr.r:fr.w])
		fr.r = 0
	}
	for fr.w-fr.r < n {
		m, err := fr.src.Read(fr.buf[fr.w:])
		fr.w += m
		if fr.w-fr.r >= n {
			return nil
		}
		if err != nil {
			if err == io.EOF && fr.w > fr.r {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// readLong reads a body that does not fit into the window. The buffer grows with what really arrives: a length alone
// reserves nothing.
func (fr *frameReader) readLong(n int) ([]byte, error) {
	b := append(fr.long[:0], fr.buf[fr.r:fr.w]...)
	fr.r, fr.w = 0, 0
	for len(b) < n {
		if len(b) == cap(b) {
			grown := make([]byte, len(b), min(n, max(2*cap(b), 64<<10)))
			copy(grown, b)
			b = grown
		}
		m, err := fr.src.Read(b[len(b):min(n, cap(b))])
		b = b[:len(b)+m]
		if err != nil && len(b) < n {
			return nil, err
		}
	}
	fr.long = b[:0]
	if cap(b) > keptBody {
		fr.long = nil
	}
	return b, nil
}

func (fr *frameReader) discard(n int) error {
	have := min(n, fr.w-fr.r)
	fr.r += have
	n -= have
	for n > 0 {
		fr.r, fr.w = 0, 0
		m, err := fr.src.Read(fr.buf[:min(n, len(fr.buf))])
		n -= m
		if err != nil && n > 0 {
			return err
		}
	}
	return nil
}
