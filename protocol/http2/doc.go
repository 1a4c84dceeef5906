// Package http2 is the HTTP/2 engine (RFC 9113): a server that decodes requests for a protocol.Handler, and a client that
// is one.
//
// Both sides share a connection (conn): one goroutine reads, a mutex guards everything that is written and the state of all
// streams, and whoever has something to write appends it to a common buffer. The first one to do so yields to the others
// and then writes for all of them, without ever blocking; if the socket is full, a goroutine of its own carries on. Each
// exchange runs on a goroutine: a warm one that belongs to the pooled stream in the server, the caller's in the client.
//
// The state of a direction belongs to the connection it is written to, and nobody holds the locks of two connections.
// Bodies are never held whole: credit for received octets goes back when their reader asks for more, and a writer waits
// for the peer's windows and for room in the buffer.
//
// What a peer can make this end hold or do is bounded, see abuse.go and docs/design/0001-requests-and-bodies.md.
package http2
