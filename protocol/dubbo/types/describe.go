package types

import (
	"strconv"
	"unicode/utf8"
)

// shown is how much of a value an error repeats, in bytes.
const shown = 64

// cut shortens text for an error.
func cut(text []byte) string {
	if len(text) <= shown {
		return string(text)
	}
	n := shown
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return string(text[:n]) + "..."
}

// describe tells what a valid JSON value is, for an error.
func describe(json []byte) string {
	switch json[0] {
	case '"':
		s := scanner{src: json}
		text, _ := s.str()
		return describeString(text)
	case '[':
		return "an array"
	case '{':
		return "an object"
	case 'n', 't', 'f':
		return string(json)
	}
	return describeNumber(json)
}

func describeString(text []byte) string { return "string " + strconv.Quote(cut(text)) }

func describeNumber(text []byte) string { return "number " + cut(text) }

// mismatch is the error for a value of the wrong kind or content.
func (t *Type) mismatch(got string) error {
	return &ArgumentError{Path: "$", Expected: t.expected, Got: got}
}

// refuse is a mismatch that can say more of what is expected.
func (t *Type) refuse(more, got string) error {
	return &ArgumentError{Path: "$", Expected: t.expected + more, Got: got}
}
