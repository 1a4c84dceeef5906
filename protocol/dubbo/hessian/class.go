package hessian

// class is a class definition of the message.
type class struct {
	kind          classKind
	handle        Handle
	first, fields int // its place in Decoder.fields
	name          span
}

// classKind is what an object of the class becomes.
type classKind uint8

const (
	beanClass     classKind = iota // a JSON object
	enumClass                      // its name
	valueClass                     // its one field, called value: BigDecimal, java.sql.Timestamp, hessian's own wrappers
	decimalClass                   // the same, but the text is a number
	bigIntClass                    // BigInteger, by sign and magnitude
	temporalClass                  // a java.time value
	uuidClass
)

// field is a field of a class definition.
type field struct {
	key span // its name as a JSON key with the colon
	id  fieldID
}

// span is a part of Decoder.names.
type span struct{ start, end int }

// fieldID names the fields that mean something to us.
type fieldID uint8

const (
	otherField fieldID = iota
	classField
	nameField
	valueField
	signumField
	magField
	yearField // from here on the parts of java.time values, see temporal
	monthField
	dayField
	hourField
	minuteField
	secondField
	nanoField
	secondsField
	nanosField
	yearsField
	monthsField
	daysField
	dateField
	timeField
	offsetField
	zoneField
	epochSecondField
	mostField
	leastField
	messageField
	exceptionClassField
	exceptionMessageField
)

func fieldOf(name []byte) fieldID {
	switch string(name) {
	case "class":
		return classField
	case "name":
		return nameField
	case "value":
		return valueField
	case "signum":
		return signumField
	case "mag":
		return magField
	case "year":
		return yearField
	case "month":
		return monthField
	case "day":
		return dayField
	case "hour":
		return hourField
	case "minute":
		return minuteField
	case "second":
		return secondField
	case "nano":
		return nanoField
	case "seconds":
		return secondsField
	case "nanos":
		return nanosField
	case "years":
		return yearsField
	case "months":
		return monthsField
	case "days":
		return daysField
	case "date", "dateTime":
		return dateField
	case "time", "localTime":
		return timeField
	case "offset", "zoneOffset":
		return offsetField
	case "zoneId":
		return zoneField
	case "epochSecond":
		return epochSecondField
	case "mostSigBits":
		return mostField
	case "leastSigBits":
		return leastField
	case "detailMessage":
		return messageField
	case "exceptionClass":
		return exceptionClassField
	case "exceptionMessage":
		return exceptionMessageField
	}
	return otherField
}

// definitions reads the class definitions in front of an object.
func (d *Decoder) definitions() error {
	for d.pos < len(d.in) && d.in[d.pos] == 'C' {
		if err := d.definition(); err != nil {
			return err
		}
	}
	return nil
}

func (d *Decoder) definition() error {
	d.pos++
	c := class{first: len(d.fields)}
	known, keep := len(d.names), d.replays == 0
	var err error
	if d.names, err = d.appendString(d.names, false); err != nil {
		return err
	}
	c.name = span{known, len(d.names)}
	if c.fields, err = d.length(); err != nil {
		return err
	}
	for range c.fields {
		start := len(d.names)
		if d.names, err = d.appendString(d.names, false); err != nil {
			return err
		}
		id := fieldOf(d.names[start:])
		d.scratch = append(d.scratch[:0], d.names[start:]...)
		d.names = append(appendQuoted(d.names[:start], d.scratch), ':')
		if keep {
			d.fields = append(d.fields, field{key: span{start, len(d.names)}, id: id})
		}
	}
	if !keep { // it was read before, in the first pass over these bytes
		d.names = d.names[:known]
		return nil
	}
	c.kind, c.handle = d.classify(c)
	d.classes = append(d.classes, c)
	return nil
}

// classify tells what to make of the objects of a class.
func (d *Decoder) classify(c class) (classKind, Handle) {
	name := d.names[c.name.start:c.name.end]
	switch string(name) {
	case "java.math.BigDecimal":
		return decimalClass, 0
	case "java.math.BigInteger":
		if c.fields == 1 {
			return decimalClass, 0
		}
		return bigIntClass, 0
	case "java.util.UUID":
		if c.fields == 2 { // a Go provider sends the text as "value"
			return uuidClass, 0
		}
	}
	if hasPrefix(name, handlePackage) {
		for h := range temporals {
			if class, _ := handleClass(h); string(name) == class {
				return temporalClass, h
			}
		}
	}
	if c.fields == 1 {
		switch d.fields[c.first].id {
		case nameField: // so does hessian-lite write an enum constant; a bean comes as a map
			return enumClass, 0
		case valueField:
			if hasPrefix(name, "java.") || hasPrefix(name, hessianPackage) {
				return valueClass, 0
			}
		}
	}
	return beanClass, 0
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// objectHead reads an object up to its first field.
func (d *Decoder) objectHead() (class, error) {
	at := d.pos
	tag := d.in[d.pos]
	d.pos++
	n := int64(tag) - 0x60
	if tag == 'O' {
		if d.Kind() != Int {
			return class{}, d.unexpected()
		}
		var err error
		if n, err = d.integer(); err != nil {
			return class{}, err
		}
	}
	if n < 0 || n >= int64(len(d.classes)) {
		return class{}, d.failAt(at, ErrReference)
	}
	return d.classes[n], nil
}
