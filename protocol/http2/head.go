package http2

import (
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/http2/hpack"
)

// headKind is what a header block is.
type headKind uint8

const (
	headDiscarded headKind = iota // nobody's any more, decoded for the table's sake
	headRequest
	headResponse
	headTrailers
)

// headBlock takes the fields of a header block and holds them to RFC 9113 section 8. It is the reading goroutine's and used
// for one block after the other; regular fields go into the Header of whom the block is for.
type headBlock struct {
	maxBytes, maxCount int
	scrap              protocol.Arena

	kind    headKind
	to      *protocol.Header
	fault   string // the first rule that is broken
	over    bool   // it is larger than allowed, and what did not fit is lost
	size    int
	count   int
	regular bool
	seen    uint8 // bits of pseudo-header fields

	method, scheme, authority, path, protocol string
	status                                    int

	length  int64 // content-length, or protocol.UnknownLength
	host    string
	hosts   int
	cookies int
	expect  string
}

func (h *headBlock) begin(kind headKind, to *protocol.Header) {
	h.kind, h.to, h.fault, h.over, h.size, h.count, h.regular, h.seen = kind, to, "", false, 0, 0, false, 0
	h.method, h.scheme, h.authority, h.path, h.protocol, h.status = "", "", "", "", "", 0
	h.length, h.host, h.hosts, h.cookies, h.expect = protocol.UnknownLength, "", 0, 0, ""
}

func (h *headBlock) bad(what string) {
	if h.fault == "" {
		h.fault = what
	}
}

func (h *headBlock) has(p hpack.Pseudo) bool { return h.seen&(1<<p) != 0 }

// Field implements hpack.Sink.
func (h *headBlock) Field(f *hpack.Field) {
	if h.kind == headDiscarded {
		return
	}
	h.size += f.Size()
	if h.count++; h.size > h.maxBytes || h.count > h.maxCount {
		h.over = true
		return
	}
	switch {
	case f.Fault == hpack.FaultName:
		h.bad("a field name is empty or holds a character that is not allowed")
		return
	case f.Fault == hpack.FaultValue:
		h.bad("a field value holds a control character, or a blank at one end")
		return
	case f.Pseudo != hpack.PseudoNone:
		h.pseudo(f)
		return
	}
	h.regular = true
	switch f.ID {
	case protocol.NameOther:
	case protocol.NameConnection, protocol.NameKeepAlive, protocol.NameProxyConnection, protocol.NameTransferEncoding,
		protocol.NameUpgrade:
		h.bad("a field is specific to HTTP/1 connections")
		return
	case protocol.NameTE:
		switch {
		case f.Value != "trailers":
			h.bad("te says something else than trailers")
			return
		case h.kind != headRequest:
			return
		}
	case protocol.NameContentLength:
		h.contentLength(f.Value)
		return
	case protocol.NameHost:
		h.host = f.Value
		if h.hosts++; h.hosts > 1 {
			h.bad("host is repeated")
		}
		return
	case protocol.NameExpect:
		h.expect = f.Value
		return
	case protocol.NameCookie:
		h.cookies++
	case protocol.NameTrailer, protocol.NameProxyAuthenticate, protocol.NameProxyAuthorization:
		return // hop by hop
	}
	if h.kind == headTrailers && forbiddenTrailer(f.ID) {
		return
	}
	if f.Sensitive {
		h.to.AddSensitive(f.ID, f.Name, f.Value)
		return
	}
	h.to.AddKnown(f.ID, f.Name, f.Value)
}

// forbiddenTrailer reports whether a field frames, routes or authenticates a message, and so means nothing behind it
// (RFC 9110 section 6.5.1).
func forbiddenTrailer(id protocol.Name) bool {
	switch id {
	case protocol.NameAuthorization, protocol.NameCacheControl, protocol.NameContentEncoding, protocol.NameContentType,
		protocol.NameCookie, protocol.NameSetCookie, protocol.NameForwarded, protocol.NameXForwardedFor,
		protocol.NameXForwardedHost, protocol.NameXForwardedPort, protocol.NameXForwardedProto, protocol.NameXRealIP:
		return true
	}
	return false
}

const (
	ofRequest  = 1<<hpack.PseudoMethod | 1<<hpack.PseudoScheme | 1<<hpack.PseudoAuthority | 1<<hpack.PseudoPath | 1<<hpack.PseudoProtocol
	ofResponse = 1 << hpack.PseudoStatus
)

// pseudo is section 8.3.
func (h *headBlock) pseudo(f *hpack.Field) {
	bit := uint8(1) << f.Pseudo
	allowed := uint8(0)
	switch h.kind {
	case headRequest:
		allowed = ofRequest
	case headResponse:
		allowed = ofResponse
	}
	switch {
	case f.Pseudo == hpack.PseudoUnknown || allowed&bit == 0:
		h.bad("a pseudo-header field does not belong there")
		return
	case h.regular:
		h.bad("a pseudo-header field stands behind others")
		return
	case h.seen&bit != 0:
		h.bad("a pseudo-header field is repeated")
		return
	}
	h.seen |= bit
	switch f.Pseudo {
	case hpack.PseudoMethod:
		h.method = f.Value
	case hpack.PseudoScheme:
		h.scheme = f.Value
	case hpack.PseudoAuthority:
		h.authority = f.Value
	case hpack.PseudoPath:
		h.path = f.Value
	case hpack.PseudoProtocol:
		h.protocol = f.Value
	case hpack.PseudoStatus:
		h.setStatus(f.Value)
	}
}

func (h *headBlock) setStatus(s string) {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			n = 0
			break
		}
		n = n*10 + int(s[i]-'0')
	}
	if len(s) != 3 || n < 100 || n == 101 { // 101 does not exist here, section 8.6
		h.bad(":status is not valid")
		return
	}
	h.status = n
}

func (h *headBlock) contentLength(s string) {
	if h.kind == headTrailers {
		return
	}
	n, ok := parseLength(s)
	switch {
	case !ok:
		h.bad("content-length is not a number")
	case h.length != protocol.UnknownLength:
		h.bad("content-length is repeated")
	default:
		h.length = n
	}
}

// parseLength reads 1*DIGIT.
func parseLength(s string) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	n := int64(0)
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// joinCookies makes one field of what clients may have sent in pieces (section 8.2.3): others than HTTP/2 must not see them.
func joinCookies(a *protocol.Arena, h *protocol.Header) {
	first, all := -1, ""
	for i := 0; i < h.Len(); i++ {
		f := h.At(i)
		switch {
		case f.ID() != protocol.NameCookie:
		case first < 0:
			first, all = i, f.Value
		default:
			all = a.Concat(all, "; ", f.Value)
			h.DelAt(i)
			i--
		}
	}
	if first >= 0 {
		h.At(first).Value = all
	}
}
