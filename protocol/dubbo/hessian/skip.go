package hessian

// Skip passes over one value. References are not followed.
func (d *Decoder) Skip() error {
	if err := d.definitions(); err != nil {
		return err
	}
	switch d.Kind() {
	case String:
		return d.skipString()
	case Int, Long:
		_, err := d.integer()
		return err
	case Double:
		_, err := d.double()
		return err
	case Date:
		_, err := d.date()
		return err
	case Null, Bool:
		d.pos++
		return nil
	case Binary:
		return d.skipBinary()
	case Reference:
		_, err := d.target()
		return err
	case List, Map, Object:
		return d.skipContainer()
	case End:
		return d.unexpected()
	default:
		return d.fail(ErrMalformed)
	}
}

func (d *Decoder) skipContainer() error {
	kind := d.Kind()
	number, err := d.enter()
	if err != nil {
		return err
	}
	n := -1
	switch kind {
	case List:
		n, err = d.listHead()
	case Map:
		err = d.mapHead()
	default:
		var c class
		c, err = d.objectHead()
		n = c.fields
	}
	if err != nil {
		return err
	}
	for i := 0; n < 0 || i < n; i++ {
		if n < 0 && d.mapEnd() {
			break
		}
		if err = d.Skip(); err != nil {
			return err
		}
		if kind == Map {
			if err = d.Skip(); err != nil {
				return err
			}
		}
	}
	d.leave(number)
	return nil
}
