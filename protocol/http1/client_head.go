package http1

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// framing says how the content of a request is delimited (RFC 9112 section 6).
type framing uint8

const (
	framingNone    framing = iota // no content, and no field about it
	framingFixed                  // Content-Length
	framingChunked                // Transfer-Encoding: chunked
)

// requestFraming decides how req's body travels. A request without a body states length 0 where its method makes
// servers expect content (RFC 9110 section 8.6).
func requestFraming(req *protocol.Request) framing {
	switch {
	case req.Upgrade != "":
		return framingNone // what req.Body holds follows only when the instance agreed to switch
	case req.Body == nil:
		switch req.Method {
		case "POST", "PUT", "PATCH":
			return framingFixed
		}
		return framingNone
	case req.ContentLength >= 0:
		return framingFixed
	}
	return framingChunked
}

// appendRequestHead appends the head of req as it is sent to an instance. Fields of req.Header are written as they are,
// but for those that this engine writes itself. Nothing that could end a line early is ever written: an error then.
func appendRequestHead(dst []byte, req *protocol.Request, host string, body framing) ([]byte, error) {
	if !validTarget(req) {
		return dst, errBadTarget
	}
	start, lines := len(dst), 3 // request line, Host, and the empty line
	dst = append(dst, req.Method...)
	dst = append(dst, ' ')
	dst = append(dst, req.Path...)
	if req.HasQuery || req.RawQuery != "" {
		dst = append(dst, '?')
		dst = append(dst, req.RawQuery...)
	}
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, host...)
	dst = append(dst, '\r', '\n')

	teTrailers := false
	for i := range req.Header.Len() {
		f := req.Header.At(i)
		switch id := f.ID(); id {
		case protocol.NameOther:
			if !validToken(f.Name) {
				return dst[:start], errBadField
			}
		case protocol.NameTE:
			teTrailers = teTrailers || listHas(f.Value, "trailers")
			continue
		case protocol.NameTrailer:
			if body != framingChunked {
				continue
			}
		case protocol.NameHost, protocol.NameContentLength:
			continue
		default:
			if id.HopByHop() {
				continue
			}
		}
		dst = append(dst, f.Name...)
		dst = append(dst, ':', ' ')
		dst = append(dst, f.Value...)
		dst = append(dst, '\r', '\n')
		lines++
	}

	switch body {
	case framingFixed:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, max(req.ContentLength, 0), 10)
		dst = append(dst, '\r', '\n')
		lines++
	case framingChunked:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
		lines++
	}
	switch {
	case req.Upgrade != "":
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: "...)
		dst = append(dst, req.Upgrade...)
		dst = append(dst, '\r', '\n')
		lines += 2
	case teTrailers:
		// RFC 9110 section 10.1.4: TE is for the next hop only and Connection must name it.
		dst = append(dst, "TE: trailers\r\nConnection: TE\r\n"...)
		lines += 2
	}
	dst = append(dst, '\r', '\n')

	// One look at the whole head instead of one at each value: a CR or LF inside a value changes these counts.
	head := dst[start:]
	if bytes.Count(head, []byte{'\r'}) != lines || bytes.Count(head, []byte{'\n'}) != lines || bytes.IndexByte(head, 0) >= 0 {
		return dst[:start], errBadField
	}
	return dst, nil
}

// validTarget reports whether method, target and authority hold nothing that would change how the request line or the
// Host field is read. The listener made them so; a filter may have rewritten them.
func validTarget(req *protocol.Request) bool {
	if !validToken(req.Method) || req.Path == "" || (req.Path[0] != '/' && req.Path != "*") {
		return false
	}
	return visible(req.Path) && visible(req.RawQuery) && visible(req.Authority) && strings.IndexByte(req.Path, '#') < 0
}

// visible reports whether s holds no blank and no control character.
func visible(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
