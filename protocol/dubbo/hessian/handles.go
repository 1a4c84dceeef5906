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
	DecimalHandle                     // value (string), of java.math.BigDecimal
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
	case DecimalHandle:
		return "java.math.BigDecimal", "value"
	}
	panic("hessian: no such handle")
}

// Classes numbers the class definitions of one message. Its zero value starts a message; a definition is written in front
// of the first object of its class, and later objects refer to it. Nothing else may write class definitions into the same
// message.
type Classes struct {
	number [handles]int32 // one more than the definition's place, or 0 when it has not been written
	count  int32
	enums  []enumNumber
}

// enumNumber is the place of an enum's definition.
type enumNumber struct {
	class string
	place int32
}

// Reset starts another message.
func (c *Classes) Reset() { *c = Classes{enums: c.enums[:0]} }

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
	return appendObjectHead(dst, c.number[h]-1)
}

// AppendEnum appends a constant of a Java enum as an object, which stays a constant where a provider does not know that one
// is expected and would leave a string as it is.
func (c *Classes) AppendEnum(dst []byte, class string, name []byte) []byte {
	place := int32(-1)
	for _, e := range c.enums {
		if e.class == class {
			place = e.place
			break
		}
	}
	if place < 0 {
		place = c.count
		c.count++
		c.enums = append(c.enums, enumNumber{class, place})
		dst = AppendString(append(dst, 'C'), class)
		dst = AppendString(AppendInt(dst, 1), "name")
	}
	return AppendString(appendObjectHead(dst, place), name)
}

// appendObjectHead opens an object of the class at a place.
func appendObjectHead(dst []byte, place int32) []byte {
	if place <= 0x0f {
		return append(dst, byte(0x60+place))
	}
	return AppendInt(append(dst, 'O'), place)
}
