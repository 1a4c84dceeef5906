package wire

import (
	"encoding/binary"
	"errors"
)

// errShort says that a record ends before its last field.
var errShort = errors.New("answer is cut short")

// encoder appends the fields of records.
type encoder struct{ b []byte }

func (e *encoder) int32(v int32) { e.b = binary.BigEndian.AppendUint32(e.b, uint32(v)) }
func (e *encoder) int64(v int64) { e.b = binary.BigEndian.AppendUint64(e.b, uint64(v)) }

func (e *encoder) bool(v bool) {
	if v {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) string(s string) {
	e.int32(int32(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) buffer(p []byte) {
	e.int32(int32(len(p)))
	e.b = append(e.b, p...)
}

// decoder takes the fields of records out of a frame. After the first field that is not there everything is zero, and
// err says so.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) take(n int) []byte {
	if d.err != nil || n < 0 || n > len(d.b) {
		d.err = errShort
		return nil
	}
	p := d.b[:n:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) int32() int32 {
	p := d.take(4)
	if p == nil {
		return 0
	}
	return int32(binary.BigEndian.Uint32(p))
}

func (d *decoder) int64() int64 {
	p := d.take(8)
	if p == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(p))
}

func (d *decoder) bool() bool {
	p := d.take(1)
	return len(p) == 1 && p[0] != 0
}

// buffer returns a part of the frame; null, whose length is -1, is nil.
func (d *decoder) buffer() []byte {
	n := d.int32()
	if n == -1 {
		return nil
	}
	return d.take(int(n))
}

func (d *decoder) string() string { return string(d.buffer()) }

// strings is a vector of strings. Its count is believed only as far as the frame reaches.
func (d *decoder) strings() []string {
	n := int(d.int32())
	if n <= 0 || d.err != nil {
		return nil
	}
	all := make([]string, 0, min(n, len(d.b)/4))
	for range n {
		s := d.string()
		if d.err != nil {
			return nil
		}
		all = append(all, s)
	}
	return all
}

// Stat is what ZooKeeper notes of a node, as far as it is used here.
type Stat struct {
	// Czxid and Mzxid are the transactions that created and last changed it.
	Czxid, Mzxid int64
	// Ctime is when it was created, in milliseconds since 1970.
	Ctime int64
	// Version counts changes of its content.
	Version int32
	// EphemeralOwner is the session that it ends with, or 0.
	EphemeralOwner int64
}

func (d *decoder) stat() Stat {
	var s Stat
	s.Czxid, s.Mzxid, s.Ctime = d.int64(), d.int64(), d.int64()
	_ = d.int64() // mtime
	s.Version = d.int32()
	_, _ = d.int32(), d.int32() // versions of its children and of its ACL
	s.EphemeralOwner = d.int64()
	_, _ = d.int32(), d.int32() // length of its content, number of its children
	_ = d.int64()               // pzxid
	return s
}
