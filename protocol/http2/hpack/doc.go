// Package hpack compresses header fields for HTTP/2 (RFC 7541).
//
// It is our own for speed: strings that live as long as the exchange come from its arena, names are recognised once and
// then known by number, a field's characters are judged when they are decoded and the verdict stays in the table with it,
// and the encoder indexes only what repeats. It is checked against golang.org/x/net/http2/hpack by tests and by fuzzing.
package hpack
