package eureka

import (
	"errors"
	"fmt"
	"io"
)

const (
	window   = 64 << 10 // what is read at once
	maxDepth = 64       // Eureka's own documents nest 6 deep
	// maxText is how much of one text is kept. It is more than anything that is meant seriously.
	maxText = 1 << 20
)

// errEnd is the end of the stream where the reader of a value met it. It is another than that of a connection that was cut.
var errEnd = fmt.Errorf("it ends too early: %w", io.ErrUnexpectedEOF)

// scanner reads JSON (RFC 8259) from a stream, without ever holding more of it than a window and one text. It is as strict as
// encoding/json, which would want each value whole. The first error stays.
type scanner struct {
	src      io.Reader
	buf      []byte // the window
	pos, end int    // what of it is not read yet
	read     int64  // bytes before the window
	depth    int
	scratch  []byte // a text that is not found in one piece in the window
	err      error
}

func newScanner(src io.Reader) *scanner { return &scanner{src: src, buf: make([]byte, window)} }

// fail keeps the first error and says where it was met.
func (s *scanner) fail(err error) error {
	if s.err == nil {
		s.err = fmt.Errorf("byte %d: %w", s.read+int64(s.pos), err)
	}
	return s.err
}

// more moves the window on when it was read to its end.
func (s *scanner) more() bool {
	if s.pos < s.end {
		return true
	}
	if s.err != nil {
		return false
	}
	s.read += int64(s.end)
	s.pos, s.end = 0, 0
	for range 100 { // as bufio: a reader that gives nothing for ever is broken
		n, err := s.src.Read(s.buf)
		s.end = n
		if n > 0 {
			return true // an error with it comes back at the next call
		}
		if errors.Is(err, io.EOF) {
			err = errEnd
		}
		if err != nil {
			_ = s.fail(err)
			return false
		}
	}
	_ = s.fail(io.ErrNoProgress)
	return false
}

// peek is the next byte that is no space, 0 after an error.
func (s *scanner) peek() byte {
	for s.more() {
		switch c := s.buf[s.pos]; c {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// take wants one byte.
func (s *scanner) take(want byte) error {
	if c := s.peek(); c != want || s.err != nil {
		return s.fail(fmt.Errorf("%q where %q should be", c, want))
	}
	s.pos++
	return nil
}

// finish wants nothing but space until the stream ends.
func (s *scanner) finish() error {
	if c := s.peek(); s.err == nil {
		return s.fail(fmt.Errorf("%q after the end of the document", c))
	}
	if errors.Is(s.err, errEnd) {
		return nil
	}
	return s.err
}

// object reads an object; field gets each key, which is valid until it reads on, and must read the value.
func (s *scanner) object(field func(key []byte) error) error {
	return s.sequence('{', '}', func() error {
		if s.peek() != '"' {
			return s.fail(errors.New("a key is missing"))
		}
		key, _, err := s.text()
		if err != nil {
			return err
		}
		if s.pos < s.end && s.buf[s.pos] == ':' { // the usual case: the key stays where it is
			s.pos++
		} else {
			key = append([]byte(nil), key...) // what follows may move the window
			if err := s.take(':'); err != nil {
				return err
			}
		}
		return field(key)
	})
}

// array reads an array; item must read each value.
func (s *scanner) array(item func() error) error { return s.sequence('[', ']', item) }

// each reads the values of an array, or one that stands there alone: so is a list of one in the JSON that is made from XML.
func (s *scanner) each(item func() error) error {
	if s.peek() == '[' {
		return s.array(item)
	}
	return item()
}

func (s *scanner) sequence(begin, end byte, item func() error) error {
	if err := s.take(begin); err != nil {
		return err
	}
	if s.depth++; s.depth > maxDepth {
		return s.fail(fmt.Errorf("nested deeper than %d", maxDepth))
	}
	if s.peek() == end {
		s.pos++
		s.depth--
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		switch c := s.peek(); {
		case s.err != nil:
			return s.err
		case c == end:
			s.pos++
			s.depth--
			return nil
		case c == ',':
			s.pos++
		default:
			return s.fail(fmt.Errorf("%q where ',' or %q should be", c, end))
		}
	}
}

// scalar reads a text, a number, true or false as a text, and null as an empty one; it is valid until the next read. ok is
// false of an object or an array, which is skipped, and of a text that is longer than maxText, of which the beginning is kept.
func (s *scanner) scalar() (text []byte, ok bool, err error) {
	switch c := s.peek(); c {
	case '"':
		return s.text()
	case '{', '[':
		return nil, false, s.skip()
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		_, _, err := s.literal("null")
		return nil, true, err
	default:
		return s.number()
	}
}

// skip reads a value of any kind.
func (s *scanner) skip() error {
	switch s.peek() {
	case '{':
		return s.object(func([]byte) error { return s.skip() })
	case '[':
		return s.array(s.skip)
	default:
		_, _, err := s.scalar()
		return err
	}
}

func (s *scanner) literal(word string) ([]byte, bool, error) {
	for n := range len(word) {
		if !s.more() || s.buf[s.pos] != word[n] {
			return nil, false, s.fail(fmt.Errorf("not the word %s", word))
		}
		s.pos++
	}
	return []byte(word), true, nil
}

// keep adds to a text that does not lie in one piece in the window.
func (s *scanner) keep(b ...byte) {
	if room := maxText - len(s.scratch); len(b) > room {
		b = b[:room]
	}
	s.scratch = append(s.scratch, b...)
}

// text reads a text in quotes.
func (s *scanner) text() (text []byte, whole bool, err error) {
	if err := s.take('"'); err != nil {
		return nil, false, err
	}
	s.scratch = s.scratch[:0]
	size, pieces := 0, 0
	for s.more() {
		start := s.pos
		for s.pos < s.end && plain(s.buf[s.pos]) {
			s.pos++
		}
		piece := s.buf[start:s.pos]
		size += len(piece)
		if s.pos == s.end {
			s.keep(piece...)
			pieces++
			continue
		}
		c := s.buf[s.pos]
		if c == '"' {
			s.pos++
			if pieces == 0 && size <= maxText {
				return piece, true, nil
			}
			s.keep(piece...)
			return s.scratch, size <= maxText, nil
		}
		if c < ' ' {
			return nil, false, s.fail(fmt.Errorf("control character %q in a text", c))
		}
		s.keep(piece...)
		pieces++
		s.pos++
		n, err := s.escape()
		if err != nil {
			return nil, false, err
		}
		size += n
	}
	return nil, false, s.err
}

func plain(c byte) bool { return c != '"' && c != '\\' && c >= ' ' }

// escape reads what follows a backslash, and says how many bytes it stands for.
func (s *scanner) escape() (int, error) {
	if !s.more() {
		return 0, s.err
	}
	c := s.buf[s.pos]
	s.pos++
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return s.unicode()
	default:
		return 0, s.fail(fmt.Errorf("unknown escape %q", c))
	}
	s.keep(c)
	return 1, nil
}
