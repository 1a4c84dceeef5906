package hessian

import "math/bits"

// decimal reads the fields of a BigDecimal, of which "value" holds the text, and appends a JSON number with exactly these
// digits. A text that is no JSON number becomes a string.
func (d *Decoder) decimal(dst []byte, c class) ([]byte, error) {
	start := len(dst)
	dst = append(dst, "null"...)
	for i := c.first; i < c.first+c.fields; i++ {
		if d.fields[i].id != valueField {
			if err := d.Skip(); err != nil {
				return dst, err
			}
			continue
		}
		var err error
		if dst, err = d.value(dst[:start]); err != nil {
			return dst, err
		}
	}
	text := dst[start:]
	if text[0] == '"' && !d.opts.DecimalsAsStrings && isNumber(text[1:len(text)-1]) {
		n := copy(text, text[1:len(text)-1])
		dst = dst[:start+n]
	}
	return dst, nil
}

// isNumber tells whether text is a number by RFC 8259 section 6.
func isNumber(text []byte) bool {
	i := 0
	digits := func() bool {
		first := i
		for i < len(text) && text[i] >= '0' && text[i] <= '9' {
			i++
		}
		return i > first
	}
	if i < len(text) && text[i] == '-' {
		i++
	}
	if i < len(text) && text[i] == '0' {
		i++
	} else if !digits() {
		return false
	}
	if i < len(text) && text[i] == '.' {
		if i++; !digits() {
			return false
		}
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		if i++; i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		if !digits() {
			return false
		}
	}
	return i == len(text)
}

// maxMagnitude bounds a BigInteger, in words of 32 bits, because writing it in decimal takes time that grows with the
// square of its length: these are 39,000 digits.
const maxMagnitude = 4096

// bigInteger reads the fields of a BigInteger and appends its digits.
func (d *Decoder) bigInteger(dst []byte, c class) ([]byte, error) {
	at, signum := d.pos, int32(0)
	d.words = d.words[:0]
	for i := c.first; i < c.first+c.fields; i++ {
		var err error
		switch {
		case d.fields[i].id == signumField && d.Kind() == Int:
			signum, err = d.Int()
		case d.fields[i].id == magField && d.Kind() == List:
			err = d.magnitude()
		default:
			err = d.Skip()
		}
		if err != nil {
			return dst, err
		}
	}
	if len(d.words) > maxMagnitude {
		return dst, d.failAt(at, ErrTooLarge)
	}
	if d.opts.DecimalsAsStrings {
		dst = append(dst, '"')
	}
	if signum < 0 {
		dst = append(dst, '-')
	}
	dst = appendWords(dst, d.words)
	if d.opts.DecimalsAsStrings {
		dst = append(dst, '"')
	}
	return dst, nil
}

// magnitude reads a list of ints, the most significant first, into d.words.
func (d *Decoder) magnitude() error {
	number, err := d.enter()
	if err != nil {
		return err
	}
	n, err := d.listHead()
	if err != nil {
		return err
	}
	for i := 0; n < 0 || i < n; i++ {
		if n < 0 && d.mapEnd() {
			break
		}
		if k := d.Kind(); k != Int && k != Long { // Go providers send longs
			return d.unexpected()
		}
		w, err := d.integer()
		if err != nil {
			return err
		}
		d.words = append(d.words, uint32(w))
	}
	d.leave(number)
	return nil
}

// appendWords appends a big-endian number in decimal, dividing it away by 10^9. It destroys words.
func appendWords(dst []byte, words []uint32) []byte {
	const chunk = 1_000_000_000
	start := len(dst)
	for len(words) > 0 {
		if words[0] == 0 {
			words = words[1:]
			continue
		}
		rest := uint32(0)
		for i, w := range words {
			words[i], rest = bits.Div32(rest, w, chunk)
		}
		for range 9 {
			dst = append(dst, byte('0'+rest%10))
			rest /= 10
		}
	}
	for len(dst) > start+1 && dst[len(dst)-1] == '0' { // leading zeros, the digits being backwards
		dst = dst[:len(dst)-1]
	}
	if len(dst) == start {
		return append(dst, '0')
	}
	for i, j := start, len(dst)-1; i < j; i, j = i+1, j-1 {
		dst[i], dst[j] = dst[j], dst[i]
	}
	return dst
}

// uuid reads the fields of a java.util.UUID and appends its usual text.
func (d *Decoder) uuid(dst []byte, c class) ([]byte, error) {
	var most, least int64
	for i := c.first; i < c.first+c.fields; i++ {
		var err error
		switch id := d.fields[i].id; {
		case d.Kind() != Long || id != mostField && id != leastField:
			err = d.Skip()
		case id == mostField:
			most, err = d.integer()
		default:
			least, err = d.integer()
		}
		if err != nil {
			return dst, err
		}
	}
	return appendUUID(dst, most, least), nil
}

func appendUUID(dst []byte, most, least int64) []byte {
	dst = append(dst, '"')
	for i := range 32 {
		if i == 8 || i == 12 || i == 16 || i == 20 {
			dst = append(dst, '-')
		}
		half := most
		if i >= 16 {
			half = least
		}
		dst = append(dst, hexDigits[byte(half>>(60-4*(i%16)))&0xf])
	}
	return append(dst, '"')
}
