package grpc

import (
	"errors"
	"strconv"

	"github.com/sluice-gateway/sluice/protocol"
)

// values takes a stream of JSON apart: values one a line, or one after the other, or in one array.
type values struct {
	array bool // it may be an array of messages
	limit int

	held   []byte // from the start of a value that is not whole
	scan   int    // how much of held has been looked at
	depth  int
	quoted bool // within a string
	escape bool // behind a backslash
	scalar bool // within a number or a word

	inArray, closed, comma bool
	some                   bool // in the array
}

var (
	errJSONEnd   = errors.New("the stream ends within a JSON value")
	errJSONComma = errors.New("the elements of the array are not separated by one comma each")
	errJSONAfter = errors.New("something follows the array")
	errJSONBrace = errors.New("a bracket or brace is closed that was not opened")
)

func (v *values) reset(limit int, array bool) {
	held := v.held[:0]
	if cap(held) > keptBuffer {
		held = nil
	}
	*v = values{limit: limit, array: array, held: held}
}

// add appends a piece.
func (v *values) add(piece []byte) { v.held = append(v.held, piece...) }

// next returns the next whole value, valid until add is called; ok is false when more is needed for one. What is no value at
// all is left to whoever reads it.
func (v *values) next(ended bool) (value []byte, ok bool, err error) {
	for ; v.scan < len(v.held); v.scan++ {
		c := v.held[v.scan]
		switch {
		case v.quoted:
			switch {
			case v.escape:
				v.escape = false
			case c == '\\':
				v.escape = true
			case c == '"':
				if v.quoted = false; v.depth == 0 {
					return v.cut(v.scan + 1), true, nil
				}
			}
		case v.depth > 0:
			switch c {
			case '"':
				v.quoted = true
			case '{', '[':
				v.depth++
			case '}', ']':
				if v.depth--; v.depth == 0 {
					return v.cut(v.scan + 1), true, nil
				}
			}
		case v.scalar:
			if isBlank(c) || c == ',' || c == ']' || c == '}' || c == '{' || c == '[' || c == '"' {
				return v.cut(v.scan), true, nil
			}
		default:
			if err := v.begin(c); err != nil {
				return nil, false, err
			}
		}
		if v.scan >= v.limit {
			return nil, false, protocol.ErrBodyTooLarge
		}
	}
	if !ended {
		return nil, false, nil
	}
	switch {
	case v.scalar:
		return v.cut(len(v.held)), true, nil
	case v.quoted || v.depth > 0 || v.inArray && !v.closed:
		return nil, false, errJSONEnd
	}
	return nil, false, nil
}

// begin takes a character between values.
func (v *values) begin(c byte) error {
	switch {
	case isBlank(c):
		v.drop()
	case v.closed:
		return errJSONAfter
	case v.array && !v.inArray && !v.some && c == '[':
		v.inArray = true
		v.drop()
	case v.inArray && c == ']':
		if v.comma {
			return errJSONComma
		}
		v.closed = true
		v.drop()
	case v.inArray && c == ',':
		if v.comma || !v.some {
			return errJSONComma
		}
		v.comma = true
		v.drop()
	case v.inArray && v.some && !v.comma:
		return errJSONComma
	case c == ']' || c == '}':
		return errJSONBrace
	default:
		v.some, v.comma = true, false
		switch c {
		case '{', '[':
			v.depth = 1
		case '"':
			v.quoted = true
		default:
			v.scalar = true
		}
	}
	return nil
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// drop forgets the character that is looked at, which is the first one.
func (v *values) drop() {
	v.held = v.held[v.scan+1:]
	v.scan = -1
}

// cut takes the first n bytes off.
func (v *values) cut(n int) []byte {
	value := v.held[:n:n]
	v.held = v.held[n:]
	v.scan, v.scalar = 0, false
	return value
}

// jsonStream is the body of a call with a stream of messages: JSON values of the client, turned over as they are asked for.
type jsonStream struct {
	c      *call
	body   protocol.Body
	values values
	out    []byte
	index  int
	begun  bool
	ended  bool // of the client's body
	over   bool
}

func (s *jsonStream) begin(c *call, req *protocol.Request) {
	s.c, s.body, s.index, s.begun, s.over = c, req.Body, 0, false, false
	s.ended = req.Body == nil
	s.values.reset(c.t.route.MessageLimit, isJSON(c.mediaType))
}

// Next implements protocol.Body.
func (s *jsonStream) Next() ([]byte, bool, error) {
	s.begun = true
	if s.over {
		return nil, false, nil
	}
	out := s.out[:0]
	for {
		value, ok, err := s.values.next(s.ended)
		switch {
		case err != nil:
			return nil, false, s.wrong(err)
		case ok:
			root := "body[" + strconv.Itoa(s.index) + "]"
			s.index++
			if out, err = s.c.encode(out, value, root); err != nil {
				return nil, false, err
			}
			if s.out = out; len(out) < pieceSize {
				continue
			}
			return out, true, nil
		case s.ended:
			s.over = true
			return out, false, nil
		case len(out) > 0:
			return out, true, nil
		}
		piece, more, err := s.body.Next()
		if err != nil {
			return nil, false, err
		}
		s.ended = !more
		s.values.add(piece)
	}
}

// wrong names the place of what is no JSON.
func (s *jsonStream) wrong(err error) error {
	var known *protocol.Error
	if errors.As(err, &known) {
		return known
	}
	root := "body[" + strconv.Itoa(s.index) + "]"
	return &protocol.Error{
		Status: 400, Code: protocol.CodeBadArgument, Message: root + ": " + err.Error(), Cause: err,
		Details: []protocol.Detail{{Name: "path", Value: root}},
	}
}

// Buffered implements protocol.Body: whole values are handed over as soon as they are there.
func (s *jsonStream) Buffered() int { return 0 }

// Done implements protocol.Body.
func (s *jsonStream) Done() bool { return s.over }

// Rewind implements protocol.Body.
func (s *jsonStream) Rewind() bool { return !s.begun }

// Close implements protocol.Body.
func (s *jsonStream) Close() error {
	if s.body == nil {
		return nil
	}
	return s.body.Close()
}

func (s *jsonStream) release() {
	s.c, s.body = nil, nil
	if cap(s.out) > keptBuffer {
		s.out = nil
	}
}

// isJSON reports whether a media type is JSON, and not lines of it.
func isJSON(mediaType string) bool {
	for i := 0; i < len(mediaType); i++ {
		if mediaType[i] == ';' || mediaType[i] == ' ' {
			mediaType = mediaType[:i]
			break
		}
	}
	return protocol.EqualFold(mediaType, "application/json")
}
