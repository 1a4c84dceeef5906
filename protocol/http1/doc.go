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
// Request.Path is in normal form, so that the text which is matched is the text which is forwarded; see NormalizePath.
//
// # Memory
//
// Nothing is copied: strings of a head point into the connection's read buffer, which stays until the exchange ends; body
// pieces are slices of read buffers, valid until the next piece.
package http1
