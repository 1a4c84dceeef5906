package hessian

import (
	"encoding/binary"
	"math"
)

// Kind is what the next value is.
type Kind uint8

// The kinds. Null, Bool and so on are the values of hessian2; End is the end of the message or of a map.
const (
	End Kind = iota
	Null
	Bool
	Int
	Long
	Double
	Date
	String
	Binary
	List
	Map
	Object // including a class definition in front of it
	Reference
	Invalid
)

// kindOf tells what a value's first byte announces.
func kindOf(tag byte) Kind {
	switch {
	case tag <= 0x1f, tag >= 0x30 && tag <= 0x33, tag == 'S', tag == 'R':
		return String
	case tag >= 0x80 && tag <= 0xd7, tag == 'I':
		return Int
	case tag >= 0xd8, tag >= 0x38 && tag <= 0x3f, tag == 'L', tag == 0x59:
		return Long
	case tag >= 0x20 && tag <= 0x2f, tag >= 0x34 && tag <= 0x37, tag == 'A', tag == 'B':
		return Binary
	case tag >= 0x60 && tag <= 0x6f, tag == 'O', tag == 'C':
		return Object
	case tag >= 0x70 && tag <= 0x7f, tag >= 0x55 && tag <= 0x58:
		return List
	case tag >= 0x5b && tag <= 0x5f, tag == 'D':
		return Double
	}
	switch tag {
	case 'N':
		return Null
	case 'T', 'F':
		return Bool
	case 'H', 'M':
		return Map
	case 0x4a, 0x4b:
		return Date
	case 0x51:
		return Reference
	case 'Z':
		return End
	}
	return Invalid
}

// Kind tells what the next value is, without reading it.
func (d *Decoder) Kind() Kind {
	if d.pos >= len(d.in) {
		return End
	}
	return kindOf(d.in[d.pos])
}

// Null reads a null if there is one.
func (d *Decoder) Null() bool {
	if d.pos < len(d.in) && d.in[d.pos] == 'N' {
		d.pos++
		return true
	}
	return false
}

// Int reads an int.
func (d *Decoder) Int() (int32, error) {
	if d.Kind() != Int {
		return 0, d.unexpected()
	}
	v, err := d.integer()
	return int32(v), err
}

// unexpected is the error for a value of a wrong kind, or none.
func (d *Decoder) unexpected() error {
	if d.pos >= len(d.in) {
		return d.fail(ErrTruncated)
	}
	return d.fail(ErrUnexpected)
}

// need reports whether n more bytes are there.
func (d *Decoder) need(n int) bool { return len(d.in)-d.pos >= n }

// integer reads an int or a long; the caller has looked at the tag.
func (d *Decoder) integer() (int64, error) {
	tag, size := d.in[d.pos], 1
	switch {
	case tag >= 0x80 && tag <= 0xbf, tag >= 0xe0 && tag <= 0xef, tag >= 0xd8 && tag <= 0xdf:
	case tag >= 0xc0 && tag <= 0xcf, tag >= 0xf0:
		size = 2
	case tag >= 0xd0 && tag <= 0xd7, tag >= 0x38 && tag <= 0x3f:
		size = 3
	case tag == 'I', tag == 0x59:
		size = 5
	default: // 'L'
		size = 9
	}
	if !d.need(size) {
		return 0, d.fail(ErrTruncated)
	}
	b := d.in[d.pos : d.pos+size]
	d.pos += size
	switch size {
	case 1:
		if tag < 0xd8 {
			return int64(tag) - 0x90, nil
		}
		return int64(tag) - 0xe0, nil
	case 2:
		zero := int64(0xc8)
		if tag >= 0xf0 {
			zero = 0xf8
		}
		return (int64(tag)-zero)<<8 | int64(b[1]), nil
	case 3:
		zero := int64(0xd4)
		if tag < 0x40 {
			zero = 0x3c
		}
		return (int64(tag)-zero)<<16 | int64(b[1])<<8 | int64(b[2]), nil
	case 5:
		return int64(int32(binary.BigEndian.Uint32(b[1:]))), nil
	default:
		return int64(binary.BigEndian.Uint64(b[1:])), nil
	}
}

// double reads a double; the caller has looked at the tag.
func (d *Decoder) double() (float64, error) {
	tag, size := d.in[d.pos], 1
	switch tag {
	case 0x5d:
		size = 2
	case 0x5e:
		size = 3
	case 0x5f:
		size = 5
	case 'D':
		size = 9
	}
	if !d.need(size) {
		return 0, d.fail(ErrTruncated)
	}
	b := d.in[d.pos : d.pos+size]
	d.pos += size
	switch tag {
	case 0x5b:
		return 0, nil
	case 0x5c:
		return 1, nil
	case 0x5d:
		return float64(int8(b[1])), nil
	case 0x5e:
		return float64(int16(binary.BigEndian.Uint16(b[1:]))), nil
	case 0x5f: // thousandths; Java multiplies, and so must we, to get its bits
		return 0.001 * float64(int32(binary.BigEndian.Uint32(b[1:]))), nil
	default:
		return math.Float64frombits(binary.BigEndian.Uint64(b[1:])), nil
	}
}

// date reads a date as milliseconds since 1970; the caller has looked at the tag.
func (d *Decoder) date() (int64, error) {
	if d.in[d.pos] == 0x4b { // minutes
		if !d.need(5) {
			return 0, d.fail(ErrTruncated)
		}
		m := int32(binary.BigEndian.Uint32(d.in[d.pos+1:]))
		d.pos += 5
		return int64(m) * 60_000, nil
	}
	if !d.need(9) {
		return 0, d.fail(ErrTruncated)
	}
	ms := int64(binary.BigEndian.Uint64(d.in[d.pos+1:]))
	d.pos += 9
	return ms, nil
}

// length reads a list's length or a number of fields.
func (d *Decoder) length() (int, error) {
	if d.Kind() != Int {
		return 0, d.unexpected()
	}
	at := d.pos
	n, err := d.integer()
	if err != nil {
		return 0, err
	}
	if n < 0 || n > int64(len(d.in)-d.pos) { // every element takes a byte at least
		return 0, d.failAt(at, ErrTruncated)
	}
	return int(n), nil
}

// typeName skips the type of a typed list or map: a string, or the number of one sent earlier.
func (d *Decoder) typeName() error {
	switch d.Kind() {
	case String:
		if d.replays == 0 {
			d.types++
		}
		return d.skipString()
	case Int:
		at := d.pos
		n, err := d.integer()
		if err == nil && (n < 0 || n >= int64(d.types)) {
			err = d.failAt(at, ErrReference)
		}
		return err
	default:
		return d.unexpected()
	}
}
