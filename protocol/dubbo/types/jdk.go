package types

import "github.com/sluice-gateway/sluice/protocol/dubbo/hessian"

// The types that need no name.
var (
	object   = &Type{name: objectName, erased: objectName, kind: opaqueKind, expected: "any value"}
	untyped  = &Type{name: "java.util.List", erased: "java.util.List", kind: listKind, elem: object, expected: "an array"}
	textType = &Type{name: "java.lang.String", erased: "java.lang.String", kind: stringKind, expected: "string"}
)

// jdkScalar gives the types of the JDK that are written as one value, by name. They are never looked up in a definition,
// which lists their private fields.
func jdkScalar(name string) (Type, bool) {
	switch name {
	case "byte":
		return Type{kind: wholeKind, bits: 8, prim: true, expected: "byte"}, true
	case "short":
		return Type{kind: wholeKind, bits: 16, prim: true, expected: "short"}, true
	case "int":
		return Type{kind: wholeKind, bits: 32, prim: true, expected: "int"}, true
	case "long":
		return Type{kind: wholeKind, bits: 64, prim: true, expected: "long"}, true
	case "float":
		return Type{kind: floatKind, prim: true, expected: "float"}, true
	case "double":
		return Type{kind: doubleKind, prim: true, expected: "double"}, true
	case "boolean":
		return Type{kind: boolKind, prim: true, expected: "boolean"}, true
	case "char":
		return Type{kind: charKind, prim: true, expected: "char, a string of one character"}, true
	case "java.lang.Byte":
		return Type{kind: wholeKind, bits: 8, expected: "byte"}, true
	case "java.lang.Short":
		return Type{kind: wholeKind, bits: 16, expected: "short"}, true
	case "java.lang.Integer":
		return Type{kind: wholeKind, bits: 32, expected: "int"}, true
	case "java.lang.Long":
		return Type{kind: wholeKind, bits: 64, expected: "long"}, true
	case "java.lang.Float":
		return Type{kind: floatKind, expected: "float"}, true
	case "java.lang.Double":
		return Type{kind: doubleKind, expected: "double"}, true
	case "java.lang.Boolean":
		return Type{kind: boolKind, expected: "boolean"}, true
	case "java.lang.Character":
		return Type{kind: charKind, expected: "char, a string of one character"}, true
	case "java.lang.String", "java.lang.CharSequence":
		return Type{kind: stringKind, expected: "string"}, true
	case "java.lang.Number":
		return Type{kind: numberKind, expected: "number"}, true
	case "java.math.BigDecimal":
		return Type{kind: decimalKind, expected: "decimal, a number or a string of one"}, true
	case "java.math.BigInteger":
		return Type{kind: bigIntKind, expected: "integer, a number or a string of one"}, true
	case "java.util.Date":
		return Type{kind: dateKind, expected: "date, as milliseconds since 1970 or as 2006-01-02T15:04:05Z, 2006-01-02 15:04:05 or 2006-01-02"}, true
	case "java.sql.Date":
		return Type{kind: sqlDateKind, handle: hessian.DateHandle, expected: "date, as milliseconds since 1970 or as 2006-01-02T15:04:05Z, 2006-01-02 15:04:05 or 2006-01-02"}, true
	case "java.sql.Timestamp":
		return Type{kind: sqlDateKind, handle: hessian.TimestampHandle, expected: "date, as milliseconds since 1970 or as 2006-01-02T15:04:05Z, 2006-01-02 15:04:05 or 2006-01-02"}, true
	case "java.sql.Time":
		return Type{kind: sqlDateKind, handle: hessian.TimeHandle, expected: "time, as 15:04:05 or a date with a time"}, true
	case "java.time.LocalDate":
		return Type{kind: localDateKind, expected: "date, as 2006-01-02"}, true
	case "java.time.LocalTime":
		return Type{kind: localTimeKind, expected: "time, as 15:04:05"}, true
	case "java.time.LocalDateTime":
		return Type{kind: localDateTimeKind, expected: "date and time without zone, as 2006-01-02T15:04:05"}, true
	case "java.util.UUID":
		return Type{kind: uuidKind, expected: "UUID"}, true
	case "java.util.Locale":
		return Type{kind: localeKind, expected: "locale, as en-GB"}, true
	case "java.util.Optional", "java.util.OptionalInt", "java.util.OptionalLong", "java.util.OptionalDouble":
		// Whatever else is sent, the provider fails with an exception from reflection.
		return Type{kind: unsupportedKind, expected: "null, because Dubbo cannot carry an Optional"}, true
	case objectName, "java.io.Serializable", "java.lang.Comparable":
		return Type{kind: opaqueKind, expected: "any value"}, true
	}
	return jdkTemporal(name)
}

func jdkTemporal(name string) (Type, bool) {
	switch name {
	case "java.time.Instant":
		return Type{kind: temporalKind, handle: hessian.InstantHandle, expected: "instant, as 2006-01-02T15:04:05Z"}, true
	case "java.time.Duration":
		return Type{kind: temporalKind, handle: hessian.DurationHandle, expected: "duration, as PT1H30M"}, true
	case "java.time.ZonedDateTime":
		return Type{kind: temporalKind, handle: hessian.ZonedDateTimeHandle, expected: "date and time with zone, as 2006-01-02T15:04:05+01:00[Europe/Paris]"}, true
	case "java.time.OffsetDateTime":
		return Type{kind: temporalKind, handle: hessian.OffsetDateTimeHandle, expected: "date and time with offset, as 2006-01-02T15:04:05+01:00"}, true
	case "java.time.OffsetTime":
		return Type{kind: temporalKind, handle: hessian.OffsetTimeHandle, expected: "time with offset, as 15:04:05+01:00"}, true
	case "java.time.Period":
		return Type{kind: temporalKind, handle: hessian.PeriodHandle, expected: "period, as P1Y2M3D"}, true
	case "java.time.Year":
		return Type{kind: temporalKind, handle: hessian.YearHandle, expected: "year, as 2006"}, true
	case "java.time.YearMonth":
		return Type{kind: temporalKind, handle: hessian.YearMonthHandle, expected: "month of a year, as 2006-01"}, true
	case "java.time.MonthDay":
		return Type{kind: temporalKind, handle: hessian.MonthDayHandle, expected: "day of a month, as --01-02"}, true
	case "java.time.ZoneId":
		return Type{kind: temporalKind, handle: hessian.ZoneIDHandle, expected: "time zone, as Europe/Paris"}, true
	case "java.time.ZoneOffset":
		return Type{kind: temporalKind, handle: hessian.ZoneOffsetHandle, expected: "offset, as +01:00"}, true
	}
	return Type{}, false
}

// jdkCollection tells how many type arguments a collection (1) or map (2) of the JDK has; 0 means that it is neither.
func jdkCollection(name string) int {
	switch name {
	case "java.util.List", "java.util.Collection", "java.lang.Iterable", "java.util.Set", "java.util.ArrayList",
		"java.util.LinkedList", "java.util.Vector", "java.util.Stack", "java.util.HashSet", "java.util.LinkedHashSet",
		"java.util.TreeSet", "java.util.SortedSet", "java.util.NavigableSet", "java.util.EnumSet", "java.util.Queue",
		"java.util.Deque", "java.util.ArrayDeque", "java.util.PriorityQueue", "java.util.AbstractList",
		"java.util.AbstractSet", "java.util.AbstractCollection", "java.util.concurrent.CopyOnWriteArrayList",
		"java.util.concurrent.CopyOnWriteArraySet", "java.util.concurrent.ConcurrentSkipListSet",
		"java.util.concurrent.ConcurrentLinkedQueue", "java.util.concurrent.ConcurrentLinkedDeque",
		"java.util.concurrent.BlockingQueue", "java.util.concurrent.BlockingDeque",
		"java.util.concurrent.LinkedBlockingQueue", "java.util.concurrent.LinkedBlockingDeque":
		return 1
	case "java.util.Map", "java.util.HashMap", "java.util.LinkedHashMap", "java.util.TreeMap", "java.util.SortedMap",
		"java.util.NavigableMap", "java.util.Hashtable", "java.util.EnumMap", "java.util.WeakHashMap",
		"java.util.IdentityHashMap", "java.util.AbstractMap", "java.util.Properties", "java.util.concurrent.ConcurrentMap",
		"java.util.concurrent.ConcurrentHashMap", "java.util.concurrent.ConcurrentNavigableMap",
		"java.util.concurrent.ConcurrentSkipListMap":
		return 2
	}
	return 0
}
