package socket

// Parked is an idle connection whose goroutine was given up.
type Parked interface {
	// Socket is the connection that is watched.
	Socket() *Conn
	// Wake is called, once, when the connection became readable or broke. It must not block: it starts a goroutine.
	Wake()
	// Expire is called instead when the time is over or the Parker was closed. It must not block for long.
	Expire()
}

// noSlot ends the list of slots.
const noSlot = -1

// slot is one parked connection, in a list ordered by until.
type slot struct {
	item       Parked
	until      int64 // 0: never
	prev, next int32
}

// slots is the Parker's book-keeping: a few bytes for each connection, found by index and ordered by expiry.
type slots struct {
	all         []slot
	free        []int32
	first, last int32
	n           int
}

func newSlots() slots { return slots{first: noSlot, last: noSlot} }

func (s *slots) add(item Parked, until int64) int32 {
	var i int32
	if k := len(s.free); k > 0 {
		i, s.free = s.free[k-1], s.free[:k-1]
	} else {
		s.all = append(s.all, slot{})
		i = int32(len(s.all) - 1)
	}
	// Nearly always the new one expires last.
	after := s.last
	for after != noSlot && later(s.all[after].until, until) {
		after = s.all[after].prev
	}
	e := &s.all[i]
	*e = slot{item: item, until: until, prev: after, next: s.first}
	if after != noSlot {
		e.next = s.all[after].next
		s.all[after].next = i
	} else {
		s.first = i
	}
	if e.next != noSlot {
		s.all[e.next].prev = i
	} else {
		s.last = i
	}
	s.n++
	return i
}

// later orders times in which 0 is never.
func later(a, b int64) bool { return b != 0 && (a == 0 || a > b) }

// remove empties slot i and returns what was in it, nil if it was empty.
func (s *slots) remove(i int32) Parked {
	if i < 0 || int(i) >= len(s.all) || s.all[i].item == nil {
		return nil
	}
	e := s.all[i]
	if e.prev != noSlot {
		s.all[e.prev].next = e.next
	} else {
		s.first = e.next
	}
	if e.next != noSlot {
		s.all[e.next].prev = e.prev
	} else {
		s.last = e.prev
	}
	s.all[i] = slot{}
	s.free = append(s.free, i)
	s.n--
	if s.n == 0 && len(s.all) > 1024 {
		s.all, s.free = nil, nil // a crowd has left
	}
	return e.item
}

// expired removes the first slot if its time is over.
func (s *slots) expired(now int64) Parked {
	if s.first == noSlot || s.all[s.first].until == 0 || s.all[s.first].until > now {
		return nil
	}
	return s.remove(s.first)
}
