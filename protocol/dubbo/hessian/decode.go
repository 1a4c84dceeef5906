package hessian

import (
	"errors"
	"fmt"
	"time"
)

// What can be wrong with a message. A DecodeError wraps one of them.
var (
	ErrTruncated  = errors.New("the value ends early")
	ErrMalformed  = errors.New("not hessian2")
	ErrUnexpected = errors.New("a value of another type was expected")
	ErrTooDeep    = errors.New("nested too deeply")
	ErrTooLarge   = errors.New("the value is larger than allowed when written out")
	ErrCycle      = errors.New("the value contains itself")
	ErrReference  = errors.New("reference to something that was not sent")
)

// DecodeError says where reading stopped.
type DecodeError struct {
	Offset int // in bytes from the start of what Reset was given
	Err    error
}

// Error implements error.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("read hessian2 at byte %d: %v", e.Offset, e.Err)
}

// Unwrap gives the reason.
func (e *DecodeError) Unwrap() error { return e.Err }

// Defaults of Options.
const (
	DefaultMaxOutput = 64 << 20
	DefaultMaxDepth  = 200
)

// Options says how values become JSON. The zero value is the default.
type Options struct {
	// UnsafeLongsAsStrings quotes integers beyond ±2^53, which JavaScript would round.
	UnsafeLongsAsStrings bool
	// DecimalsAsStrings quotes BigDecimal and BigInteger.
	DecimalsAsStrings bool
	// DatesAsMillis writes java.util.Date as milliseconds since 1970 instead of an RFC 3339 string.
	DatesAsMillis bool
	// Zone is that of RFC 3339 strings; nil is UTC.
	Zone *time.Location
	// CyclesAsNull writes null where an object contains itself, instead of failing with ErrCycle.
	CyclesAsNull bool
	// KeepClass keeps the key "class", by which Java peers tell the class of a bean.
	KeepClass bool
	// MaxOutput bounds the JSON of one message in bytes, because references let a small message stand for a huge one;
	// 0 is DefaultMaxOutput.
	MaxOutput int
	// MaxDepth bounds nesting; 0 is DefaultMaxDepth.
	MaxDepth int
}

// Decoder reads one message. Values are taken from it one after the other, since class definitions, type names and
// references count from the message's start. The zero value needs a Reset; a Decoder is used again by Reset and by one
// goroutine at a time.
type Decoder struct {
	in   []byte
	pos  int
	opts Options

	depth   int
	replays int // how many references are being written out inside each other
	work    int // bytes read again because of references
	written int // bytes of JSON given out by finished calls
	base    int // length of dst when the current call began

	refs    []ref
	nextRef int // number of the next container
	classes []class
	fields  []field
	names   []byte
	types   int
	scratch []byte
	zone    []byte
	words   []uint32

	inMap     bool // EnterMap has been called, and Entry has not seen the end
	mapNumber int
}

// ref remembers a list, map or object for references to it.
type ref struct {
	start, end int
	open       bool
}

// Reset makes d read in, which must not change until the last value has been read. It forgets everything else but its
// memory.
func (d *Decoder) Reset(in []byte, o Options) {
	if o.MaxOutput <= 0 {
		o.MaxOutput = DefaultMaxOutput
	}
	if o.MaxDepth <= 0 {
		o.MaxDepth = DefaultMaxDepth
	}
	*d = Decoder{
		in: in, opts: o,
		refs: d.refs[:0], classes: d.classes[:0], fields: d.fields[:0], names: d.names[:0],
		scratch: d.scratch[:0], zone: d.zone[:0], words: d.words[:0],
	}
	if cap(d.scratch) > keptScratch {
		d.scratch = nil
	}
}

// keptScratch is the largest scratch that Reset keeps.
const keptScratch = 64 << 10

// Rest gives what has not been read.
func (d *Decoder) Rest() []byte { return d.in[d.pos:] }

// AppendJSON reads one value and appends it to dst as JSON. After an error dst holds a part of it.
func (d *Decoder) AppendJSON(dst []byte) ([]byte, error) {
	d.base = len(dst)
	dst, err := d.value(dst)
	d.written += len(dst) - d.base
	return dst, err
}

// AppendJSON reads the first value of in and appends it to dst as JSON; rest is what follows. It is for single values;
// whoever reads whole messages keeps a Decoder.
func AppendJSON(dst, in []byte, o Options) (out, rest []byte, err error) {
	var d Decoder
	d.Reset(in, o)
	out, err = d.AppendJSON(dst)
	return out, d.Rest(), err
}

// fail makes an error at the current place.
func (d *Decoder) fail(err error) error { return &DecodeError{Offset: d.pos, Err: err} }

// failAt makes an error at a place.
func (d *Decoder) failAt(pos int, err error) error { return &DecodeError{Offset: pos, Err: err} }
