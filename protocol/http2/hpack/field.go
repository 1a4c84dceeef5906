package hpack

import (
	"unsafe"

	"github.com/sluice-gateway/sluice/protocol"
)

// Pseudo says which pseudo-header field a name is (RFC 9113 section 8.3).
type Pseudo uint8

// The pseudo-header fields, and PseudoNone for a regular field.
const (
	PseudoNone Pseudo = iota
	PseudoAuthority
	PseudoMethod
	PseudoPath
	PseudoScheme
	PseudoStatus
	PseudoProtocol // RFC 8441
	PseudoUnknown  // begins with a colon and is none of them
)

// Fault says which rule of RFC 9113 section 8.2.1 a field breaks. Values are held to RFC 9110 section 5.5, which allows no
// control character but the tab: what is passed on may be written as HTTP/1.1.
type Fault uint8

// The faults, and FaultNone for a field that is good.
const (
	FaultNone Fault = iota
	FaultName
	FaultValue
)

// Field is one header field as it was decoded.
type Field struct {
	Name, Value string
	// ID is the number of a known name; Name then is its constant spelling.
	ID protocol.Name
	// Pseudo is set for names that begin with a colon.
	Pseudo Pseudo
	// Fault is what is wrong with the characters of name or value.
	Fault Fault
	// Sensitive is true for a literal that must never be indexed (RFC 7541 section 6.2.3).
	Sensitive bool
}

// Size is what the field counts for in tables and in lists (RFC 7541 section 4.1).
func (f *Field) Size() int { return len(f.Name) + len(f.Value) + entryOverhead }

const entryOverhead = 32

// pseudoOf classifies a name that begins with a colon.
func pseudoOf(name string) Pseudo {
	switch name {
	case ":authority":
		return PseudoAuthority
	case ":method":
		return PseudoMethod
	case ":path":
		return PseudoPath
	case ":scheme":
		return PseudoScheme
	case ":status":
		return PseudoStatus
	case ":protocol":
		return PseudoProtocol
	}
	return PseudoUnknown
}

// The classes of octets.
const (
	classLower uint8 = 1 << iota // tchar without upper-case letters: what a field name may hold
	classValue                   // what a field value may hold
)

// classes is indexed by octet.
var classes = buildClasses()

func buildClasses() (t [256]uint8) {
	const lower = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
	for i := 0; i < len(lower); i++ {
		t[lower[i]] |= classLower
	}
	for c := range t {
		if c >= ' ' && c != 0x7f || c == '\t' {
			t[c] |= classValue
		}
	}
	return t
}

// ValidName reports whether s may be the name of a regular field on the wire: a token without upper-case letters.
func ValidName(s string) bool {
	for i := 0; i < len(s); i++ {
		if classes[s[i]]&classLower == 0 {
			return false
		}
	}
	return s != ""
}

// ValidValue reports whether s may be a field's value: no control character, no blank at either end.
func ValidValue(s string) bool {
	if s == "" {
		return true
	}
	if a, b := s[0], s[len(s)-1]; a == ' ' || a == '\t' || b == ' ' || b == '\t' {
		return false
	}
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		control := (w - 0x20*lowBits) &^ w // the high bit where an octet is below 0x20, and perhaps of the one above it
		del := w ^ 0x7f*lowBits
		if (control|(del-lowBits)&^del)&highBits != 0 && !plain(s[i:i+8]) {
			return false
		}
	}
	return plain(s[i:])
}

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// plain looks at one octet after the other.
func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if classes[s[i]]&classValue == 0 {
			return false
		}
	}
	return true
}

// judgeName fills in what follows from the name.
func (f *Field) judgeName() {
	if f.ID = protocol.LookupName(f.Name); f.ID != protocol.NameOther {
		if known := f.ID.String(); f.Name != known {
			f.Fault = FaultName // upper case
		}
		return
	}
	if f.Name != "" && f.Name[0] == ':' {
		f.Pseudo = pseudoOf(f.Name)
		return
	}
	if !ValidName(f.Name) {
		f.Fault = FaultName
	}
}

func (f *Field) judgeValue() {
	if f.Fault == FaultNone && !ValidValue(f.Value) {
		f.Fault = FaultValue
	}
}

// view looks at b as a string without a copy. It lives as long as b does.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
