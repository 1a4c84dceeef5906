package http1

import (
	"encoding/binary"
	"unsafe"
)

// parseError is a violation of RFC 9112 by the other side. The server answers it with status and text, the client wraps
// it into "upstream_protocol".
type parseError struct {
	text   string
	status int // what a server answers; 0 means 400
}

func (e *parseError) Error() string { return e.text }

// Violations that both sides can meet. What the text says is for the other side's operator.
var (
	errFieldName      = &parseError{text: "a header field name is empty or holds a character that is not allowed"}
	errFieldValue     = &parseError{text: "a header field value holds a control character"}
	errFieldFold      = &parseError{text: "a header field is folded over lines"}
	errFieldColon     = &parseError{text: "a header field has no colon"}
	errBareCR         = &parseError{text: "a carriage return is not followed by a line feed"}
	errBareLF         = &parseError{text: "a line ends with a line feed alone"}
	errTooManyFields  = &parseError{text: "there are too many header fields", status: 431}
	errHeadTooLarge   = &parseError{text: "the header is too large", status: 431}
	errLength         = &parseError{text: "Content-Length is not a number"}
	errLengthTwice    = &parseError{text: "Content-Length is repeated"}
	errLengthChunked  = &parseError{text: "Content-Length and Transfer-Encoding are both present"}
	errCoding         = &parseError{text: "Transfer-Encoding is not exactly chunked"}
	errCodingUnknown  = &parseError{text: "the transfer coding is not supported", status: 501}
	errCodingVersion  = &parseError{text: "Transfer-Encoding is not allowed in HTTP/1.0"}
	errChunkSize      = &parseError{text: "a chunk size is not valid"}
	errChunkExtension = &parseError{text: "chunk extensions are too long"}
	errChunkEnd       = &parseError{text: "a chunk does not end where its size says"}
	errTruncated      = &parseError{text: "the connection ended before the message was whole"}
)

// The classes of octets that the parser asks about.
const (
	classToken  uint8 = 1 << iota // tchar, RFC 9110 section 5.6.2
	classTarget                   // visible ASCII but "#": what a request target may hold on the wire
)

// classes is indexed by octet.
var classes = buildClasses()

func buildClasses() (t [256]uint8) {
	mark := func(class uint8, set string) {
		for i := 0; i < len(set); i++ {
			t[set[i]] |= class
		}
	}
	const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	mark(classToken, alnum+"!#$%&'*+-.^_`|~")
	for c := '!'; c <= '~'; c++ {
		if c != '#' {
			t[c] |= classTarget
		}
	}
	return t
}

// text views b as a string without a copy. It lives as long as b's buffer.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// scanName returns the length of the token that b begins with.
func scanName(b []byte) int {
	i := 0
	for i < len(b) && classes[b[i]]&classToken != 0 {
		i++
	}
	return i
}

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// scanValue returns the index of the first octet of b that cannot stand in a field value: a control character other than
// tab. Octets from 0x80 on are allowed (obs-text). Eight are looked at together.
func scanValue(b []byte) int {
	i := 0
	for {
		for ; i+8 <= len(b); i += 8 {
			x := binary.LittleEndian.Uint64(b[i:])
			control := (x - 0x20*lowBits) &^ x // high bit where an octet is below 0x20
			y := x ^ 0x7f*lowBits
			del := (y - lowBits) &^ y // high bit where an octet is 0x7f
			if (control|del)&highBits != 0 {
				break
			}
		}
		// The borrow of a subtraction can mark the octet above a true hit, never one below it: the first hit is here.
		stop := min(i+8, len(b))
		for ; i < stop; i++ {
			if c := b[i]; c < 0x20 && c != '\t' || c == 0x7f {
				return i
			}
		}
		if i == len(b) {
			return i
		}
	}
}

// trim cuts blanks and tabs off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// fieldLine cuts one field line off b. n is its length with CRLF; n = 0 means that b does not hold a whole line yet, n = 2
// with an empty name is the end of the section.
func fieldLine(b []byte) (name, value []byte, n int, err error) {
	if len(b) == 0 {
		return nil, nil, 0, nil
	}
	switch b[0] {
	case '\r':
		if len(b) < 2 {
			return nil, nil, 0, nil
		}
		if b[1] != '\n' {
			return nil, nil, 0, errBareCR
		}
		return nil, nil, 2, nil
	case '\n':
		return nil, nil, 0, errBareLF
	case ' ', '\t':
		return nil, nil, 0, errFieldFold
	}
	colon := scanName(b)
	switch {
	case colon == len(b):
		return nil, nil, 0, nil
	case b[colon] == '\r' || b[colon] == '\n':
		return nil, nil, 0, errFieldColon
	case b[colon] != ':' || colon == 0:
		return nil, nil, 0, errFieldName
	}
	rest := b[colon+1:]
	end := scanValue(rest)
	if end == len(rest) {
		return nil, nil, 0, nil
	}
	switch rest[end] {
	case '\n':
		return nil, nil, 0, errBareLF
	case '\r':
	default:
		return nil, nil, 0, errFieldValue
	}
	if end+1 == len(rest) {
		return nil, nil, 0, nil
	}
	if rest[end+1] != '\n' {
		return nil, nil, 0, errBareCR
	}
	return b[:colon], trim(rest[:end]), colon + 1 + end + 2, nil
}
