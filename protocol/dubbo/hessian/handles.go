package hessian

import "strings"

// Handle names one of the classes by which hessian-lite carries java.time values. A provider accepts several of them
// (Instant, Duration, ZonedDateTime, OffsetDateTime) in no other form.
type Handle uint8

// The handles, with their fields in the order that AppendObject declares and the caller must write.
const (
	InstantHandle        Handle = iota // seconds (long), nanos (int)
	DurationHandle                     // seconds (long), nanos (int)
	LocalDateHandle                    // year, month, day
	LocalTimeHandle                    // hour, minute, second, nano
	LocalDateTimeHandle                // date (LocalDateHandle), time (LocalTimeHandle)
	ZoneOffsetHandle                   // seconds
	ZonedDateTimeHandle                // dateTime (LocalDateTimeHandle), offset (ZoneOffsetHandle), zoneId (string)
	OffsetDateTimeHandle               // dateTime (LocalDateTimeHandle), offset (ZoneOffsetHandle)
	OffsetTimeHandle                   // localTime (LocalTimeHandle), zoneOffset (ZoneOffsetHandle)
	PeriodHandle                       // years, months, days
	YearHandle                         // year
	YearMonthHandle                    // year, month
	MonthDayHandle                     // month, day
	ZoneIDHandle                       // zoneId (string)
	handles
)

// handlePackage is where hessian-lite keeps them, in all versions of Dubbo since 2.6.
const handlePackage = "com.alibaba.com.caucho.hessian.io.java8."

// handleClass gives the class name without its package, and the fields, separated by commas (a slice would be allocated
// each time).
func handleClass(h Handle) (name, fields string) {
	switch h {
	case InstantHandle:
		return "InstantHandle", "seconds,nanos"
	case DurationHandle:
		return "DurationHandle", "seconds,nanos"
	case LocalDateHandle:
		return "LocalDateHandle", "year,month,day"
	case LocalTimeHandle:
		return "LocalTimeHandle", "hour,minute,second,nano"
	case LocalDateTimeHandle:
		return "LocalDateTimeHandle", "date,time"
	case ZoneOffsetHandle:
		return "ZoneOffsetHandle", "seconds"
	case ZonedDateTimeHandle:
		return "ZonedDateTimeHandle", "dateTime,offset,zoneId"
	case OffsetDateTimeHandle:
		return "OffsetDateTimeHandle", "dateTime,offset"
	case OffsetTimeHandle:
		return "OffsetTimeHandle", "localTime,zoneOffset"
	case PeriodHandle:
		return "PeriodHandle", "years,months,days"
	case YearHandle:
		return "YearHandle", "year"
	case YearMonthHandle:
		return "YearMonthHandle", "year,month"
	case MonthDayHandle:
		return "MonthDayHandle", "month,day"
	case ZoneIDHandle:
		return "ZoneIdHandle", "zoneId"
	}
	panic("hessian: no such handle")
}

// Classes numbers the class definitions of one message. Its zero value starts a message; a definition is written in front
// of the first object of its class, and later objects refer to it. Nothing else may write class definitions into the same
// message.
type Classes struct {
	number [handles]uint8 // one more than the definition's place, or 0 when it has not been written
	count  uint8
}

// Reset starts another message.
func (c *Classes) Reset() { *c = Classes{} }

// AppendObject opens an object of a handle class; its fields must follow, in the order given at the constants.
func (c *Classes) AppendObject(dst []byte, h Handle) []byte {
	if c.number[h] == 0 {
		name, fields := handleClass(h)
		dst = append(dst, 'C')
		dst = append(appendStringHead(dst, len(handlePackage)+len(name)), handlePackage...)
		dst = append(dst, name...)
		dst = AppendInt(dst, int32(strings.Count(fields, ",")+1))
		for f := range strings.SplitSeq(fields, ",") {
			dst = AppendString(dst, f)
		}
		c.count++
		c.number[h] = c.count
	}
	return append(dst, 0x60+c.number[h]-1) // there are fewer than sixteen handles, so the short form always fits
}
