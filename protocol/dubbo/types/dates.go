package types

import "github.com/sluice-gateway/sluice/protocol/dubbo/hessian"

// takesMillis tells whether a whole number means milliseconds since 1970 for the type.
func (t *Type) takesMillis() bool {
	return t.kind == dateKind || t.kind == sqlDateKind || t.kind == temporalKind && t.handle == hessian.InstantHandle
}

// fromMillis appends a moment that is given in milliseconds since 1970 (or a year, which is a plain number as well).
func (e *Encoder) fromMillis(dst []byte, t *Type, text []byte, got func([]byte) string) ([]byte, error) {
	ms, ok := parseInt(text)
	if !ok {
		return dst, t.mismatch(got(text))
	}
	switch {
	case t.kind == dateKind:
		return hessian.AppendDate(dst, ms), nil
	case t.kind == sqlDateKind:
		return hessian.AppendDate(e.classes.AppendObject(dst, t.handle), ms), nil
	case t.handle == hessian.InstantHandle:
		seconds := floor(ms, 1000)
		return e.appendSeconds(dst, t.handle, seconds, int32(ms-seconds*1000)*1_000_000), nil
	case t.handle == hessian.YearHandle && ms >= -999_999_999 && ms <= 999_999_999:
		return hessian.AppendInt(e.classes.AppendObject(dst, t.handle), int32(ms)), nil
	}
	return dst, t.mismatch(got(text))
}

// floor divides and rounds down.
func floor(v, by int64) int64 {
	q := v / by
	if v%by < 0 {
		q--
	}
	return q
}

// fromTime appends a date or a time that is given as text.
func (e *Encoder) fromTime(dst []byte, t *Type, text []byte) ([]byte, error) {
	if t.kind == temporalKind {
		return e.fromTemporal(dst, t, text)
	}
	m, ok := parseMoment(text)
	if !ok || m.zone != nil {
		return dst, t.mismatch(describeString(text))
	}
	switch t.kind {
	case dateKind:
		if m.hasDate {
			return hessian.AppendDate(dst, m.time(e.opts.DateZone).UnixMilli()), nil
		}
	case sqlDateKind:
		return e.fromSQL(dst, t, m, text)
	case localDateKind:
		switch {
		case !m.hasDate || m.hasTime:
		case t.exact:
			return e.appendDate(dst, &m), nil
		default:
			return hessian.AppendString(dst, text), nil
		}
	case localTimeKind:
		switch {
		case m.hasDate || m.hasOffset:
		case t.exact:
			return e.appendTime(dst, &m), nil
		default:
			return hessian.AppendString(dst, text), nil
		}
	case localDateTimeKind:
		switch {
		case !m.hasDate || !m.hasTime || m.separator != 'T' || m.hasOffset:
		case t.exact:
			return e.appendDateTime(dst, &m), nil
		default:
			return hessian.AppendString(dst, text), nil
		}
	}
	return dst, t.mismatch(describeString(text))
}

// fromSQL appends a java.sql date. Where the text has a zone, or DateZone tells it, the moment is known and goes as an
// object. Otherwise it goes as text, which the provider reads in its own zone; it does so in only one form, that of
// sqlLayout, for all three classes.
func (e *Encoder) fromSQL(dst []byte, t *Type, m moment, text []byte) ([]byte, error) {
	if !m.hasDate {
		if t.handle != hessian.TimeHandle {
			return dst, t.mismatch(describeString(text))
		}
		m.year, m.month, m.day = 1970, 1, 1
	}
	at := m.time(e.opts.DateZone)
	if m.hasOffset || e.opts.DateZone != nil {
		return hessian.AppendDate(e.classes.AppendObject(dst, t.handle), at.UnixMilli()), nil
	}
	var local [len(sqlLayout)]byte
	return hessian.AppendString(dst, at.AppendFormat(local[:0], sqlLayout)), nil
}

const sqlLayout = "2006-01-02 15:04:05"
