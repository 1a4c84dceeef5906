package http1

import (
	"context"
	"net"
	"sync/atomic"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// upstreamConn is one connection to an instance with the exchange that runs on it. It is the Response's first registered
// Finisher, so the last to run: until then the strings of the answer's head are valid.
//
// Everything here belongs to the goroutine that holds the exchange; a pump has its own file and rules.
type upstreamConn struct {
	client *Client
	sock   socket.Conn
	st     stream
	out    outbound

	dialledAt int64
	idleSince int64
	keepAlive int64 // how long the instance said it keeps an idle connection, less a margin; 0 if it did not say
	used      bool  // has served an exchange
	dead      bool  // marked by pool.sweep

	// Of the exchange.
	ctx     context.Context // the exchange's own, which looks at the client's socket; dropped at its end
	req     *protocol.Request
	resp    *protocol.Response
	head    head
	fields  fieldParser
	body    answerBody
	pump    pump
	sentAt  int64       // when the request was sent; 0 while it is
	waited  int64       // nanoseconds that the current read of a body has waited without progress
	again   bool        // the next read continues the current wait
	lasting bool        // the answer allows another exchange on the connection
	ended   atomic.Bool // the answer's body was closed
}

func newUpstreamConn(c *Client, nc net.Conn) *upstreamConn {
	u := &upstreamConn{client: c, dialledAt: protocol.Now()}
	u.sock.Init(nc)
	u.st = stream{sock: &u.sock, pool: &c.buffers}
	u.out = outbound{sock: &u.sock, pool: &c.buffers, splicer: &c.splicer}
	u.body.u, u.pump.u = u, u
	u.pump.done = make(chan struct{}, 1)
	u.out.ending = &u.pump.ending
	return u
}

// shut closes the connection. It is in nobody else's hands.
func (u *upstreamConn) shut() {
	// Nothing is lost by an error here: what the exchange needed it has.
	_ = u.sock.Close()
}

// quiet reports whether a connection that was idle is still good: open, and without a byte that nobody asked for, which
// would be taken for the answer to the next request.
func (u *upstreamConn) quiet() bool {
	if u.sock.Peek() != socket.Quiet {
		return false
	}
	if u.sock.Direct() {
		return true
	}
	// TLS may hold decrypted bytes, or know of an end, that the socket does not show.
	var b [1]byte
	_, err := u.sock.Read(b[:], socket.Limit{Until: 1})
	return err == socket.ErrTimeout
}

// abort ends an exchange that has no Response, and the connection with it.
func (u *upstreamConn) abort() {
	u.stopPump()
	u.out.discard()
	u.st.abandon()
	u.leaveExchange()
	u.client.pool.drop(u)
}

// leaveExchange forgets the exchange. It reports whether that was interrupted, which the connection does not survive.
func (u *upstreamConn) leaveExchange() (interrupted bool) {
	if i, ok := u.ctx.(protocol.Interrupter); ok {
		interrupted = i.Interrupt(nil)
	}
	u.ctx, u.req, u.resp = nil, nil, nil
	u.pump.body, u.pump.trailer = nil, nil
	u.head.reset()
	return interrupted
}

// Finish implements protocol.Finisher: the exchange is over and its connection goes back to the pool, if it is clean.
func (u *upstreamConn) Finish(*protocol.Request, *protocol.Response, error) {
	if u.req == nil {
		return // aborted: there was no answer, only the empty Response for it
	}
	_ = u.body.Close() // does nothing if the Response had this body
	clean := u.lasting && u.body.whole() && u.st.buffered() == 0 && !u.pump.spoiled
	clean = !u.leaveExchange() && clean
	if !clean {
		u.st.abandon()
		u.client.pool.drop(u)
		return
	}
	u.st.release()
	u.client.pool.put(u, protocol.Now())
}
