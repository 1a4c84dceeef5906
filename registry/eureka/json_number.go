package eureka

import (
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// unicode reads the four digits after \u, and those of the second half of a pair.
func (s *scanner) unicode() (int, error) {
	r, err := s.hex4()
	if err != nil {
		return 0, err
	}
	size := 0
	for utf16.IsSurrogate(r) {
		if !s.more() || s.buf[s.pos] != '\\' {
			r = utf8.RuneError // half a pair
			break
		}
		s.pos++
		if !s.more() || s.buf[s.pos] != 'u' {
			s.keepRune(utf8.RuneError)
			n, err := s.escape()
			return size + utf8.RuneLen(utf8.RuneError) + n, err
		}
		s.pos++
		second, err := s.hex4()
		if err != nil {
			return 0, err
		}
		if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
			r = pair
			break
		}
		size += s.keepRune(utf8.RuneError)
		r = second // which may begin a pair itself
	}
	return size + s.keepRune(r), nil
}

func (s *scanner) keepRune(r rune) int {
	var b [utf8.UTFMax]byte
	n := utf8.EncodeRune(b[:], r)
	s.keep(b[:n]...)
	return n
}

func (s *scanner) hex4() (rune, error) {
	var r rune
	for range 4 {
		if !s.more() {
			return 0, s.err
		}
		c := s.buf[s.pos]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, s.fail(fmt.Errorf("%q is not a hexadecimal digit", c))
		}
		s.pos++
		r = r<<4 | rune(c)
	}
	return r, nil
}

// number reads a number as its text.
func (s *scanner) number() ([]byte, bool, error) {
	s.scratch = s.scratch[:0]
	size := 0
	digits := func() bool {
		before := size
		for s.number1(func(c byte) bool { return '0' <= c && c <= '9' }) {
			size++
		}
		return size > before
	}
	one := func(set string) bool {
		ok := s.number1(func(c byte) bool {
			for n := range len(set) {
				if c == set[n] {
					return true
				}
			}
			return false
		})
		if ok {
			size++
		}
		return ok
	}
	one("-")
	ok := one("0") || digits()
	if ok && one(".") {
		ok = digits()
	}
	if ok && one("eE") {
		one("+-")
		ok = digits()
	}
	if !ok {
		return nil, false, s.fail(errors.New("not a value"))
	}
	return s.scratch, size <= maxText, nil
}

// number1 takes one byte if it is the right one. The end of the stream may be the end of a number.
func (s *scanner) number1(is func(byte) bool) bool {
	if !s.more() || !is(s.buf[s.pos]) {
		return false
	}
	s.keep(s.buf[s.pos])
	s.pos++
	return true
}
