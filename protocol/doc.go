// Package protocol holds the one abstraction of the data plane: a server is a function from Request to Response.
//
// Listeners (protocol/http1 and its siblings) decode the wire into a Request, upstream clients encode from it, and
// everything between is a Filter around a Handler. Nothing here knows a wire format: header names are an ordered list,
// bodies are handed over in pieces, trailers follow the last piece, and an upgraded connection is the same pair of bodies.
//
// Who owns what, and for how long, is written down in docs/design/0001-requests-and-bodies.md. In one line:
// everything reachable from a Request or Response is valid until Response.Close, and must be copied to live longer.
package protocol
