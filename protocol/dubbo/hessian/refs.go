package hessian

// enter begins a list, map or object at the current place and gives it its number.
func (d *Decoder) enter() (int, error) {
	if d.depth >= d.opts.MaxDepth {
		return 0, d.fail(ErrTooDeep)
	}
	d.depth++
	n := d.nextRef
	d.nextRef++
	if d.replays == 0 {
		d.refs = append(d.refs, ref{start: d.pos, open: true})
	} else {
		d.refs[n].open = true
	}
	return n, nil
}

// leave ends it.
func (d *Decoder) leave(n int) {
	d.depth--
	d.refs[n].open = false
	if d.replays == 0 {
		d.refs[n].end = d.pos
	}
}

// target reads a reference and gives the number of what it refers to.
func (d *Decoder) target() (int, error) {
	at := d.pos
	d.pos++
	if d.Kind() != Int {
		return 0, d.unexpected()
	}
	n, err := d.integer()
	if err != nil {
		return 0, err
	}
	if n < 0 || n >= int64(len(d.refs)) {
		return 0, d.failAt(at, ErrReference)
	}
	return int(n), nil
}

// saved is where reading goes on after a reference.
type saved struct{ pos, nextRef int }

// replay turns back to container n, so that it is read once more, and end goes on behind the reference. While that lasts,
// nothing is remembered: everything in n has its number already. All bytes read again are counted, because a few
// references to references stand for exponentially much.
func (d *Decoder) replay(n int) (saved, error) {
	r := d.refs[n]
	if d.work += r.end - r.start; d.work > d.opts.MaxOutput {
		return saved{}, d.fail(ErrTooLarge)
	}
	s := saved{d.pos, d.nextRef}
	d.pos, d.nextRef = r.start, n
	d.replays++
	return s, nil
}

// resume ends a replay.
func (d *Decoder) resume(s saved) {
	d.replays--
	d.pos, d.nextRef = s.pos, s.nextRef
}

// reference reads a reference and appends what it refers to, as JSON.
func (d *Decoder) reference(dst []byte) ([]byte, error) {
	at := d.pos
	n, err := d.target()
	if err != nil {
		return dst, err
	}
	if d.refs[n].open {
		if d.opts.CyclesAsNull {
			return append(dst, "null"...), nil
		}
		return dst, d.failAt(at, ErrCycle)
	}
	s, err := d.replay(n)
	if err != nil {
		return dst, err
	}
	if dst, err = d.value(dst); err != nil {
		return dst, err
	}
	d.resume(s)
	return dst, d.bounded(dst)
}

// bounded fails when more was written than a message may.
func (d *Decoder) bounded(dst []byte) error {
	if d.written+len(dst)-d.base > d.opts.MaxOutput {
		return d.fail(ErrTooLarge)
	}
	return nil
}
