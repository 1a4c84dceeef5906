package types

import "math"

// parseDuration reads what Java's Duration writes and reads: P1DT2H3M4.5S, with a sign in front of the whole or of parts.
func parseDuration(text []byte) (seconds int64, nano int32, ok bool) {
	p := isoParser{text: text}
	negative := p.is('-')
	if !negative {
		p.is('+')
	}
	if !p.is('P') {
		return 0, 0, false
	}
	total, fraction := sum{}, 0
	inTime, parts, last := false, 0, 0
	for len(p.text) > 0 {
		if p.is('T') {
			if inTime || len(p.text) == 0 {
				return 0, 0, false
			}
			inTime = true
			continue
		}
		minus, n, decimals, ok := p.quantity()
		if !ok || len(p.text) == 0 {
			return 0, 0, false
		}
		unit, order := p.text[0], 0
		p.text = p.text[1:]
		scale := int64(0)
		switch {
		case unit == 'D' && !inTime:
			scale, order = 86400, 1
		case unit == 'H' && inTime:
			scale, order = 3600, 2
		case unit == 'M' && inTime:
			scale, order = 60, 3
		case unit == 'S' && inTime:
			scale, order = 1, 4
		}
		if order <= last || decimals >= 0 && unit != 'S' {
			return 0, 0, false
		}
		last, parts = order, parts+1
		if minus {
			n = -n
		}
		total.add(n, scale)
		if decimals > 0 {
			fraction = decimals
			if minus {
				fraction = -fraction
			}
		}
	}
	if parts == 0 || total.overflow {
		return 0, 0, false
	}
	if negative {
		if total.v == math.MinInt64 {
			return 0, 0, false
		}
		total.v, fraction = -total.v, -fraction
	}
	if fraction < 0 { // nanos count upwards from the second below
		total.add(-1, 1)
		fraction += 1_000_000_000
	}
	return total.v, int32(fraction), !total.overflow
}

// parsePeriod reads P1Y2M3W4D, each part with its own sign, as years, months and days.
func parsePeriod(text []byte) (parts [3]int32, ok bool) {
	p := isoParser{text: text}
	sign := int64(1)
	if p.is('-') {
		sign = -1
	} else {
		p.is('+')
	}
	if !p.is('P') || len(p.text) == 0 {
		return parts, false
	}
	var sums [3]sum
	last := 0
	for len(p.text) > 0 {
		minus, n, decimals, ok := p.quantity()
		if !ok || decimals >= 0 || len(p.text) == 0 {
			return parts, false
		}
		var order, to int
		scale := int64(1)
		switch p.text[0] {
		case 'Y':
			order, to = 1, 0
		case 'M':
			order, to = 2, 1
		case 'W':
			order, to, scale = 3, 2, 7
		case 'D':
			order, to = 4, 2
		}
		p.text = p.text[1:]
		if order <= last {
			return parts, false
		}
		last = order
		if minus {
			n = -n
		}
		sums[to].add(n, scale*sign)
	}
	for i, s := range sums {
		if s.overflow || s.v > math.MaxInt32 || s.v < math.MinInt32 {
			return parts, false
		}
		parts[i] = int32(s.v)
	}
	return parts, true
}

// quantity reads a number with a sign. decimals is its fraction in billionths, or -1 if there is none.
func (p *isoParser) quantity() (minus bool, n int64, decimals int, ok bool) {
	minus = p.is('-')
	if !minus {
		p.is('+')
	}
	end := 0
	for end < len(p.text) && p.text[end]-'0' < 10 {
		end++
	}
	if end == 0 {
		return false, 0, 0, false
	}
	n, ok = parseInt(p.text[:end])
	p.text = p.text[end:]
	decimals = -1
	if ok && (p.is('.') || p.is(',')) {
		ok = p.fraction(&decimals)
	}
	return minus, n, decimals, ok
}

// sum adds up and notices an overflow.
type sum struct {
	v        int64
	overflow bool
}

func (s *sum) add(n, scale int64) {
	product := n * scale
	if n != 0 && (product/n != scale || n == -1 && scale == math.MinInt64) {
		s.overflow = true
	}
	total := s.v + product
	if (total > s.v) != (product > 0) {
		s.overflow = s.overflow || product != 0
	}
	s.v = total
}
