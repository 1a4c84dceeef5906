package types

import (
	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// fromTemporal appends one of the java.time types that a provider takes only as hessian-lite's handle objects.
func (e *Encoder) fromTemporal(dst []byte, t *Type, text []byte) ([]byte, error) {
	bad := func() ([]byte, error) { return dst, t.mismatch(describeString(text)) }
	switch t.handle {
	case hessian.DurationHandle:
		seconds, nano, ok := parseDuration(text)
		if !ok {
			return bad()
		}
		return e.appendSeconds(dst, t.handle, seconds, nano), nil
	case hessian.PeriodHandle:
		p, ok := parsePeriod(text)
		if !ok {
			return bad()
		}
		return e.appendInts(dst, t.handle, p[:]...), nil
	case hessian.YearHandle, hessian.YearMonthHandle, hessian.MonthDayHandle:
		return e.fromPartialDate(dst, t, text)
	case hessian.ZoneIDHandle:
		if !isZone(text) {
			return bad()
		}
		return hessian.AppendString(e.classes.AppendObject(dst, t.handle), text), nil
	case hessian.ZoneOffsetHandle:
		var m moment
		if p := (isoParser{text: text}); !p.offset(&m) || len(p.text) > 0 {
			return bad()
		}
		return e.appendInts(dst, t.handle, int32(m.offset)), nil
	}
	m, ok := parseMoment(text)
	if !ok || !m.hasOffset || !m.hasTime || m.hasDate == (t.handle == hessian.OffsetTimeHandle) || m.separator == ' ' ||
		m.zone != nil && t.handle != hessian.ZonedDateTimeHandle {
		return bad()
	}
	switch t.handle {
	case hessian.InstantHandle:
		at := m.time(nil)
		return e.appendSeconds(dst, t.handle, at.Unix(), int32(at.Nanosecond())), nil
	case hessian.OffsetTimeHandle:
		dst = e.appendTime(e.classes.AppendObject(dst, t.handle), &m)
		return e.appendInts(dst, hessian.ZoneOffsetHandle, int32(m.offset)), nil
	}
	dst = e.appendDateTime(e.classes.AppendObject(dst, t.handle), &m)
	dst = e.appendInts(dst, hessian.ZoneOffsetHandle, int32(m.offset))
	switch {
	case t.handle == hessian.OffsetDateTimeHandle:
		return dst, nil
	case m.zone != nil:
		return hessian.AppendString(dst, m.zone), nil
	case m.offset == 0:
		return hessian.AppendString(dst, "Z"), nil
	}
	return hessian.AppendString(dst, m.offsetText), nil
}

// appendSeconds appends an Instant or a Duration.
func (e *Encoder) appendSeconds(dst []byte, h hessian.Handle, seconds int64, nano int32) []byte {
	return hessian.AppendInt(hessian.AppendLong(e.classes.AppendObject(dst, h), seconds), nano)
}

// appendInts appends a handle whose fields are all ints.
func (e *Encoder) appendInts(dst []byte, h hessian.Handle, parts ...int32) []byte {
	dst = e.classes.AppendObject(dst, h)
	for _, p := range parts {
		dst = hessian.AppendInt(dst, p)
	}
	return dst
}

func (e *Encoder) appendDateTime(dst []byte, m *moment) []byte {
	dst = e.classes.AppendObject(dst, hessian.LocalDateTimeHandle)
	return e.appendTime(e.appendDate(dst, m), m)
}

func (e *Encoder) appendDate(dst []byte, m *moment) []byte {
	return e.appendInts(dst, hessian.LocalDateHandle, int32(m.year), int32(m.month), int32(m.day))
}

func (e *Encoder) appendTime(dst []byte, m *moment) []byte {
	return e.appendInts(dst, hessian.LocalTimeHandle, int32(m.hour), int32(m.minute), int32(m.second), int32(m.nano))
}

// fromPartialDate appends 2026, 2026-01 or --01-02.
func (e *Encoder) fromPartialDate(dst []byte, t *Type, text []byte) ([]byte, error) {
	p := isoParser{text: text}
	var m moment
	ok := true
	if t.handle != hessian.MonthDayHandle {
		m.year, ok = p.digits(4)
	} else {
		m.year = 2000 // the 29th of February is a day
	}
	if t.handle != hessian.YearHandle {
		ok = ok && p.is('-') && (t.handle != hessian.MonthDayHandle || p.is('-')) && p.part(&m.month, 12) && m.month > 0
	}
	if t.handle == hessian.MonthDayHandle {
		ok = ok && p.is('-') && p.part(&m.day, 31) && m.day > 0 && m.day <= daysIn(m.year, m.month)
	}
	if !ok || len(p.text) > 0 {
		return dst, t.mismatch(describeString(text))
	}
	switch t.handle {
	case hessian.YearHandle:
		return e.appendInts(dst, t.handle, int32(m.year)), nil
	case hessian.YearMonthHandle:
		return e.appendInts(dst, t.handle, int32(m.year), int32(m.month)), nil
	}
	return e.appendInts(dst, t.handle, int32(m.month), int32(m.day)), nil
}
