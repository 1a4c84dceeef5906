package grpc

import (
	"errors"
	"io"

	"github.com/sluice-gateway/sluice/protocol"
)

// format is how a stream of answers is written.
type format uint8

const (
	formatLines format = iota
	formatEvents
	formatArray
	formatRaw // google.api.HttpBody
)

const (
	ndjson      = "application/x-ndjson"
	eventStream = "text/event-stream"

	// pieceSize is about how much is put into one piece when several messages are at hand.
	pieceSize = 16 << 10
)

func (f format) mediaType() string {
	switch f {
	case formatEvents:
		return eventStream
	case formatArray:
		return "application/json"
	}
	return ndjson
}

// streamed makes the answer a stream.
func (c *call) streamed(req *protocol.Request, resp *protocol.Response) (*protocol.Response, error) {
	over := resp.Body == nil || c.answers.drained()
	if over {
		// It is over. If it failed there is still time to say so properly.
		err := c.end(resp)
		var s *StatusError
		switch {
		case errors.As(err, &s):
			return c.failed(req, resp, s.Status), nil
		case err != nil:
			return nil, c.refuse(resp, c.answerError(err))
		}
	}
	f := streamFormat(c.accept)
	mediaType := f.mediaType()
	if c.output.Descriptor().FullName() == httpBody || c.response != nil && c.response.Message() != nil && c.response.Message().FullName() == httpBody {
		// The first message says what the body is.
		f, mediaType = formatRaw, "application/octet-stream"
	}
	stream := &streamAnswer{c: c, resp: resp, format: f, requestID: req.ID, whole: over}
	if f == formatRaw {
		if t, err := stream.first(); err == nil {
			mediaType = t
		} else if s := (*StatusError)(nil); errors.As(err, &s) {
			return c.failed(req, resp, s.Status), nil
		} else if !errors.Is(err, io.EOF) {
			return nil, c.refuse(resp, c.answerError(err))
		}
	}
	c.head(resp, mediaType)
	if f == formatEvents {
		resp.Header.Set("cache-control", "no-cache")
	}
	c.inner = resp.Body
	resp.Body, resp.ContentLength = stream, protocol.UnknownLength
	return resp, nil
}

// end reads to the end of an answer that is drained.
func (c *call) end(resp *protocol.Response) error {
	switch _, err := c.answers.next(); {
	case err == nil:
		return errOneMessage
	case !errors.Is(err, io.EOF):
		return err
	}
	return statusAtEnd(resp)
}

// streamAnswer turns messages into JSON as they are asked for.
type streamAnswer struct {
	c         *call
	resp      *protocol.Response
	requestID string
	format    format
	begun     bool // something has been written
	held      bool // the first piece is in c.out already
	whole     bool // the status is known to be OK
	over      bool
}

// first reads the first message of a raw stream, whose type becomes the answer's.
func (s *streamAnswer) first() (mediaType string, err error) {
	c := s.c
	message, err := c.answers.next()
	if errors.Is(err, io.EOF) {
		if failed := statusAtEnd(s.resp); failed != nil {
			return "", failed
		}
		s.whole = true
		return "", err
	}
	if err != nil {
		return "", err
	}
	c.out, mediaType, err = c.decode(c.out[:0], message)
	s.held = true
	return mediaType, err
}

// Next implements protocol.Body.
func (s *streamAnswer) Next() ([]byte, bool, error) {
	c := s.c
	switch {
	case c == nil:
		return nil, false, protocol.ErrBodyClosed
	case s.over:
		return nil, false, nil
	case s.held:
		s.held = false
		return c.out, true, nil
	}
	out := c.out[:0]
	for len(out) < pieceSize {
		message, err := c.answers.next()
		if err == nil {
			out, err = s.append(out, message)
		}
		if err != nil {
			s.over = true
			out, err = s.end(out, err)
			c.out = out
			return out, false, err
		}
		if !c.answers.ready() {
			break
		}
	}
	c.out = out
	return out, true, nil
}

// append appends one message.
func (s *streamAnswer) append(dst, message []byte) ([]byte, error) {
	switch s.format {
	case formatEvents:
		dst = append(dst, "data: "...)
	case formatArray:
		if s.begun {
			dst = append(dst, ',', '\n')
		} else {
			dst = append(dst, '[')
		}
	}
	s.begun = true
	out, _, err := s.c.decode(dst, message)
	if err != nil {
		return dst, err
	}
	switch s.format {
	case formatLines:
		out = append(out, '\n')
	case formatEvents:
		out = append(out, '\n', '\n')
	}
	return out, nil
}

// end appends what the stream ends with. A failure is returned as well as written, but for the service's own.
func (s *streamAnswer) end(dst []byte, err error) ([]byte, error) {
	if errors.Is(err, io.EOF) {
		if err = nil; !s.whole {
			err = statusAtEnd(s.resp)
		}
	}
	s.resp.Trailer.Reset()
	if err == nil {
		if s.format == formatArray {
			if !s.begun {
				dst = append(dst, '[')
			}
			dst = append(dst, ']', '\n')
		}
		return dst, nil
	}
	var failed *StatusError
	own := errors.As(err, &failed)
	if !own {
		err = s.c.answerError(err)
	}
	s.resp.Fail(err)
	var problem []byte
	if own {
		problem = s.c.writer.problem(nil, &failed.Status, s.requestID)
	} else {
		problem = protocol.AppendProblem(nil, protocol.AsError(err), s.requestID)
	}
	problem = problem[:len(problem)-1] // without its line's end
	switch s.format {
	case formatLines:
		dst = append(append(append(dst, `{"error":`...), problem...), '}', '\n')
		return dst, nil
	case formatEvents:
		dst = append(append(append(dst, "event: error\ndata: "...), problem...), '\n', '\n')
		return dst, nil
	}
	// An array that is closed, and bytes of somebody else, would look whole.
	if own {
		err = &protocol.Error{Status: failed.Status.Code.HTTPStatus(), Code: protocol.CodeUpstreamException, Message: failed.Status.Message, Cause: err}
	}
	return dst, err
}

// Buffered implements protocol.Body.
func (s *streamAnswer) Buffered() int {
	switch {
	case s.c == nil || s.over:
		return 0
	case s.held:
		return max(len(s.c.out), 1)
	case s.c.answers.ready(), s.c.answers.drained():
		return 1 // how much it will be nobody knows yet
	}
	return 0
}

// Done implements protocol.Body.
func (s *streamAnswer) Done() bool { return s.over }

// Rewind implements protocol.Body.
func (s *streamAnswer) Rewind() bool { return false }

// Close implements protocol.Body.
func (s *streamAnswer) Close() error {
	c := s.c
	if c == nil {
		return nil
	}
	s.c = nil
	var err error
	if c.inner != nil {
		err = c.inner.Close()
	}
	c.release()
	return err
}
