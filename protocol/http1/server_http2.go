package http1

import (
	"slices"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// preface is what a client that speaks HTTP/2 by prior knowledge says first (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// http2 reports whether the connection speaks HTTP/2: its client has agreed on it by ALPN, or begins with the preface. It
// is asked once, before the first request.
func (c *conn) http2(cfg *ServerConfig) bool {
	if cfg.HTTP2 == nil {
		return false
	}
	if c.tls != nil {
		return c.tls.NegotiatedProtocol == "h2" // without ALPN nobody may speak it over TLS (RFC 9113 section 3.2)
	}
	limit := socket.Limit{}
	if d := cfg.Timeouts.Header; d > 0 {
		limit.Until = protocol.Now() + int64(d)
	}
	for {
		w := c.in.window()
		n := min(len(w), len(preface))
		if string(w[:n]) != preface[:n] {
			return false
		}
		if n == len(preface) {
			return true
		}
		if _, err := c.in.fillHead(socket.Small, limit); err != nil {
			return false // whoever reads on finds out what it was
		}
	}
}

// handOver gives the connection, with what was read of it, to the one who speaks HTTP/2.
func (c *conn) handOver(cfg *ServerConfig) {
	read := slices.Clone(c.in.window())
	c.in.abandon()
	nc := c.sock.NetConn()
	_ = nc.SetDeadline(time.Time{}) // fails on a closed connection only, as its first read will
	c.srv.remove(c)
	cfg.HTTP2(nc, read)
}
