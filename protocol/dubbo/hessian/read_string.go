package hessian

import (
	"encoding/base64"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// stringChunk reads the head of a chunk: how many UTF-16 units follow, and whether another chunk follows these.
func (d *Decoder) stringChunk() (units int, more bool, err error) {
	if d.pos >= len(d.in) {
		return 0, false, d.fail(ErrTruncated)
	}
	tag, size := d.in[d.pos], 1
	switch {
	case tag <= 0x1f:
		units = int(tag)
	case tag >= 0x30 && tag <= 0x33:
		if size = 2; d.need(size) {
			units = int(tag-0x30)<<8 | int(d.in[d.pos+1])
		}
	case tag == 'S' || tag == 'R':
		if size = 3; d.need(size) {
			units = int(d.in[d.pos+1])<<8 | int(d.in[d.pos+2])
		}
		more = tag == 'R'
	default:
		return 0, false, d.fail(ErrUnexpected)
	}
	if !d.need(size + units) { // a unit takes a byte at least
		return 0, false, d.fail(ErrTruncated)
	}
	d.pos += size
	return units, more, nil
}

// unit reads one character of a string: a UTF-16 unit of one to three bytes, or (old dubbo-go peers) a whole
// supplementary character of four bytes, which counts as two units.
func (d *Decoder) unit() (r rune, units int, err error) {
	b := d.in[d.pos:]
	var size int
	switch c := b[0]; {
	case c < 0x80:
		d.pos++
		return rune(c), 1, nil
	case c&0xe0 == 0xc0:
		size = 2
	case c&0xf0 == 0xe0:
		size = 3
	case c&0xf8 == 0xf0:
		size = 4
	default:
		return 0, 0, d.fail(ErrMalformed)
	}
	if len(b) < size {
		return 0, 0, d.fail(ErrTruncated)
	}
	r = rune(b[0]) & (0x7f >> size)
	for _, c := range b[1:size] {
		if c&0xc0 != 0x80 {
			return 0, 0, d.fail(ErrMalformed)
		}
		r = r<<6 | rune(c&0x3f)
	}
	d.pos += size
	if size == 4 {
		if r > utf8.MaxRune {
			r = utf8.RuneError
		}
		return r, 2, nil
	}
	return r, 1, nil
}

// skipString passes over a string.
func (d *Decoder) skipString() error {
	for {
		units, more, err := d.stringChunk()
		if err != nil {
			return err
		}
		for units > 0 {
			if d.pos >= len(d.in) {
				return d.fail(ErrTruncated)
			}
			if d.in[d.pos] < utf8.RuneSelf {
				d.pos++
				units--
				continue
			}
			_, n, err := d.unit()
			if err != nil {
				return err
			}
			units -= n
		}
		if !more {
			return nil
		}
	}
}

// appendString reads a string and appends its UTF-8, or with quoted its JSON form. Half a surrogate pair becomes U+FFFD.
func (d *Decoder) appendString(dst []byte, quoted bool) ([]byte, error) {
	units, more, err := d.stringChunk()
	if err != nil {
		return dst, err
	}
	if quoted {
		dst = append(dst, '"')
	}
	if text := d.in[d.pos : d.pos+units]; !more && plainRun(text, quoted) == units { // nearly all strings are like this
		dst = append(dst, text...)
		d.pos += units
	} else if dst, err = d.appendChunks(dst, units, more, quoted); err != nil {
		return dst, err
	}
	if quoted {
		dst = append(dst, '"')
	}
	return dst, nil
}

// appendChunks reads the rest of a string, the head of its first chunk being read.
func (d *Decoder) appendChunks(dst []byte, units int, more, quoted bool) ([]byte, error) {
	var high rune // a first surrogate that waits for its second, possibly in the next chunk
	for {
		for units > 0 {
			if high == 0 {
				n := plainRun(d.in[d.pos:min(d.pos+units, len(d.in))], quoted)
				dst = append(dst, d.in[d.pos:d.pos+n]...)
				d.pos += n
				if units -= n; units == 0 {
					break
				}
			}
			if d.pos >= len(d.in) {
				return dst, d.fail(ErrTruncated)
			}
			r, n, err := d.unit()
			if err != nil {
				return dst, err
			}
			units -= n
			switch {
			case high != 0 && r >= 0xdc00 && r <= 0xdfff:
				r, high = 0x10000+(high-0xd800)<<10+(r-0xdc00), 0
			case high != 0:
				dst, high = utf8.AppendRune(dst, utf8.RuneError), 0
			}
			if r >= 0xd800 && r <= 0xdbff {
				high = r
				continue
			}
			if quoted && r < utf8.RuneSelf {
				dst = appendEscaped(dst, byte(r))
			} else {
				dst = utf8.AppendRune(dst, r) // writes U+FFFD for a lonely second surrogate
			}
		}
		if !more {
			break
		}
		var err error
		if units, more, err = d.stringChunk(); err != nil {
			return dst, err
		}
	}
	if high != 0 {
		dst = utf8.AppendRune(dst, utf8.RuneError)
	}
	return dst, nil
}

// plainRun counts the leading bytes of b that can be copied as they are: ASCII, and with quoted nothing that JSON escapes.
func plainRun(b []byte, quoted bool) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; n+8 <= len(b); n += 8 {
		// Eight bytes at a time: the top bit of a byte of odd is set where the byte is not plain. The subtractions may
		// set further bits above the first one, never below it.
		w := binary.LittleEndian.Uint64(b[n:])
		odd := w
		if quoted {
			odd |= (w - ones*' ') | ((w ^ ones*'"') - ones) | ((w ^ ones*'\\') - ones)
		}
		if odd &= tops; odd != 0 {
			return n + bits.TrailingZeros64(odd)/8
		}
	}
	for ; n < len(b); n++ {
		if c := b[n]; c >= utf8.RuneSelf || quoted && (c < ' ' || c == '"' || c == '\\') {
			break
		}
	}
	return n
}

const hexDigits = "0123456789abcdef"

// appendEscaped appends an ASCII character inside a JSON string (RFC 8259 section 7).
func appendEscaped(dst []byte, c byte) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c >= ' ':
		return append(dst, c)
	case c == '\n':
		return append(dst, '\\', 'n')
	case c == '\r':
		return append(dst, '\\', 'r')
	case c == '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
	}
}

// appendQuoted appends valid UTF-8 text as a JSON string.
func appendQuoted(dst, text []byte) []byte {
	dst = append(dst, '"')
	for _, c := range text {
		dst = appendEscaped(dst, c)
	}
	return append(dst, '"')
}

// binaryChunk reads the head of a chunk of bytes and gives the bytes.
func (d *Decoder) binaryChunk() (b []byte, more bool, err error) {
	if d.pos >= len(d.in) {
		return nil, false, d.fail(ErrTruncated)
	}
	tag, size, n := d.in[d.pos], 1, 0
	switch {
	case tag >= 0x20 && tag <= 0x2f:
		n = int(tag - 0x20)
	case tag >= 0x34 && tag <= 0x37:
		if size = 2; d.need(size) {
			n = int(tag-0x34)<<8 | int(d.in[d.pos+1])
		}
	case tag == 'A' || tag == 'B':
		if size = 3; d.need(size) {
			n = int(d.in[d.pos+1])<<8 | int(d.in[d.pos+2])
		}
		more = tag == 'A'
	default:
		return nil, false, d.fail(ErrUnexpected)
	}
	if !d.need(size + n) {
		return nil, false, d.fail(ErrTruncated)
	}
	b = d.in[d.pos+size : d.pos+size+n]
	d.pos += size + n
	return b, more, nil
}

// appendBase64 reads bytes and appends them as a JSON string of base64 (RFC 4648 section 4, padded).
func (d *Decoder) appendBase64(dst []byte) ([]byte, error) {
	b, more, err := d.binaryChunk()
	if err != nil {
		return dst, err
	}
	if more { // base64 works in groups of three bytes, chunks do not
		d.scratch = append(d.scratch[:0], b...)
		for more {
			if b, more, err = d.binaryChunk(); err != nil {
				return dst, err
			}
			d.scratch = append(d.scratch, b...)
		}
		b = d.scratch
	}
	dst = base64.StdEncoding.AppendEncode(append(dst, '"'), b)
	return append(dst, '"'), nil
}

// skipBinary passes over bytes.
func (d *Decoder) skipBinary() error {
	for {
		if _, more, err := d.binaryChunk(); err != nil || !more {
			return err
		}
	}
}
