package types

import (
	"time"

	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// Unknown says what to do with a property that a bean does not have.
type Unknown uint8

// The two ways.
const (
	RejectUnknown Unknown = iota // a typing mistake of the client becomes an error that names it
	IgnoreUnknown                // the property is checked to be valid JSON and left out
)

// Options says how JSON becomes arguments. The zero value is the default.
type Options struct {
	Unknown Unknown
	// DateZone is where dates without a zone are. If it is nil, java.util.Date is taken as UTC, and java.sql dates are
	// left to the provider's zone, to the second.
	DateZone *time.Location
	// StringsFromScalars lets a String parameter take a number or a boolean, by its literal text.
	StringsFromScalars bool
	// MaxDepth bounds nesting; 0 is DefaultMaxDepth.
	MaxDepth int
}

// DefaultMaxDepth is the deepest nesting of JSON that is read.
const DefaultMaxDepth = 200

// Encoder writes the arguments of one call. It holds what they share (class definitions are numbered over the whole
// message) and memory that the next call uses again. The zero value is ready for a call with default options. It is used
// by one goroutine at a time.
type Encoder struct {
	scanner
	opts    Options
	classes hessian.Classes
	keys    keySet
}

// Reset starts another message. A nil o is the default.
func (e *Encoder) Reset(o *Options) {
	if o == nil {
		o = &Options{}
	}
	e.opts = *o
	e.classes.Reset()
	if cap(e.scratch) > keptScratch {
		e.scratch = nil
	}
	e.keys.reset()
}

// keptScratch is the largest scratch that Reset keeps.
const keptScratch = 64 << 10

// AppendJSON reads one JSON value (RFC 8259) from the start of json and appends it to dst as hessian2 of type t; rest is
// what follows the value. All errors are *ArgumentError; dst then holds a part of the value, to be thrown away with the
// message: class definitions may have been in it, so e needs a Reset before it writes another one.
//
// The value must fit the type exactly: no fractions for whole numbers, nothing out of range, no unknown property (unless
// options say so), no key twice in an object, no key "class". A property may be absent.
func (e *Encoder) AppendJSON(dst []byte, t *Type, json []byte) (out, rest []byte, err error) {
	e.start(json, e.opts.MaxDepth)
	e.keys.release(0)
	out, err = e.value(dst, t)
	rest = e.src[e.pos:]
	e.src = nil
	return out, rest, err
}

// AppendNull appends null, which a primitive refuses.
func (e *Encoder) AppendNull(dst []byte, t *Type) ([]byte, error) {
	if t.prim {
		return dst, t.mismatch("null")
	}
	return hessian.AppendNull(dst), nil
}
