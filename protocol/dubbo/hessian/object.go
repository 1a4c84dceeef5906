package hessian

import "strconv"

// object reads an object and appends what its class stands for.
func (d *Decoder) object(dst []byte) ([]byte, error) {
	number, err := d.enter()
	if err != nil {
		return dst, err
	}
	c, err := d.objectHead()
	if err != nil {
		return dst, err
	}
	switch c.kind {
	case beanClass:
		dst, err = d.bean(dst, c)
	case enumClass, valueClass:
		dst, err = d.value(dst)
	case decimalClass:
		dst, err = d.decimal(dst, c)
	case bigIntClass:
		dst, err = d.bigInteger(dst, c)
	case temporalClass:
		var t temporal
		if t, err = d.temporalFields(c); err == nil {
			dst = append(t.append(append(dst, '"'), c.handle), '"')
		}
	case uuidClass:
		dst, err = d.uuid(dst, c)
	}
	if err != nil {
		return dst, err
	}
	d.leave(number)
	return dst, d.bounded(dst)
}

// bean reads an object's fields and appends a JSON object.
func (d *Decoder) bean(dst []byte, c class) ([]byte, error) {
	dst = append(dst, '{')
	empty := true
	for i := c.first; i < c.first+c.fields; i++ {
		f := d.fields[i]
		if f.id == classField && !d.opts.KeepClass {
			if err := d.Skip(); err != nil {
				return dst, err
			}
			continue
		}
		if !empty {
			dst = append(dst, ',')
		}
		empty = false
		dst = append(dst, d.names[f.key.start:f.key.end]...)
		var err error
		if dst, err = d.value(dst); err != nil {
			return dst, err
		}
		if err = d.bounded(dst); err != nil { // the names are sent once and written for every object
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// mapping reads a map and appends a JSON object, or a string where the map is what a provider makes of a java.time.Instant
// or Duration: {"epochSecond":1,"nano":2} and {"seconds":1,"nano":2}, told by their keys and the class.
func (d *Decoder) mapping(dst []byte) ([]byte, error) {
	number, err := d.enter()
	if err != nil {
		return dst, err
	}
	if err = d.mapHead(); err != nil {
		return dst, err
	}
	start := len(dst)
	dst = append(dst, '{')
	m := instantMap{}
	for !d.mapEnd() {
		id := otherField
		keyStart := len(dst)
		if keyStart > start+1 {
			dst = append(dst, ',')
			keyStart++
		}
		if dst, err = d.key(dst); err != nil {
			return dst, err
		}
		if d.pos >= len(d.in) {
			return dst, d.fail(ErrTruncated)
		}
		name := dst[keyStart+1 : len(dst)-1]
		switch string(name) {
		case "class":
			if !d.opts.KeepClass {
				dst = dst[:keyStart]
				if keyStart > start+1 {
					dst = dst[:keyStart-1]
				}
				if err = d.class(&m); err != nil {
					return dst, err
				}
				continue
			}
		case "epochSecond":
			id = epochSecondField
		case "seconds":
			id = secondsField
		case "nano":
			id = nanoField
		}
		dst = append(dst, ':')
		valueStart := len(dst)
		if dst, err = d.value(dst); err != nil {
			return dst, err
		}
		m.see(id, dst[valueStart:])
	}
	d.leave(number)
	if handle, ok := m.is(); ok {
		return append(m.t.append(append(dst[:start], '"'), handle), '"'), nil
	}
	return append(dst, '}'), nil
}

// instantMap watches a map's entries for those of an Instant or a Duration.
type instantMap struct {
	t       temporal
	seen    uint8 // 1 epochSecond, 2 nano, 4 seconds
	others  bool
	isClass bool // the class said so
	class   Handle
}

// see is told of an entry and the JSON of its value.
func (m *instantMap) see(id fieldID, value []byte) {
	if id == otherField {
		m.others = true
		return
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		m.others = true
		return
	}
	switch id {
	case epochSecondField:
		m.seen |= 1
		m.t.seconds = n
	case nanoField:
		m.seen |= 2
		m.t.nano = n
	case secondsField:
		m.seen |= 4
		m.t.seconds = n
	}
}

// is tells what the map was.
func (m *instantMap) is() (Handle, bool) {
	if m.t.nano < 0 || m.t.nano > 999_999_999 {
		return 0, false
	}
	switch {
	case m.seen == 1|2 && (!m.others || m.isClass && m.class == InstantHandle):
		return InstantHandle, true
	case m.seen == 4|2 && m.isClass && m.class == DurationHandle: // has other entries too, such as "negative"
		return DurationHandle, true
	}
	return 0, false
}

// class reads the value of a map's key "class".
func (d *Decoder) class(m *instantMap) error {
	if d.Kind() != String {
		return d.Skip()
	}
	text, err := d.appendString(d.scratch[:0], false)
	d.scratch = text
	switch string(text) {
	case "java.time.Instant":
		m.isClass, m.class = true, InstantHandle
	case "java.time.Duration":
		m.isClass, m.class = true, DurationHandle
	}
	return err
}
