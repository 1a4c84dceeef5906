package types

// KindOf tells the shape of the first JSON value of json, by its first characters.
func KindOf(json []byte) Kind {
	s := scanner{src: json}
	switch s.space() {
	case 'n':
		return Null
	case 't', 'f':
		return Bool
	case '"':
		return String
	case '[':
		return Array
	case '{':
		return Object
	}
	switch _, whole, err := s.number(); {
	case err != nil:
		return Invalid
	case whole:
		return Integer
	}
	return Fraction
}

// Valid checks that json is exactly one JSON value. The error is an *ArgumentError.
func Valid(json []byte) error {
	var s scanner
	s.start(json, 0)
	if err := s.skip(); err != nil {
		return err
	}
	return s.end()
}

// Elements appends the elements of a JSON array to dst, as slices of json. It reads all of it, so that what it gives is
// valid JSON and nothing but white space follows. Errors are *ArgumentError.
func Elements(dst [][]byte, json []byte) ([][]byte, error) {
	var s scanner
	s.start(json, 0)
	if s.space() != '[' {
		return dst, s.wrong("an array")
	}
	if err := s.open(); err != nil {
		return dst, err
	}
	for n := 0; ; n++ {
		more, err := s.element(n == 0)
		if err != nil {
			return dst, err
		}
		if !more {
			return dst, s.end()
		}
		s.space()
		start := s.pos
		if err := s.skip(); err != nil {
			return dst, within(err, index(n))
		}
		dst = append(dst, json[start:s.pos])
	}
}

// Member finds a member of a JSON object by its name. All of json is read, so that what it gives is valid JSON, stands
// there once, and nothing but white space follows the object. found is false when there is no such member. Errors are
// *ArgumentError.
func Member(json []byte, name string) (value []byte, found bool, err error) {
	var s scanner
	s.start(json, 0)
	if s.space() != '{' {
		return nil, false, s.wrong("an object")
	}
	if err := s.open(); err != nil {
		return nil, false, err
	}
	for first := true; ; first = false {
		key, at, more, err := s.member(first)
		if err != nil {
			return nil, false, err
		}
		if !more {
			return value, found, s.end()
		}
		match := string(key) == name
		if match && found {
			return nil, false, &ArgumentError{Path: "$" + s.step(at), Expected: onlyOnce, Got: "it twice"}
		}
		s.space()
		start := s.pos
		if err := s.skip(); err != nil {
			return nil, false, within(err, s.step(at))
		}
		if match {
			value, found = json[start:s.pos], true
		}
	}
}

// onlyOnce is what is expected of every key.
const onlyOnce = "each key once in an object"

// wrong is the error for a value of another kind; a value that is not even JSON says so instead.
func (s *scanner) wrong(expected string) error {
	start := s.pos
	if err := s.skip(); err != nil {
		return err
	}
	return &ArgumentError{Path: "$", Expected: expected, Got: describe(s.src[start:s.pos])}
}
