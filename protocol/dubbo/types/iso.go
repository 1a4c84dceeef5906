package types

import "time"

// moment is what a text of ISO 8601 says, as far as it says it.
type moment struct {
	year, month, day           int
	hour, minute, second, nano int
	offset                     int // from UTC, in seconds
	hasDate, hasTime           bool
	separator                  byte // between date and time
	hasOffset                  bool
	offsetText, zone           []byte // as they were written; zone is what stands in brackets
}

// parseMoment reads date, time, both, each with an offset and a zone in brackets:
//
//	2026-01-02  10:20  10:20:30.123456789  2026-01-02T10:20:30Z  2026-01-02 10:20:30  2026-01-02T10:20+02:00[Europe/Paris]
func parseMoment(text []byte) (moment, bool) {
	p := isoParser{text: text}
	var m moment
	if len(text) > 4 && text[4] == '-' {
		if !p.date(&m) {
			return m, false
		}
		if len(p.text) > 0 && (p.text[0] == 'T' || p.text[0] == 't' || p.text[0] == ' ') {
			m.separator = p.text[0]
			p.text = p.text[1:]
			if !p.time(&m) {
				return m, false
			}
		}
	} else if !p.time(&m) {
		return m, false
	}
	if m.hasTime && len(p.text) > 0 && p.text[0] != '[' && !p.offset(&m) {
		return m, false
	}
	if m.hasOffset && m.hasDate && len(p.text) > 0 && !p.zone(&m) {
		return m, false
	}
	return m, len(p.text) == 0
}

// time gives the moment as a time; where it has no offset it is in zone, UTC if nil.
func (m *moment) time(zone *time.Location) time.Time {
	if zone == nil || m.hasOffset {
		zone = time.UTC
	}
	t := time.Date(m.year, time.Month(m.month), m.day, m.hour, m.minute, m.second, m.nano, zone)
	return t.Add(-time.Duration(m.offset) * time.Second)
}

// isoParser reads one part after the other from the front of text.
type isoParser struct{ text []byte }

// digits reads exactly n digits.
func (p *isoParser) digits(n int) (int, bool) {
	if len(p.text) < n {
		return 0, false
	}
	v := 0
	for _, c := range p.text[:n] {
		if c-'0' > 9 {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	p.text = p.text[n:]
	return v, true
}

// part reads two digits up to max.
func (p *isoParser) part(v *int, max int) bool {
	n, ok := p.digits(2)
	*v = n
	return ok && n <= max
}

func (p *isoParser) is(c byte) bool {
	if len(p.text) > 0 && p.text[0] == c {
		p.text = p.text[1:]
		return true
	}
	return false
}

func (p *isoParser) date(m *moment) (ok bool) {
	m.hasDate = true
	if m.year, ok = p.digits(4); !ok || !p.is('-') {
		return false
	}
	return p.part(&m.month, 12) && p.is('-') && p.part(&m.day, 31) && m.month > 0 && m.day > 0 &&
		m.day <= daysIn(m.year, m.month)
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

func (p *isoParser) time(m *moment) bool {
	m.hasTime = true
	if !p.part(&m.hour, 23) || !p.is(':') || !p.part(&m.minute, 59) {
		return false
	}
	if !p.is(':') {
		return true
	}
	if !p.part(&m.second, 59) {
		return false
	}
	return !p.is('.') || p.fraction(&m.nano)
}

// fraction reads one to nine digits as nanoseconds.
func (p *isoParser) fraction(nano *int) bool {
	n := 0
	for n < len(p.text) && p.text[n]-'0' < 10 {
		n++
	}
	if n == 0 || n > 9 {
		return false
	}
	v, _ := p.digits(n)
	for ; n < 9; n++ {
		v *= 10
	}
	*nano = v
	return true
}

// offset reads Z, +hh:mm, +hh:mm:ss or +hh, up to the 18 hours that Java allows.
func (p *isoParser) offset(m *moment) bool {
	start := p.text
	m.hasOffset = true
	if p.is('Z') || p.is('z') {
		m.offsetText = start[:1]
		return true
	}
	sign := 1
	if p.is('-') {
		sign = -1
	} else if !p.is('+') {
		return false
	}
	var hour, minute, second int
	if !p.part(&hour, 18) {
		return false
	}
	if p.is(':') {
		if !p.part(&minute, 59) {
			return false
		}
		if p.is(':') && !p.part(&second, 59) {
			return false
		}
	}
	m.offset = sign * (hour*3600 + minute*60 + second)
	m.offsetText = start[:len(start)-len(p.text)]
	return m.offset >= -18*3600 && m.offset <= 18*3600
}

// zone reads a zone's name in brackets.
func (p *isoParser) zone(m *moment) bool {
	n := len(p.text)
	if n < 3 || p.text[0] != '[' || p.text[n-1] != ']' {
		return false
	}
	m.zone = p.text[1 : n-1]
	p.text = nil
	return isZone(m.zone)
}

// isZone tells whether text could be the name of a zone; whether it is one, the provider knows.
func isZone(text []byte) bool {
	for _, c := range text {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '/', c == '_', c == '+', c == '-', c == ':', c == '.', c == '~':
		default:
			return false
		}
	}
	return len(text) > 0
}
