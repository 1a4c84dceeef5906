package http1

import (
	"bytes"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// Violations of the request line and of what it says together with Host.
var (
	errRequestLine   = &parseError{text: "the request line is not valid"}
	errTarget        = &parseError{text: "the request target is not valid"}
	errURITooLong    = &parseError{text: "the request target is too long", status: 414}
	errVersion       = &parseError{text: "the HTTP version is not supported", status: 505}
	errHTTP2         = &parseError{text: "HTTP/2 is not spoken here", status: 505}
	errNoHost        = &parseError{text: "Host is missing"}
	errHostTwice     = &parseError{text: "Host is repeated"}
	errHost          = &parseError{text: "Host is not valid"}
	errHostMismatch  = &parseError{text: "Host and the request target name different authorities"}
	errConnectMethod = &parseError{text: "CONNECT is not supported", status: 501}
	errExpectation   = &parseError{text: "the expectation cannot be met", status: 417}
)

// requestLine is the start of a request (RFC 9112 section 3), still in the window.
type requestLine struct {
	method  string
	target  string
	version protocol.Version
}

// parseRequestLine reads the line that b begins with and returns its length with CRLF, or 0 if it is not complete.
func parseRequestLine(b []byte, maxURI int, rl *requestLine) (int, error) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		method := scanName(b)
		switch {
		case method == 0 && len(b) > 0, method < len(b) && b[method] != ' ':
			return 0, errRequestLine
		case len(b)-method > maxURI+len("  HTTP/1.1\r"):
			return 0, errURITooLong
		}
		return 0, nil
	}
	if end == 0 || b[end-1] != '\r' {
		return 0, errBareLF
	}
	line := b[:end-1]
	method := scanName(line)
	if method == 0 || method == len(line) || line[method] != ' ' {
		return 0, errRequestLine
	}
	rest := line[method+1:]
	n := 0
	for n < len(rest) && classes[rest[n]]&classTarget != 0 {
		n++
	}
	switch {
	case n == 0 || n == len(rest):
		return 0, errRequestLine
	case rest[n] != ' ':
		return 0, errTarget
	case n > maxURI:
		return 0, errURITooLong
	}
	rl.method, rl.target = text(line[:method]), text(rest[:n])
	switch version := text(rest[n+1:]); version {
	case "HTTP/1.1":
		rl.version = protocol.HTTP11
	case "HTTP/1.0":
		rl.version = protocol.HTTP10
	default:
		switch {
		case version == "HTTP/2.0" && rl.method == "PRI" && rl.target == "*":
			return 0, errHTTP2 // the preface of RFC 9113 section 3.4
		case len(version) == 8 && version[:5] == "HTTP/" && isDigit(version[5]) && version[6] == '.' && isDigit(version[7]):
			return 0, errVersion
		}
		return 0, errRequestLine
	}
	return end + 1, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// resolve fills in what the request is about from its line and its Host (RFC 9112 sections 3.2 and 3.3).
func (rl *requestLine) resolve(req *protocol.Request, hd *head) *parseError {
	req.Method, req.Version = rl.method, rl.version
	if rl.method == "CONNECT" {
		return errConnectMethod
	}
	if hd.hosts > 1 {
		return errHostTwice
	}
	if hd.hosts == 1 && !protocol.ValidAuthority(hd.host) {
		return errHost
	}
	if hd.hosts == 0 && rl.version >= protocol.HTTP11 {
		return errNoHost
	}
	req.Authority = hd.host
	target := rl.target
	switch {
	case target[0] == '/':
	case target == "*":
		if rl.method != "OPTIONS" {
			return errTarget
		}
		req.Path = "*"
		return nil
	default:
		authority, rest, port, ok := cutAbsolute(target)
		if !ok || !protocol.ValidAuthority(authority) {
			return errTarget
		}
		// RFC 9112 wants the target to win over Host. Two that differ are a mistake or an attack on whoever reads the other.
		if hd.hosts == 1 && !sameAuthority(authority, hd.host, port) {
			return errHostMismatch
		}
		req.Authority = authority
		if target = rest; target == "" {
			if req.Path = "/"; rl.method == "OPTIONS" {
				req.Path = "*" // RFC 9112 section 3.2.4
			}
			return nil
		}
	}
	path, query, has := strings.Cut(target, "?")
	req.RawQuery, req.HasQuery = query, has
	if path == "" {
		path = "/"
	}
	var err error
	if req.Path, err = protocol.NormalizePath(&req.Arena, path); err != nil {
		return &parseError{text: err.Error()}
	}
	return nil
}

// cutAbsolute splits "http://authority/path?query"; rest begins with "/" or "?" or is empty, port is the scheme's own.
func cutAbsolute(target string) (authority, rest, port string, ok bool) {
	scheme, after, ok := strings.Cut(target, "://")
	switch {
	case ok && protocol.EqualFold(scheme, "http"):
		port = ":80"
	case ok && protocol.EqualFold(scheme, "https"):
		port = ":443"
	default:
		return "", "", "", false
	}
	i := strings.IndexAny(after, "/?")
	if i < 0 {
		i = len(after)
	}
	return after[:i], after[i:], port, true
}

// sameAuthority compares without regard to case and to the scheme's own port.
func sameAuthority(a, b, port string) bool {
	return protocol.EqualFold(strings.TrimSuffix(a, port), strings.TrimSuffix(b, port))
}
