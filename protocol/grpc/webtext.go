package grpc

import (
	"encoding/base64"
	"errors"

	"github.com/sluice-gateway/sluice/protocol"
)

// textDecoder reads base64 that comes in pieces. Each message may be padded for itself, so padding can stand anywhere.
type textDecoder struct {
	rest [4]byte
	n    int // of rest
}

var errText = errors.New("the body is not valid base64")

// add appends what a piece decodes to.
func (d *textDecoder) add(dst, piece []byte) ([]byte, error) {
	for len(piece) > 0 {
		if d.n == 0 && len(piece) >= 4 {
			// As many groups as there are until the first padding.
			n := len(piece) &^ 3
			for i := 3; i < n; i += 4 {
				if piece[i] == '=' {
					n = i + 1
					break
				}
			}
			var err error
			if dst, err = appendGroup(dst, piece[:n]); err != nil {
				return dst, err
			}
			piece = piece[n:]
			continue
		}
		n := copy(d.rest[d.n:], piece)
		piece = piece[n:]
		if d.n += n; d.n < 4 {
			return dst, nil
		}
		d.n = 0
		var err error
		if dst, err = appendGroup(dst, d.rest[:]); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendGroup(dst, group []byte) ([]byte, error) {
	for _, c := range group {
		if c == '\r' || c == '\n' {
			return dst, errText // which the library skips, and the groups would no longer be groups
		}
	}
	out, err := base64.StdEncoding.Strict().AppendDecode(dst, group)
	if err != nil {
		return dst, errText
	}
	return out, nil
}

// end reports whether the text is whole.
func (d *textDecoder) end() error {
	if d.n > 0 {
		return errText
	}
	return nil
}

// textBody is a request's body that comes as base64.
type textBody struct {
	body    protocol.Body
	decoder textDecoder
	out     []byte
	begun   bool
	over    bool
}

// Next implements protocol.Body.
func (t *textBody) Next() ([]byte, bool, error) {
	t.begun = true
	for !t.over {
		piece, more, err := t.body.Next()
		if err != nil {
			return nil, false, err
		}
		t.over = !more
		t.out, err = t.decoder.add(t.out[:0], piece)
		if err == nil && !more {
			err = t.decoder.end()
		}
		if err != nil {
			return nil, false, &protocol.Error{Status: 400, Code: protocol.CodeBadRequest, Message: err.Error(), Cause: err}
		}
		if len(t.out) > 0 || !more {
			return t.out, more, nil
		}
	}
	return nil, false, nil
}

// Buffered implements protocol.Body.
func (t *textBody) Buffered() int {
	if t.over {
		return 0
	}
	return (t.decoder.n + t.body.Buffered()) / 4 * 3
}

// Done implements protocol.Body.
func (t *textBody) Done() bool { return t.over || t.body.Done() && t.decoder.n == 0 }

// Rewind implements protocol.Body.
func (t *textBody) Rewind() bool {
	if t.begun && !t.body.Rewind() {
		return false
	}
	*t = textBody{body: t.body, out: t.out}
	return true
}

// Close implements protocol.Body.
func (t *textBody) Close() error { return t.body.Close() }
