package hessian

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
