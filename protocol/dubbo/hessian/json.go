package hessian

import (
	"math"
	"strconv"
	"time"
)

// value reads one value of any kind and appends it as JSON.
func (d *Decoder) value(dst []byte) ([]byte, error) {
	if err := d.definitions(); err != nil {
		return dst, err
	}
	switch d.Kind() {
	case String:
		return d.appendString(dst, true)
	case Int:
		v, err := d.integer()
		return strconv.AppendInt(dst, v, 10), err
	case Long:
		v, err := d.integer()
		return d.appendLong(dst, v), err
	case Double:
		v, err := d.double()
		return appendDouble(dst, v), err
	case Null:
		d.pos++
		return append(dst, "null"...), nil
	case Bool:
		v := d.in[d.pos] == 'T'
		d.pos++
		return strconv.AppendBool(dst, v), nil
	case Date:
		ms, err := d.date()
		return d.appendDate(dst, ms), err
	case Binary:
		return d.appendBase64(dst)
	case List:
		return d.list(dst)
	case Map:
		return d.mapping(dst)
	case Object:
		return d.object(dst)
	case Reference:
		return d.reference(dst)
	case End:
		return dst, d.unexpected()
	default:
		return dst, d.fail(ErrMalformed)
	}
}

// maxSafeLong is the largest integer up to which a double holds every integer.
const maxSafeLong = 1 << 53

func (d *Decoder) appendLong(dst []byte, v int64) []byte {
	if d.opts.UnsafeLongsAsStrings && (v > maxSafeLong || v < -maxSafeLong) {
		return append(strconv.AppendInt(append(dst, '"'), v, 10), '"')
	}
	return strconv.AppendInt(dst, v, 10)
}

// appendDouble writes the shortest digits that give v back, always with a fraction or an exponent, so that a reader can
// tell it from an integer. JSON has no NaN and no infinities: they become null.
func appendDouble(dst []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, "null"...)
	}
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, v, 'f', -1, 64)
	for _, c := range dst[start:] {
		if c == '.' {
			return dst
		}
	}
	return append(dst, '.', '0')
}

// appendDate writes a moment, with milliseconds unless there are none.
func (d *Decoder) appendDate(dst []byte, ms int64) []byte {
	if d.opts.DatesAsMillis {
		return strconv.AppendInt(dst, ms, 10)
	}
	t := time.UnixMilli(ms)
	if d.opts.Zone == nil {
		t = t.UTC()
	} else {
		t = t.In(d.opts.Zone)
	}
	dst = append(dst, '"')
	if ms%1000 == 0 {
		dst = t.AppendFormat(dst, time.RFC3339)
	} else {
		dst = t.AppendFormat(dst, "2006-01-02T15:04:05.000Z07:00")
	}
	return append(dst, '"')
}

// list reads a list of any form.
func (d *Decoder) list(dst []byte) ([]byte, error) {
	number, err := d.enter()
	if err != nil {
		return dst, err
	}
	n, err := d.listHead()
	if err != nil {
		return dst, err
	}
	dst = append(dst, '[')
	for i := 0; n < 0 || i < n; i++ {
		if n < 0 && d.mapEnd() {
			break
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = d.value(dst); err != nil {
			return dst, err
		}
	}
	d.leave(number)
	return append(dst, ']'), nil
}

// listHead reads a list up to its first element. The length is -1 for a list that ends with a Z.
func (d *Decoder) listHead() (int, error) {
	tag := d.in[d.pos]
	d.pos++
	switch tag {
	case 0x55, 'V':
		if err := d.typeName(); err != nil {
			return 0, err
		}
	case 0x57, 0x58:
	default:
		if tag < 0x78 {
			if err := d.typeName(); err != nil {
				return 0, err
			}
		}
		return int(tag & 7), nil
	}
	if tag == 0x55 || tag == 0x57 {
		return -1, nil
	}
	return d.length()
}

// mapEnd passes over the Z that ends a map or a list of unknown length, if it is next.
func (d *Decoder) mapEnd() bool {
	if d.pos < len(d.in) && d.in[d.pos] == 'Z' {
		d.pos++
		return true
	}
	return false
}

// mapHead reads a map up to its first key.
func (d *Decoder) mapHead() error {
	tag := d.in[d.pos]
	d.pos++
	if tag == 'M' {
		return d.typeName()
	}
	return nil
}

// key reads a map's key and appends it as a JSON string, whatever it is.
func (d *Decoder) key(dst []byte) ([]byte, error) {
	if d.Kind() == String {
		return d.appendString(dst, true)
	}
	start := len(dst)
	dst, err := d.value(dst)
	if err != nil || dst[start] == '"' {
		return dst, err
	}
	text := append(d.scratch[:0], dst[start:]...)
	d.scratch = text
	return appendQuoted(dst[:start], text), nil
}
