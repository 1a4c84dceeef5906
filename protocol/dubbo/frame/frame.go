package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// HeaderLen is the fixed part of every frame:
//
//	0-1   magic da bb
//	2     0x80 request, 0x40 two-way, 0x20 event, low five bits: serialization
//	3     status, in answers only
//	4-11  number of the request, big endian, chosen by the client and echoed
//	12-15 length of what follows
const HeaderLen = 16

const (
	magicHigh = 0xda
	magicLow  = 0xbb

	// Request marks a request; an answer lacks it.
	Request = 0x80
	// TwoWay marks a request that wants an answer.
	TwoWay = 0x40
	// Event marks a frame that is about the connection itself: heartbeats, and a provider's farewell.
	Event = 0x20
	// serializationMask covers the serialization's number in the flag byte.
	serializationMask = 0x1f
	// Hessian2 is the one serialization in every provider's list of accepted ones.
	Hessian2 = 2
)

// Header is a frame's fixed part, decoded.
type Header struct {
	// Flag holds the bits Request, TwoWay and Event, and the serialization.
	Flag byte
	// Status is set in answers only.
	Status byte
	// ID numbers a request; its answer has the same.
	ID uint64
	// Length is the body's, in bytes.
	Length int
}

// IsRequest tells a request from an answer.
func (h Header) IsRequest() bool { return h.Flag&Request != 0 }

// IsTwoWay tells whether a request wants an answer.
func (h Header) IsTwoWay() bool { return h.Flag&TwoWay != 0 }

// IsEvent tells whether the frame is about the connection itself.
func (h Header) IsEvent() bool { return h.Flag&Event != 0 }

// Serialization is the number of the body's serialization.
func (h Header) Serialization() byte { return h.Flag & serializationMask }

// AppendHeader appends the fixed part with length 0; SetLength fills it in.
func AppendHeader(dst []byte, flag, status byte, id uint64) []byte {
	dst = append(dst, magicHigh, magicLow, flag, status)
	dst = binary.BigEndian.AppendUint64(dst, id)
	return append(dst, 0, 0, 0, 0)
}

// SetLength completes the frame that began at frame[0] and reaches to its end.
func SetLength(frame []byte) {
	binary.BigEndian.PutUint32(frame[12:HeaderLen], uint32(len(frame)-HeaderLen))
}

// ErrBadMagic means that the two ends no longer agree where frames begin, so nothing that follows can be trusted.
var ErrBadMagic = errors.New("frame does not begin with the magic number")

func parseHeader(p []byte) (Header, error) {
	if p[0] != magicHigh || p[1] != magicLow {
		return Header{}, fmt.Errorf("%w: % x", ErrBadMagic, p[:4])
	}
	n := binary.BigEndian.Uint32(p[12:HeaderLen])
	if n > MaxLength {
		return Header{}, fmt.Errorf("frame of %d bytes", n)
	}
	return Header{Flag: p[2], Status: p[3], ID: binary.BigEndian.Uint64(p[4:12]), Length: int(n)}, nil
}

const (
	// MaxLength is the longest frame that is skipped rather than taken for a broken stream.
	MaxLength = 256 << 20
	// readWindow is a connection's buffer: small answers are handed over from it without a buffer of their own.
	readWindow = 16 << 10
	// KeptBody is the largest buffer for a long frame that is kept for the next one.
	KeptBody = 256 << 10
)

// Reader cuts a stream into frames.
type Reader struct {
	src io.Reader
	// limit is the longest body that is handed over. A longer one is read and thrown away.
	limit int

	buf  []byte
	r, w int
	long []byte
}

// NewReader returns a Reader of src that hands over bodies of up to limit bytes.
func NewReader(src io.Reader, limit int) *Reader {
	return &Reader{src: src, limit: limit, buf: make([]byte, readWindow)}
}

// Frame is one frame as read.
type Frame struct {
	Header
	// Body is valid until the next call of Next.
	Body []byte
	// TooLong is true when the body was longer than the limit; Body is empty then.
	TooLong bool
	// Own is true when Body fills a buffer that the caller may keep, if it gives another one back by Swap.
	Own bool
}

// Next returns the next frame. An error ends the stream; io.EOF is one between frames.
func (fr *Reader) Next() (Frame, error) {
	if err := fr.fill(HeaderLen); err != nil {
		return Frame{}, err
	}
	h, err := parseHeader(fr.buf[fr.r:fr.w])
	if err != nil {
		return Frame{}, err
	}
	fr.r += HeaderLen
	f := Frame{Header: h}
	switch {
	case h.Length > fr.limit:
		f.TooLong = true
		err = fr.discard(h.Length)
	case h.Length <= len(fr.buf):
		if err = fr.fill(h.Length); err == nil {
			f.Body = fr.buf[fr.r : fr.r+h.Length]
			fr.r += h.Length
		}
	default:
		f.Own = true
		f.Body, err = fr.readLong(h.Length)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return f, err
}

// Swap gives the reader another buffer for long frames in exchange for the one that the last frame's body filled.
func (fr *Reader) Swap(b []byte) { fr.long = b[:0] }

// fill reads until at least n bytes, at most a window, are buffered.
func (fr *Reader) fill(n int) error {
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
func (fr *Reader) readLong(n int) ([]byte, error) {
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
	if cap(b) > KeptBody {
		fr.long = nil
	}
	return b, nil
}

func (fr *Reader) discard(n int) error {
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
