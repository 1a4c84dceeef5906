package types

import "strconv"

// open reads the bracket that starts an array or an object.
func (s *scanner) open() error {
	if s.depth >= s.maxDepth {
		return &ArgumentError{Path: "$", Expected: "at most " + strconv.Itoa(s.maxDepth) + " levels", Got: "deeper nesting"}
	}
	s.depth++
	s.pos++
	return nil
}

// element moves to the next element of an array. At its end it passes over the bracket and reports false.
func (s *scanner) element(first bool) (bool, error) {
	c := s.space()
	if c == ']' && first {
		s.pos++
		s.depth--
		return false, nil
	}
	if first {
		return true, nil
	}
	switch c {
	case ',':
		s.pos++
		return true, nil
	case ']':
		s.pos++
		s.depth--
		return false, nil
	}
	return false, s.syntax()
}

// member moves to the next member of an object and reads its key and the colon; at is where the key stands. At the object's
// end it passes over the bracket and reports false.
func (s *scanner) member(first bool) (key []byte, at int, more bool, err error) {
	c := s.space()
	if c == '}' {
		s.pos++
		s.depth--
		return nil, 0, false, nil
	}
	if !first {
		if c != ',' {
			return nil, 0, false, s.syntax()
		}
		s.pos++
		c = s.space()
	}
	if c != '"' {
		return nil, 0, false, s.syntax()
	}
	at = s.pos
	if key, err = s.str(); err != nil {
		return nil, 0, false, err
	}
	if s.space() != ':' {
		return nil, 0, false, s.syntax()
	}
	s.pos++
	return key, at, true, nil
}

// skip passes over one value, checking that it is valid.
func (s *scanner) skip() error {
	switch c := s.space(); c {
	case '"':
		_, err := s.str()
		return err
	case 'n':
		return s.word("null")
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case '[':
		if err := s.open(); err != nil {
			return err
		}
		for first := true; ; first = false {
			if more, err := s.element(first); err != nil || !more {
				return err
			}
			if err := s.skip(); err != nil {
				return err
			}
		}
	case '{':
		if err := s.open(); err != nil {
			return err
		}
		for first := true; ; first = false {
			if _, _, more, err := s.member(first); err != nil || !more {
				return err
			}
			if err := s.skip(); err != nil {
				return err
			}
		}
	default:
		_, _, err := s.number()
		return err
	}
}

// end checks that nothing but white space follows.
func (s *scanner) end() error {
	if s.space() != 0 || s.pos < len(s.src) {
		return s.syntax()
	}
	return nil
}

// step gives the path from an object to the member whose key stands at a place.
func (s *scanner) step(at int) string {
	k := scanner{src: s.src, pos: at}
	key, _ := k.str()
	for i, c := range key {
		if !(c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
			return "[" + quote(key) + "]"
		}
	}
	if len(key) == 0 || len(key) > shown {
		return "[" + quote(key) + "]"
	}
	return "." + string(key)
}

// index gives the path from an array to an element.
func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

// quote writes a key as RFC 9535 does in brackets.
func quote(key []byte) string {
	q := strconv.AppendQuote(nil, cut(key))
	q = q[1 : len(q)-1]
	out := []byte{'\''}
	for i := 0; i < len(q); i++ {
		switch {
		case q[i] == '\\' && i+1 < len(q) && q[i+1] == '"':
		case q[i] == '\'':
			out = append(out, '\\', '\'')
		default:
			out = append(out, q[i])
		}
	}
	return string(append(out, '\''))
}
