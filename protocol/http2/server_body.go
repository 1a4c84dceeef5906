package http2

import (
	"net/http"

	"github.com/sluice-gateway/sluice/protocol"
)

// beforeWait implements receiver.
func (x *serverStream) beforeWait() int64 {
	if x.expects {
		x.inform(http.StatusContinue, nil)
	}
	if d := x.cfg.Timeouts.Body; d > 0 && !x.patient {
		return protocol.Now() + int64(d)
	}
	return 0
}

// waited implements receiver.
func (x *serverStream) waited() error { return errBodyTimeout }

var errBodyTimeout = &protocol.Error{Status: 408, Code: protocol.CodeRequestTimeout,
	Message: "the request body did not arrive in time"}

// broken implements receiver.
func (x *serverStream) broken(err error) error { return clientGone(err) }

func clientGone(err error) *protocol.Error {
	return &protocol.Error{Status: 499, Code: protocol.CodeClientGone, Message: "the client gave the request up", Cause: err}
}

// trailers implements receiver. A body that is sent again comes to its end again; the trailers have been taken then.
func (x *serverStream) trailers(h *protocol.Header) {
	if h.Len() > 0 {
		x.req.Trailer, *h = *h, x.req.Trailer
	}
}

// closeBody implements receiver. What is left of the body is dropped as it comes.
func (x *serverStream) closeBody() error {
	c := &x.conn.conn
	c.mu.Lock()
	if !x.shut {
		x.drop()
	}
	c.commit()
	return nil
}
