// Package http1 is the gateway's own HTTP/1.1 engine (RFC 9112, with the semantics of RFC 9110): a server that decodes
// requests from a listener for a protocol.Handler, and a client that encodes them for an upstream instance. Both sides
// share the parser of field lines, the body decoders and the writer.
//
// # Strictness
//
// Whatever two parties could frame differently is refused, with 400 and a closed connection: Content-Length beside
// Transfer-Encoding, a repeated, signed or overlong Content-Length, any transfer coding but chunked, line folding, a CR or
// LF that is not part of CRLF, blanks before a colon, control characters in values, characters in names that are not token
// characters, bad chunk sizes. A bare LF ends no line.
//
// # Paths
//
// Request.Path is in normal form, so that the text which is matched is the text which is forwarded; see protocol.NormalizePath.
//
// # Who asked
//
// X-Forwarded-For, -Proto, -Host, -Port, Forwarded and X-Real-IP are believed from trusted proxies and dropped from all
// others. Request.Client is the first address from the right that is no trusted proxy. The request that goes on carries
// X-Forwarded-For with the peer appended, X-Forwarded-Proto and X-Forwarded-Host; see the server's forward.
//
// # What the server adds
//
// Answers get a Date if they have none. Server is passed on if the Handler set it and never invented. Fields that concern one
// connection only are written by the engine alone, whatever a Handler puts into the header.
//
// # Time
//
// Nothing waits for ever: heads have a time limit, bodies and writes a limit of silence, idle connections are closed, and
// those that are idle for a second give up their goroutine and buffers. A client that has left is found by asking its
// socket: Context.Err asks at once, Context.Done is served by one goroutine that asks for all.
//
// # Memory
//
// Nothing is copied: strings of a head point into the connection's read buffer, which stays until the exchange ends; body
// pieces are slices of read buffers, valid until the next piece.
package http1
