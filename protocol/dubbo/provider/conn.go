package provider

import (
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// conn is one client's connection.
type conn struct {
	server *Server
	nc     net.Conn
	mu     sync.Mutex // one writer at a time
}

// stalledWrite is how long a client may take nothing.
const stalledWrite = 30 * time.Second

// idleTimeout is how long a client may send nothing, not even a heartbeat: three times the usual interval, as in Java.
const idleTimeout = 3 * time.Minute

// read serves the connection until it ends.
func (c *conn) read() {
	defer c.nc.Close()
	fr := frame.NewReader(c.nc, c.server.cfg.Payload)
	for {
		if err := c.nc.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil {
			return
		}
		f, err := fr.Next()
		if err != nil {
			c.server.cfg.Logger.Debug("client connection ended", "client", c.nc.RemoteAddr(), "error", err)
			return
		}
		switch {
		case f.IsEvent():
			if f.IsRequest() && f.IsTwoWay() {
				c.send(frame.AppendHeartbeatAnswer(nil, f.Serialization(), f.ID))
			}
		case !f.IsRequest():
			// An answer to nothing: this side asks nothing but heartbeats, which it leaves to clients.
		case f.TooLong:
			c.refuse(f.Header, frame.StatusSerialization, fmt.Sprintf("Data length too large: %d, max payload: %d", f.Length, c.server.cfg.Payload))
		case f.Serialization() != frame.Hessian2:
			c.refuse(f.Header, frame.StatusBadRequest, fmt.Sprintf("serialization %d is not supported, only %d", f.Serialization(), frame.Hessian2))
		default:
			c.dispatch(f)
		}
	}
}

// dispatch answers a call on a goroutine of its own, so that slow calls do not hold up others.
func (c *conn) dispatch(f frame.Frame) {
	r, err := readRequest(f.Body)
	if err != nil {
		c.refuse(f.Header, frame.StatusBadRequest, "Fail to decode request due to: "+err.Error())
		return
	}
	m, err := c.server.find(r)
	if err != nil {
		c.refuse(f.Header, frame.StatusServiceError, err.Error())
		return
	}
	c.server.enter()
	c.server.tasks.Go(func() {
		defer c.server.leave()
		body := c.server.answer(m, r)
		if f.IsTwoWay() {
			c.send(appendFrame(f.ID, frame.StatusOK, body))
		}
	})
}

// refuse answers with a status other than OK, whose body is a text.
func (c *conn) refuse(h frame.Header, status byte, text string) {
	if h.IsTwoWay() {
		c.send(appendFrame(h.ID, status, hessian.AppendString(nil, text)))
	}
}

func appendFrame(id uint64, status byte, body []byte) []byte {
	f := frame.AppendHeader(make([]byte, 0, frame.HeaderLen+len(body)), frame.Hessian2, status, id)
	f = append(f, body...)
	frame.SetLength(f)
	return f
}

// send writes a frame whole. A client that does not take it loses its connection.
func (c *conn) send(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.nc.SetWriteDeadline(time.Now().Add(stalledWrite))
	if err == nil {
		_, err = c.nc.Write(b)
	}
	if err != nil {
		_ = c.nc.Close()
	}
}
