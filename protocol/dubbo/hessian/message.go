package hessian

import "strconv"

// EnterMap reads the start of a map, such as the attachments of a reply; null counts as an empty one. While Entry reports
// true, a key and a value must be read.
func (d *Decoder) EnterMap() error {
	if d.Null() {
		d.inMap = false
		return nil
	}
	if d.Kind() != Map {
		return d.unexpected()
	}
	n, err := d.enter()
	if err != nil {
		return err
	}
	d.inMap, d.mapNumber = true, n
	return d.mapHead()
}

// Entry reports whether the map entered last has another entry. In a message that ends too early it does, so that reading
// the entry fails.
func (d *Decoder) Entry() bool {
	if !d.inMap {
		return false
	}
	if d.mapEnd() {
		d.inMap = false
		d.leave(d.mapNumber)
		return false
	}
	return true
}

// AppendText reads one value and appends it as plain text. For null, lists, maps, objects and references it appends
// nothing, passes over the value and reports false.
func (d *Decoder) AppendText(dst []byte) (out []byte, ok bool, err error) {
	switch d.Kind() {
	case String:
		dst, err = d.appendString(dst, false)
		return dst, err == nil, err
	case Int, Long:
		v, err := d.integer()
		return strconv.AppendInt(dst, v, 10), err == nil, err
	case Double:
		v, err := d.double()
		return appendDouble(dst, v), err == nil, err
	case Bool:
		v := d.in[d.pos] == 'T'
		d.pos++
		return strconv.AppendBool(dst, v), true, nil
	default:
		return dst, false, d.Skip()
	}
}

// Exception is an exception as far as clients may know it. There is no stack trace on purpose.
type Exception struct {
	Class   string // the Java class, or "" when the provider sent a mere text
	Message string
}

// Exception reads the value of a reply that is an exception: an object whose class is the exception's, or Dubbo's
// GenericException with the class in a field, or (some Go providers) a text.
func (d *Decoder) Exception() (Exception, error) {
	var e Exception
	if err := d.definitions(); err != nil {
		return e, err
	}
	switch d.Kind() {
	case Object:
	case Map:
		return d.exceptionMap()
	default:
		text, _, err := d.AppendText(nil)
		e.Message = string(text)
		return e, err
	}
	number, err := d.enter()
	if err != nil {
		return e, err
	}
	c, err := d.objectHead()
	if err != nil {
		return e, err
	}
	e.Class = string(d.names[c.name.start:c.name.end])
	for i := c.first; i < c.first+c.fields; i++ {
		if err := d.exceptionField(&e, d.fields[i].id); err != nil {
			return e, err
		}
	}
	d.leave(number)
	return e, nil
}

// exceptionMap reads an exception that came as a map.
func (d *Decoder) exceptionMap() (Exception, error) {
	var e Exception
	number, err := d.enter()
	if err != nil {
		return e, err
	}
	if err := d.mapHead(); err != nil {
		return e, err
	}
	for !d.mapEnd() {
		name, _, err := d.AppendText(nil)
		if err != nil {
			return e, err
		}
		id := fieldOf(name)
		if string(name) == "message" {
			id = messageField
		}
		if err := d.exceptionField(&e, id); err != nil {
			return e, err
		}
	}
	d.leave(number)
	return e, nil
}

// exceptionField reads the value of one field.
func (d *Decoder) exceptionField(e *Exception, id fieldID) error {
	switch id {
	case messageField, exceptionMessageField, exceptionClassField, classField:
	default:
		return d.Skip()
	}
	text, ok, err := d.AppendText(nil)
	switch {
	case err != nil || !ok:
		return err
	case id == exceptionClassField, id == classField:
		e.Class = string(text)
	case id == exceptionMessageField || e.Message == "":
		e.Message = string(text)
	}
	return nil
}
