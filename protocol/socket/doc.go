// Package socket is what all wires share below HTTP: connections with non-blocking reads and writes by raw system call,
// lazily armed deadlines, pooled buffers that are taken only when there is something to put in, a question whether the
// peer is still there, splicing, and a place to park idle connections without a goroutine.
//
// The fast path needs Linux and a *net.TCPConn. Everything else (TLS, net.Pipe, other systems) goes through net.Conn with
// the same behaviour and more cost.
//
// All times are integers of protocol.Now's clock. A Conn is used by one reader and one writer at a time; Close,
// Interrupt and Gone may come from any goroutine.
package socket
