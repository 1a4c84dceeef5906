package types

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// scanner reads JSON strictly as RFC 8259 has it, one token after the other.
type scanner struct {
	src      []byte
	pos      int
	depth    int
	maxDepth int
	scratch  []byte // the last string that had escapes
}

func (s *scanner) start(json []byte, maxDepth int) {
	if maxDepth <= 0 {
		maxDepth = DefaultMaxDepth
	}
	s.src, s.pos, s.depth, s.maxDepth = json, 0, 0, maxDepth
}

// space passes over white space and gives the next byte, or 0 at the end.
func (s *scanner) space() byte {
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// syntax is the error for what stands at the current place.
func (s *scanner) syntax() error {
	got := "its end at byte " + strconv.Itoa(s.pos)
	if s.pos < len(s.src) {
		r, _ := utf8.DecodeRune(s.src[s.pos:])
		got = strconv.QuoteRune(r) + " at byte " + strconv.Itoa(s.pos)
	}
	return &ArgumentError{Path: "$", Expected: "valid JSON", Got: got}
}

// word reads null, true or false.
func (s *scanner) word(w string) error {
	for i := range len(w) {
		if s.pos >= len(s.src) || s.src[s.pos] != w[i] {
			return s.syntax()
		}
		s.pos++
	}
	return nil
}

// digits passes over digits and reports whether there were any.
func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.src) && s.src[s.pos]-'0' < 10 {
		s.pos++
	}
	return s.pos > start
}

// at reports whether c is next, and passes over it.
func (s *scanner) at(c byte) bool {
	if s.pos < len(s.src) && s.src[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

// number reads a number. whole tells that it has neither fraction nor exponent.
func (s *scanner) number() (text []byte, whole bool, err error) {
	start := s.pos
	s.at('-')
	if !s.at('0') && !s.digits() {
		return nil, false, s.syntax()
	}
	whole = true
	if s.at('.') {
		whole = false
		if !s.digits() {
			return nil, false, s.syntax()
		}
	}
	if s.at('e') || s.at('E') {
		whole = false
		if !s.at('+') {
			s.at('-')
		}
		if !s.digits() {
			return nil, false, s.syntax()
		}
	}
	return s.src[start:s.pos], whole, nil
}

// str reads a string, the quote being next. The text is valid until the next str.
func (s *scanner) str() ([]byte, error) {
	s.pos++
	start := s.pos
	for {
		s.plain()
		if s.pos >= len(s.src) {
			return nil, s.syntax()
		}
		c := s.src[s.pos]
		switch {
		case c == '"':
			s.pos++
			return s.src[start : s.pos-1], nil
		case c == '\\':
			s.scratch = append(s.scratch[:0], s.src[start:s.pos]...)
			return s.escaped()
		case c < ' ':
			return nil, s.syntax()
		case c < utf8.RuneSelf:
			s.pos++
		default:
			if err := s.character(); err != nil {
				return nil, err
			}
		}
	}
}

// plain passes over ASCII inside a string, eight bytes at a time: the top bit of a byte of odd is set where the byte is a
// quote, a backslash, a control character or beyond ASCII. (The subtractions may set further bits above the first one,
// never below it.)
func (s *scanner) plain() {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for len(s.src)-s.pos >= 8 {
		w := binary.LittleEndian.Uint64(s.src[s.pos:])
		odd := (w | (w - ones*' ') | ((w ^ ones*'"') - ones) | ((w ^ ones*'\\') - ones)) & tops
		if odd != 0 {
			s.pos += bits.TrailingZeros64(odd) / 8
			return
		}
		s.pos += 8
	}
}

// character passes over a character beyond ASCII.
func (s *scanner) character() error {
	r, size := utf8.DecodeRune(s.src[s.pos:])
	if r == utf8.RuneError && size == 1 {
		return &ArgumentError{Path: "$", Expected: "valid JSON", Got: "invalid UTF-8 at byte " + strconv.Itoa(s.pos)}
	}
	s.pos += size
	return nil
}

// escaped reads the rest of a string into scratch, a backslash being next.
func (s *scanner) escaped() ([]byte, error) {
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		switch {
		case c == '"':
			s.pos++
			return s.scratch, nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return nil, err
			}
		case c < ' ':
			return nil, s.syntax()
		case c < utf8.RuneSelf:
			s.scratch = append(s.scratch, c)
			s.pos++
		default:
			start := s.pos
			if err := s.character(); err != nil {
				return nil, err
			}
			s.scratch = append(s.scratch, s.src[start:s.pos]...)
		}
	}
	return nil, s.syntax()
}

// escape reads one escape sequence, or two that make a surrogate pair, into scratch.
func (s *scanner) escape() error {
	s.pos++
	if s.pos >= len(s.src) {
		return s.syntax()
	}
	c := s.src[s.pos]
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
		s.pos++
		return s.unicode()
	default:
		return s.syntax()
	}
	s.pos++
	s.scratch = append(s.scratch, c)
	return nil
}

// unicode reads the digits of a \u escape. Half a surrogate pair names no character and is refused.
func (s *scanner) unicode() error {
	at := s.pos
	r, err := s.hex()
	if err != nil {
		return err
	}
	if r >= 0xd800 && r <= 0xdfff {
		low := rune(0)
		if r <= 0xdbff && s.at('\\') && s.at('u') {
			if low, err = s.hex(); err != nil {
				return err
			}
		}
		if low < 0xdc00 || low > 0xdfff {
			return &ArgumentError{Path: "$", Expected: "valid JSON", Got: "half a surrogate pair at byte " + strconv.Itoa(at-2)}
		}
		r = 0x10000 + (r-0xd800)<<10 + (low - 0xdc00)
	}
	s.scratch = utf8.AppendRune(s.scratch, r)
	return nil
}

func (s *scanner) hex() (rune, error) {
	r := rune(0)
	for range 4 {
		if s.pos >= len(s.src) {
			return 0, s.syntax()
		}
		digit, ok := hexDigit(s.src[s.pos])
		if !ok {
			return 0, s.syntax()
		}
		r = r<<4 | rune(digit)
		s.pos++
	}
	return r, nil
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
