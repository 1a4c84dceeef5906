package hpack

import (
	"hash/maphash"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// Encoder encodes the header blocks of one connection in their order. It is not safe for concurrent use.
//
// A field is put into the dynamic table when it is met for the second time within a short while, so that what changes with
// each request (ids, timeouts, lengths) never pushes out what repeats, and costs no memory. Strings are not
// Huffman-coded: it would save a quarter of the octets of new fields and cost more time than all the rest here.
type Encoder struct {
	table   table
	seed    maphash.Seed
	index   [indexSlots]uint32 // positions plus one of inserted fields, by hash
	seen    *[seenSlots]uint32 // see met; nil until needed
	lowered []byte

	maximum int  // what we are willing to use
	lowest  int  // smallest limit since the last block
	resized bool // a size update is due
}

const (
	indexSlots = 256 // the table of 4096 octets holds at most 124 fields
	indexWays  = 4   // slots in which a hash is looked for
	seenSlots  = 256
)

// NewEncoder returns an Encoder that uses up to maximum of whatever table size the peer allows.
func NewEncoder(maximum int) *Encoder {
	e := &Encoder{maximum: maximum, seed: maphash.MakeSeed()}
	e.table.limit = min(DefaultTableSize, maximum)
	if e.table.limit < DefaultTableSize {
		e.lowest, e.resized = e.table.limit, true
	}
	return e
}

// SetPeerLimit obeys the peer's SETTINGS_HEADER_TABLE_SIZE. The next block says so (RFC 7541 section 4.2).
func (e *Encoder) SetPeerLimit(n uint32) {
	limit := int(min(uint64(n), uint64(e.maximum)))
	if limit == e.table.limit {
		return
	}
	if !e.resized || limit < e.lowest {
		e.lowest = limit
	}
	e.resized = true
	e.table.setLimit(limit)
}

// Trim gives up memory that an idle connection does not need. The table stays.
func (e *Encoder) Trim() { e.seen, e.lowered = nil, nil }

// Begin appends what has to stand at the start of a block.
func (e *Encoder) Begin(dst []byte) []byte {
	if !e.resized {
		return dst
	}
	e.resized = false
	if e.lowest < e.table.limit {
		dst = appendInteger(dst, 0x20, 5, uint64(e.lowest))
	}
	return appendInteger(dst, 0x20, 5, uint64(e.table.limit))
}

// Method appends ":method".
func (e *Encoder) Method(dst []byte, method string) []byte {
	switch method {
	case "GET":
		return append(dst, 0x80|indexMethodGet)
	case "POST":
		return append(dst, 0x80|indexMethodPost)
	}
	return e.field(dst, indexMethodGet, ":method", method)
}

// Scheme appends ":scheme".
func (e *Encoder) Scheme(dst []byte, scheme string) []byte {
	switch scheme {
	case "http":
		return append(dst, 0x80|indexSchemeHTTP)
	case "https":
		return append(dst, 0x80|indexSchemeHTTPS)
	}
	return e.field(dst, indexSchemeHTTP, ":scheme", scheme)
}

// Path appends ":path".
func (e *Encoder) Path(dst []byte, path string) []byte {
	if path == "/" {
		return append(dst, 0x80|indexPathRoot)
	}
	return e.field(dst, indexPathRoot, ":path", path)
}

// Authority appends ":authority".
func (e *Encoder) Authority(dst []byte, authority string) []byte {
	return e.field(dst, indexAuthority, ":authority", authority)
}

// Protocol appends ":protocol" (RFC 8441).
func (e *Encoder) Protocol(dst []byte, name string) []byte {
	return e.field(dst, 0, ":protocol", name)
}

// Status appends ":status" of three digits.
func (e *Encoder) Status(dst []byte, status int) []byte {
	for i := uint8(0); i < 7; i++ {
		if common[i] == status {
			return append(dst, 0x80|(indexStatus200+i))
		}
	}
	return append(dst, indexStatus200, 3, '0'+byte(status/100), '0'+byte(status/10%10), '0'+byte(status%10))
}

// common are the statuses of the static table from indexStatus200 on.
var common = [...]int{200, 204, 206, 304, 400, 404, 500}

// Once appends a field whose value is known to change each time.
func (e *Encoder) Once(dst []byte, id protocol.Name, value string) []byte {
	return e.literal(dst, 0x00, staticByID[id], id.String(), value)
}

// Known appends a field of a known name, which may go into the table.
func (e *Encoder) Known(dst []byte, id protocol.Name, value string) []byte {
	return e.field(dst, staticByID[id], id.String(), value)
}

// Field appends a regular field. The name may have upper-case letters, which are lowered. What was received as sensitive
// stays so; credentials and short secrets never go into the table, where their length under an attacker's guesses could
// betray them (RFC 7541 section 7.1.3).
func (e *Encoder) Field(dst []byte, f *protocol.Field) []byte {
	id := f.ID()
	if f.Sensitive() || secret(id) {
		if id != protocol.NameOther {
			return e.literal(dst, 0x10, staticByID[id], id.String(), f.Value)
		}
		name := e.lower(f.Name)
		return e.literal(dst, 0x10, staticByName[name], name, f.Value)
	}
	switch id {
	case protocol.NameOther:
		name := e.lower(f.Name)
		return e.field(dst, staticByName[name], name, f.Value)
	case protocol.NameContentLength, protocol.NameXRequestID:
		return e.Once(dst, id, f.Value)
	}
	return e.field(dst, staticByID[id], id.String(), f.Value)
}

func secret(id protocol.Name) bool {
	switch id {
	case protocol.NameAuthorization, protocol.NameCookie, protocol.NameSetCookie, protocol.NameProxyAuthorization:
		return true
	}
	return false
}

// lower gives a name without upper-case letters, valid until the next call.
func (e *Encoder) lower(name string) string {
	for i := 0; i < len(name); i++ {
		if c := name[i]; 'A' <= c && c <= 'Z' {
			e.lowered = append(e.lowered[:0], name...)
			for ; i < len(name); i++ {
				if c := name[i]; 'A' <= c && c <= 'Z' {
					e.lowered[i] = c | 0x20
				}
			}
			return view(e.lowered)
		}
	}
	return name
}

// field appends a field by its index if it is in the table, and as a literal otherwise. static is the index of its name.
func (e *Encoder) field(dst []byte, static uint8, name, value string) []byte {
	size := len(name) + len(value) + entryOverhead
	if size > e.table.limit/2 {
		return e.literal(dst, 0x00, static, name, value)
	}
	h := maphash.String(e.seed, value)
	h = h<<5 ^ h>>7 ^ uint64(len(name))<<16 ^ uint64(name[0]) ^ uint64(name[len(name)-1])<<8 // names are compared anyway
	free := uint64(0)
	for way := range uint64(indexWays) {
		slot := (h + way) % indexSlots
		position := e.index[slot] - 1
		if !e.table.has(position) {
			free = slot
			continue
		}
		if f := e.table.at(position); f.Value == value && f.Name == name {
			return appendInteger(dst, 0x80, 7, e.table.index(position))
		}
		if way == 0 {
			free = slot // if no way is free: it is forgotten, not evicted
		}
	}
	if !e.met(h >> 8) {
		return e.literal(dst, 0x00, static, name, value)
	}
	dst = e.literal(dst, 0x40, static, name, value)
	e.table.add(&Field{Name: strings.Clone(name), Value: strings.Clone(value)})
	e.index[free] = e.table.next
	return dst
}

// met reports whether a field of such a hash came by not long ago, and remembers it: each hash has two places, of which the
// first holds the newer one.
func (e *Encoder) met(h uint64) bool {
	if e.seen == nil {
		e.seen = new([seenSlots]uint32)
	}
	mark := uint32(h>>24) | 1
	pair := e.seen[h%(seenSlots/2)*2:][:2]
	if pair[0] == mark || pair[1] == mark {
		return true
	}
	pair[1], pair[0] = pair[0], mark
	return false
}

// literal appends a literal of the kind that the first octet's high bits say.
func (e *Encoder) literal(dst []byte, kind byte, static uint8, name, value string) []byte {
	bits := uint(4)
	if kind == 0x40 {
		bits = 6
	}
	dst = appendInteger(dst, kind, bits, uint64(static))
	if static == 0 {
		dst = appendText(dst, name)
	}
	return appendText(dst, value)
}

func appendText(dst []byte, s string) []byte {
	dst = appendInteger(dst, 0x00, 7, uint64(len(s)))
	return append(dst, s...)
}

// appendInteger is section 5.1.
func appendInteger(dst []byte, first byte, bits uint, n uint64) []byte {
	mask := uint64(1)<<bits - 1
	if n < mask {
		return append(dst, first|byte(n))
	}
	dst = append(dst, first|byte(mask))
	for n -= mask; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}
