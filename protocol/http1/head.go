package http1

import (
	"github.com/sluice-gateway/sluice/protocol"
)

// head is what the fields of a message say about the message itself and the connection. None of it reaches Header.
type head struct {
	contentLength int64 // protocol.UnknownLength if there is no such field
	chunked       bool  // Transfer-Encoding: chunked
	coded         bool  // there is a Transfer-Encoding

	close     bool // Connection names close, keep-alive, upgrade
	keepAlive bool
	switches  bool
	named     bool // Connection names other fields, which must go
	upgrade   string
	trailers  bool // TE names trailers

	keptFor string // Keep-Alive, as it came
	host    string
	hosts   int
	expect  string

	connection  [maxConnection]string // the values of Connection
	nconnection int
	codings     int
}

// maxConnection bounds repeated Connection fields, which nobody sends for a good reason.
const maxConnection = 4

var errConnection = &parseError{text: "Connection is repeated too often"}

// fieldParser reads field lines as they arrive. It remembers where it stopped, so that no octet is looked at twice unless
// a line was incomplete.
type fieldParser struct {
	pos      int // start in the window of the first line that is not consumed
	count    int
	maxCount int
}

// parse consumes whole lines of b from p.pos on: ordinary fields go into h, the others into hd. done is true when the empty
// line was consumed; otherwise more bytes are needed. Strings point into b.
func (p *fieldParser) parse(b []byte, h *protocol.Header, hd *head) (done bool, err error) {
	for {
		name, value, n, err := fieldLine(b[p.pos:])
		if err != nil || n == 0 {
			return false, err
		}
		p.pos += n
		if name == nil {
			return true, nil
		}
		if p.count++; p.maxCount > 0 && p.count > p.maxCount {
			return false, errTooManyFields
		}
		id := protocol.LookupName(text(name))
		switch id {
		case protocol.NameOther:
			h.AddKnown(id, text(name), text(value))
		case protocol.NameContentLength, protocol.NameTransferEncoding, protocol.NameConnection, protocol.NameUpgrade,
			protocol.NameTE, protocol.NameHost, protocol.NameExpect, protocol.NameKeepAlive:
			if err := hd.take(id, text(value)); err != nil {
				return false, err
			}
		default:
			if !id.HopByHop() {
				h.AddKnown(id, text(name), text(value))
			}
		}
	}
}

func (hd *head) reset() { *hd = head{contentLength: protocol.UnknownLength} }

// take keeps a field that is about the message or the connection.
func (hd *head) take(id protocol.Name, value string) error {
	switch id {
	case protocol.NameContentLength:
		if hd.contentLength != protocol.UnknownLength {
			return errLengthTwice
		}
		n, ok := parseLength(value)
		if !ok {
			return errLength
		}
		hd.contentLength = n
	case protocol.NameTransferEncoding:
		if hd.codings++; hd.codings > 1 {
			return errCoding
		}
		hd.coded = true
		if !protocol.EqualFold(value, "chunked") {
			return codingError(value)
		}
		hd.chunked = true
	case protocol.NameConnection:
		if hd.nconnection == maxConnection {
			return errConnection
		}
		hd.connection[hd.nconnection] = value
		hd.nconnection++
		hd.options(value)
	case protocol.NameUpgrade:
		if hd.upgrade == "" {
			hd.upgrade = value
		}
	case protocol.NameTE:
		hd.trailers = hd.trailers || listHas(value, "trailers")
	case protocol.NameHost:
		hd.host = value
		hd.hosts++
	case protocol.NameExpect:
		hd.expect = value
	case protocol.NameKeepAlive:
		hd.keptFor = value
	}
	return nil
}

// options reads a value of Connection (RFC 9110 section 7.6.1).
func (hd *head) options(value string) {
	for token := ""; value != ""; {
		token, value = nextToken(value)
		switch {
		case token == "":
		case protocol.EqualFold(token, "close"):
			hd.close = true
		case protocol.EqualFold(token, "keep-alive"):
			hd.keepAlive = true
		case protocol.EqualFold(token, "upgrade"):
			hd.switches = true
		default:
			hd.named = true
		}
	}
}

// dropNamed removes the fields that Connection names, except those that are needed to frame or understand the message
// whoever names them.
func (hd *head) dropNamed(h *protocol.Header) {
	if !hd.named {
		return
	}
	for _, value := range hd.connection[:hd.nconnection] {
		for token := ""; value != ""; {
			token, value = nextToken(value)
			if token != "" {
				h.Del(token)
			}
		}
	}
}

// framing checks that the length of the message can be understood in one way only (RFC 9112 section 6.3).
func (hd *head) framing(v protocol.Version) error {
	if !hd.coded {
		return nil
	}
	if hd.contentLength != protocol.UnknownLength {
		return errLengthChunked
	}
	if v < protocol.HTTP11 {
		return errCodingVersion
	}
	return nil
}

// codingError tells a coding that we do not have (501) from one that cannot be framed (400): RFC 9112 section 6.1.
func codingError(value string) error {
	last := ""
	for value != "" {
		var token string
		if token, value = nextToken(value); protocol.EqualFold(last, "chunked") {
			return errCoding // chunked is not the last, or there twice
		}
		last = token
	}
	if protocol.EqualFold(last, "chunked") {
		return errCodingUnknown
	}
	return errCoding
}

// parseLength reads a Content-Length: digits only, and no more than fit.
func parseLength(s string) (int64, bool) {
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + int64(d)
	}
	return n, true
}

// nextToken cuts the first element off a comma separated list.
func nextToken(list string) (token, rest string) {
	i := 0
	for i < len(list) && list[i] != ',' {
		i++
	}
	token = list[:i]
	if i < len(list) {
		rest = list[i+1:]
	}
	for len(token) > 0 && (token[0] == ' ' || token[0] == '\t') {
		token = token[1:]
	}
	for len(token) > 0 && (token[len(token)-1] == ' ' || token[len(token)-1] == '\t') {
		token = token[:len(token)-1]
	}
	return token, rest
}

// listHas reports whether a comma separated list has an element, parameters aside (RFC 9110 section 5.6.1).
func listHas(list, want string) bool {
	for token := ""; list != ""; {
		token, list = nextToken(list)
		for i := 0; i < len(token); i++ {
			if token[i] == ';' || token[i] == ' ' {
				token = token[:i]
			}
		}
		if protocol.EqualFold(token, want) {
			return true
		}
	}
	return false
}
