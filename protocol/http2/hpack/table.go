package hpack

// table is a dynamic table (RFC 7541 section 2.3.2) as a ring. Positions count insertions since the start, so that the
// entry of a position stays the same while others come and go.
type table struct {
	ring   []Field // length is a power of two
	oldest uint32  // position of the oldest entry that is still there
	next   uint32  // position of the next insertion
	size   int
	limit  int
}

const firstRing = 16

// len counts the entries.
func (t *table) len() int { return int(t.next - t.oldest) }

// at gives the entry of a position, which must be there.
func (t *table) at(position uint32) *Field { return &t.ring[position&uint32(len(t.ring)-1)] }

// has reports whether a position is still there.
func (t *table) has(position uint32) bool { return position-t.oldest < t.next-t.oldest }

// index gives the index on the wire of a position that is there.
func (t *table) index(position uint32) uint64 { return staticLast + uint64(t.next-position) }

// setLimit changes the size bound and evicts what is over it.
func (t *table) setLimit(limit int) {
	t.limit = limit
	t.evict(0)
}

// evict makes room for n more.
func (t *table) evict(n int) {
	for t.oldest != t.next && t.size+n > t.limit {
		f := t.at(t.oldest)
		t.size -= f.Size()
		*f = Field{}
		t.oldest++
	}
}

// add inserts f. One that is larger than the whole table empties it (RFC 7541 section 4.4).
func (t *table) add(f *Field) {
	n := f.Size()
	t.evict(n)
	if n > t.limit {
		return
	}
	if t.len() == len(t.ring) {
		t.grow()
	}
	*t.at(t.next) = *f
	t.next++
	t.size += n
}

func (t *table) grow() {
	old := *t
	t.ring = make([]Field, max(firstRing, 2*len(old.ring)))
	for p := old.oldest; p != old.next; p++ {
		*t.at(p) = *old.at(p)
	}
}
