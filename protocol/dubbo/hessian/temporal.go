package hessian

import (
	"strconv"
	"time"
)

// temporal collects the parts of a java.time value, over all the handles nested in it.
type temporal struct {
	year, month, day           int64
	hour, minute, second, nano int64
	seconds                    int64 // of an Instant or a Duration
	years, months, days        int64 // of a Period
	offset                     int64 // from UTC, in seconds
	zone                       []byte
}

// temporalFields reads the fields of a handle.
func (d *Decoder) temporalFields(c class) (temporal, error) {
	t := temporal{zone: d.zone[:0]}
	err := d.collect(&t, c)
	d.zone = t.zone
	return t, err
}

// collect reads the fields of a handle into t. A handle within it comes as an object or as a reference to an earlier one.
func (d *Decoder) collect(t *temporal, c class) error {
	for i := c.first; i < c.first+c.fields; i++ {
		id := d.fields[i].id
		if err := d.definitions(); err != nil {
			return err
		}
		var err error
		switch kind := d.Kind(); {
		case kind == Int || kind == Long:
			var v int64
			if v, err = d.integer(); err == nil {
				t.set(id, v, c.handle)
			}
		case kind == String && id == zoneField:
			t.zone, err = d.appendString(t.zone[:0], true)
		case kind == Object && id >= dateField && id <= offsetField:
			err = d.collectObject(t)
		case kind == Reference && id >= dateField && id <= offsetField:
			err = d.collectReference(t)
		default:
			err = d.Skip()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Decoder) collectObject(t *temporal) error {
	number, err := d.enter()
	if err != nil {
		return err
	}
	c, err := d.objectHead()
	if err != nil {
		return err
	}
	if err := d.collect(t, c); err != nil {
		return err
	}
	d.leave(number)
	return nil
}

func (d *Decoder) collectReference(t *temporal) error {
	at := d.pos
	n, err := d.target()
	if err != nil {
		return err
	}
	if d.refs[n].open {
		return d.failAt(at, ErrCycle)
	}
	s, err := d.replay(n)
	if err != nil {
		return err
	}
	if d.Kind() == Object {
		if err := d.collectObject(t); err != nil {
			return err
		}
	}
	d.resume(s)
	return nil
}

// set stores one part. Both ZoneOffset and Instant call theirs "seconds".
func (t *temporal) set(id fieldID, v int64, h Handle) {
	switch id {
	case yearField:
		t.year = v
	case monthField:
		t.month = v
	case dayField:
		t.day = v
	case hourField:
		t.hour = v
	case minuteField:
		t.minute = v
	case secondField:
		t.second = v
	case nanoField, nanosField:
		t.nano = v
	case secondsField:
		if h == ZoneOffsetHandle {
			t.offset = v
		} else {
			t.seconds = v
		}
	case yearsField:
		t.years = v
	case monthsField:
		t.months = v
	case daysField:
		t.days = v
	}
}

// append appends the ISO 8601 text of t, as toString does in Java but always with seconds.
func (t *temporal) append(dst []byte, h Handle) []byte {
	switch h {
	case InstantHandle:
		dst = time.Unix(t.seconds, 0).UTC().AppendFormat(dst, "2006-01-02T15:04:05")
		return append(appendFraction(dst, t.nano), 'Z')
	case DurationHandle:
		return t.appendDuration(dst)
	case LocalDateHandle:
		return t.appendDate(dst)
	case LocalTimeHandle:
		return t.appendTime(dst)
	case LocalDateTimeHandle:
		return t.appendTime(append(t.appendDate(dst), 'T'))
	case ZoneOffsetHandle:
		return t.appendOffset(dst)
	case OffsetTimeHandle:
		return t.appendOffset(t.appendTime(dst))
	case OffsetDateTimeHandle:
		return t.appendOffset(t.appendTime(append(t.appendDate(dst), 'T')))
	case ZonedDateTimeHandle:
		dst = t.appendTime(append(t.appendDate(dst), 'T'))
		start := len(dst)
		dst = t.appendOffset(dst)
		if n := len(t.zone); n > 2 && string(t.zone[1:n-1]) != string(dst[start:]) {
			dst = append(append(append(dst, '['), t.zone[1:n-1]...), ']')
		}
		return dst
	case PeriodHandle:
		return t.appendPeriod(dst)
	case YearHandle:
		return appendYear(dst, t.year)
	case YearMonthHandle:
		return appendPadded(append(appendYear(dst, t.year), '-'), t.month, 2)
	case MonthDayHandle:
		return appendPadded(append(appendPadded(append(dst, '-', '-'), t.month, 2), '-'), t.day, 2)
	case ZoneIDHandle:
		if n := len(t.zone); n > 2 {
			return append(dst, t.zone[1:n-1]...)
		}
	}
	return dst
}

func (t *temporal) appendDate(dst []byte) []byte {
	dst = append(appendYear(dst, t.year), '-')
	dst = append(appendPadded(dst, t.month, 2), '-')
	return appendPadded(dst, t.day, 2)
}

func (t *temporal) appendTime(dst []byte) []byte {
	dst = append(appendPadded(dst, t.hour, 2), ':')
	dst = append(appendPadded(dst, t.minute, 2), ':')
	return appendFraction(appendPadded(dst, t.second, 2), t.nano)
}

func (t *temporal) appendOffset(dst []byte) []byte {
	s := t.offset
	if s == 0 {
		return append(dst, 'Z')
	}
	sign := byte('+')
	if s < 0 {
		sign, s = '-', -s
	}
	dst = append(appendPadded(append(dst, sign), s/3600, 2), ':')
	dst = appendPadded(dst, s/60%60, 2)
	if s%60 != 0 {
		dst = appendPadded(append(dst, ':'), s%60, 2)
	}
	return dst
}

func (t *temporal) appendPeriod(dst []byte) []byte {
	start := len(dst) + 1
	dst = append(dst, 'P')
	for _, part := range [...]struct {
		n    int64
		unit byte
	}{{t.years, 'Y'}, {t.months, 'M'}, {t.days, 'D'}} {
		if part.n != 0 {
			dst = append(strconv.AppendInt(dst, part.n, 10), part.unit)
		}
	}
	if len(dst) == start {
		dst = append(dst, '0', 'D')
	}
	return dst
}

// appendDuration appends hours, minutes and seconds as Java does. Seconds are floored and nanos positive, so -0.5 s is
// held as -1 s and 500,000,000 ns.
func (t *temporal) appendDuration(dst []byte) []byte {
	seconds, nano := t.seconds, t.nano
	negative := seconds < 0 && nano > 0
	if negative {
		seconds, nano = seconds+1, 1_000_000_000-nano
	}
	start := len(dst) + 2
	dst = append(dst, 'P', 'T')
	if h := seconds / 3600; h != 0 {
		dst = append(strconv.AppendInt(dst, h, 10), 'H')
	}
	if m := seconds / 60 % 60; m != 0 {
		dst = append(strconv.AppendInt(dst, m, 10), 'M')
	}
	s := seconds % 60
	if s != 0 || nano != 0 || len(dst) == start {
		if negative && s == 0 {
			dst = append(dst, '-')
		}
		dst = appendFraction(strconv.AppendInt(dst, s, 10), nano)
		dst = append(dst, 'S')
	}
	return dst
}

func appendYear(dst []byte, y int64) []byte {
	switch {
	case y < 0:
		return appendPadded(append(dst, '-'), -y, 4)
	case y > 9999:
		return strconv.AppendInt(append(dst, '+'), y, 10)
	}
	return appendPadded(dst, y, 4)
}

// appendPadded appends v with leading zeros. A part that is out of range (no honest peer sends one) is written as it is.
func appendPadded(dst []byte, v int64, width int) []byte {
	limit := int64(10)
	for range width - 1 {
		if v >= 0 && v < limit {
			dst = append(dst, '0')
		}
		limit *= 10
	}
	return strconv.AppendInt(dst, v, 10)
}

// appendFraction appends a fraction of a second without trailing zeros, or nothing.
func appendFraction(dst []byte, nano int64) []byte {
	if nano <= 0 || nano > 999_999_999 {
		return dst
	}
	dst = appendPadded(append(dst, '.'), nano, 9)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}
