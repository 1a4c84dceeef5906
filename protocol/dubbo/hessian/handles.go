package hessian

import "strings"

// Handle names one of the classes by which hessian-lite carries values that hessian2 has no form for: those of java.time,
// and some more of the JDK. A provider takes several of them (Instant, Duration, ZonedDateTime, UUID) in no other form, and
// takes all of them as they are, whatever it would do to a string.
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
	temporals                          // up to here they are of java.time

	UUIDHandle      Handle = iota - 1 // value (string)
	LocaleHandle                      // value (string), such as fr_FR
	DateHandle                        // value (date), of java.sql.Date
	TimeHandle                        // value (date), of java.sql.Time
	TimestampHandle                   // value (date), of java.sql.Timestamp
	handles
)

// Where hessian-lite keeps its own classes, in all versions of Dubbo since 2.6.
const (
	hessianPackage = "com.alibaba.com.caucho.hessian.io."
	handlePackage  = hessianPackage + "java8."
)

// handleClass gives the class name and the fields, separated by commas (a slice would be allocated each time).
func handleClass(h Handle) (name, fields string) {
	switch h {
	case InstantHandle:
		return handlePackage + "InstantHandle", "seconds,nanos"
	case DurationHandle:
		return handlePackage + "DurationHandle", "seconds,nanos"
	case LocalDateHandle:
		return handlePackage + "LocalDateHandle", "year,month,day"
	case LocalTimeHandle:
		return handlePackage + "LocalTimeHandle", "hour,minute,second,nano"
	case LocalDateTimeHandle:
		return handlePackage + "LocalDateTimeHandle", "date,time"
	case ZoneOffsetHandle:
		return handlePackage + "ZoneOffsetHandle", "seconds"
	case ZonedDateTimeHandle:
		return handlePackage + "ZonedDateTimeHandle", "dateTime,offset,zoneId"
	case OffsetDateTimeHandle:
		return handlePackage + "OffsetDateTimeHandle", "dateTime,offset"
	case OffsetTimeHandle:
		return handlePackage + "OffsetTimeHandle", "localTime,zoneOffset"
	case PeriodHandle:
		return handlePackage + "PeriodHandle", "years,months,days"
	case YearHandle:
		return handlePackage + "YearHandle", "year"
	case YearMonthHandle:
		return handlePackage + "YearMonthHandle", "year,month"
	case MonthDayHandle:
		return handlePackage + "MonthDayHandle", "month,day"
	case ZoneIDHandle:
		return handlePackage + "ZoneIdHandle", "zoneId"
	case UUIDHandle:
		return "java.util.UUID", "value"
	case LocaleHandle:
		return hessianPackage + "LocaleHandle", "value"
	case DateHandle:
		return "java.sql.Date", "value"
	case TimeHandle:
		return "java.sql.Time", "value"
	case TimestampHandle:
		return "java.sql.Timestamp", "value"
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
		dst = AppendString(append(dst, 'C'), name)
		dst = AppendInt(dst, int32(strings.Count(fields, ",")+1))
		for f := range strings.SplitSeq(fields, ",") {
			dst = AppendString(dst, f)
		}
		c.count++
		c.number[h] = c.count
	}
	if n := c.number[h] - 1; n <= 0x0f {
		return append(dst, 0x60+n)
	}
	return AppendInt(append(dst, 'O'), int32(c.number[h]-1))
}
