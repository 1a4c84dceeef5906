package protocol

// Name identifies a header field name that the gateway itself cares about. Parsers set it once, so that asking for such
// a field, or stripping hop-by-hop fields, compares a byte instead of text.
type Name uint8

// The known names. NameOther is every name that is not in this list.
const (
	NameOther Name = iota
	NameAccept
	NameAcceptEncoding
	NameAuthorization
	NameCacheControl
	NameConnection
	NameContentEncoding
	NameContentLength
	NameContentType
	NameCookie
	NameDate
	NameExpect
	NameForwarded
	NameHost
	NameKeepAlive
	NameLastEventID
	NameLocation
	NameOrigin
	NameProxyAuthenticate
	NameProxyAuthorization
	NameProxyConnection
	NameRetryAfter
	NameServer
	NameSetCookie
	NameTE
	NameTrailer
	NameTransferEncoding
	NameUpgrade
	NameUserAgent
	NameVary
	NameVia
	NameXForwardedFor
	NameXForwardedHost
	NameXForwardedPort
	NameXForwardedProto
	NameXRealIP
	NameXRequestID
	numNames
)

// knownNames is indexed by Name and holds the lower-case spelling.
var knownNames = [numNames]string{
	NameOther:              "",
	NameAccept:             "accept",
	NameAcceptEncoding:     "accept-encoding",
	NameAuthorization:      "authorization",
	NameCacheControl:       "cache-control",
	NameConnection:         "connection",
	NameContentEncoding:    "content-encoding",
	NameContentLength:      "content-length",
	NameContentType:        "content-type",
	NameCookie:             "cookie",
	NameDate:               "date",
	NameExpect:             "expect",
	NameForwarded:          "forwarded",
	NameHost:               "host",
	NameKeepAlive:          "keep-alive",
	NameLastEventID:        "last-event-id",
	NameLocation:           "location",
	NameOrigin:             "origin",
	NameProxyAuthenticate:  "proxy-authenticate",
	NameProxyAuthorization: "proxy-authorization",
	NameProxyConnection:    "proxy-connection",
	NameRetryAfter:         "retry-after",
	NameServer:             "server",
	NameSetCookie:          "set-cookie",
	NameTE:                 "te",
	NameTrailer:            "trailer",
	NameTransferEncoding:   "transfer-encoding",
	NameUpgrade:            "upgrade",
	NameUserAgent:          "user-agent",
	NameVary:               "vary",
	NameVia:                "via",
	NameXForwardedFor:      "x-forwarded-for",
	NameXForwardedHost:     "x-forwarded-host",
	NameXForwardedPort:     "x-forwarded-port",
	NameXForwardedProto:    "x-forwarded-proto",
	NameXRealIP:            "x-real-ip",
	NameXRequestID:         "x-request-id",
}

// nameIndex finds candidates by length and first letter; at most a handful of names share a slot.
var nameIndex = buildNameIndex()

const maxKnownName = 20

type nameSlot struct {
	names [4]Name
	n     uint8
}

func buildNameIndex() *[maxKnownName][26]nameSlot {
	var index [maxKnownName][26]nameSlot
	for id := NameOther + 1; id < numNames; id++ {
		s := knownNames[id]
		slot := &index[len(s)][s[0]-'a']
		slot.names[slot.n] = id // a fifth name in one slot panics here, in every test
		slot.n++
	}
	return &index
}

// LookupName says which known name s spells, whatever its case, or NameOther.
func LookupName(s string) Name {
	if len(s) == 0 || len(s) >= maxKnownName {
		return NameOther
	}
	c := s[0] | 0x20
	if c < 'a' || c > 'z' {
		return NameOther
	}
	slot := &nameIndex[len(s)][c-'a']
	for _, id := range slot.names[:slot.n] {
		if equalFold(s, knownNames[id]) {
			return id
		}
	}
	return NameOther
}

// String gives the lower-case spelling.
func (n Name) String() string {
	if n < numNames {
		return knownNames[n]
	}
	return ""
}

// HopByHop reports whether a field of this name concerns one connection only and is never passed on
// (RFC 9110 section 7.6.1, and Proxy-Connection of old clients). Content-Length and Host are not in it: engines frame
// and address messages themselves.
func (n Name) HopByHop() bool {
	switch n {
	case NameConnection, NameKeepAlive, NameProxyConnection, NameTE, NameTrailer, NameTransferEncoding, NameUpgrade,
		NameProxyAuthenticate, NameProxyAuthorization:
		return true
	}
	return false
}

// equalFold compares ASCII without regard to case. lower must consist of lower-case letters, digits and hyphens.
func equalFold(s, lower string) bool {
	n := len(s)
	switch {
	case n != len(lower):
		return false
	case n >= 8:
		for i := 0; i+8 < n; i += 8 {
			if !sameLetters(word(s[i:i+8]), word(lower[i:i+8])) {
				return false
			}
		}
		return sameLetters(word(s[n-8:]), word(lower[n-8:])) // may overlap what was compared
	}
	for i := 0; i < n; i++ {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// word loads eight octets; the compiler makes one instruction of it.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// sameLetters reports whether eight octets differ at most in the bit of the case, and that only where lower has letters:
// these alone have the bit 0x40 there.
func sameLetters(w, lower uint64) bool {
	differ := w ^ lower
	return differ&^0x2020202020202020 == 0 && differ<<1&^lower&0x4040404040404040 == 0
}

// EqualFold compares two ASCII strings without regard to case, as header names and tokens are compared.
func EqualFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if 'A' <= x && x <= 'Z' {
			x |= 0x20
		}
		if 'A' <= y && y <= 'Z' {
			y |= 0x20
		}
		if x != y {
			return false
		}
	}
	return true
}
