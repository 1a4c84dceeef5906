package protocol

// Field is one header or trailer line.
type Field struct {
	// Name as it was received or set; compared without regard to case.
	Name string
	// Value without surrounding blanks.
	Value string
	id    Name
	never bool
}

// ID says which known name the field has, or NameOther.
func (f *Field) ID() Name { return f.id }

// Sensitive reports whether the value must be kept out of compression contexts on every hop: it came so marked
// (RFC 7541 section 6.2.3).
func (f *Field) Sensitive() bool { return f.never }

// Header is an ordered list of fields. Order and repetition are kept, because both carry meaning (Set-Cookie,
// X-Forwarded-For). The zero value is empty and ready; Reset keeps the memory for the next exchange.
type Header struct {
	fields []Field
}

// Len counts the fields.
func (h *Header) Len() int { return len(h.fields) }

// At returns the i-th field. The pointer is valid until the header changes.
func (h *Header) At(i int) *Field { return &h.fields[i] }

// Reset empties h and keeps its memory.
func (h *Header) Reset() { h.fields = h.fields[:0] }

// Add appends a field.
func (h *Header) Add(name, value string) {
	h.fields = append(h.fields, Field{Name: name, Value: value, id: LookupName(name)})
}

// AddKnown appends a field whose id the caller has looked up already; parsers use it.
func (h *Header) AddKnown(id Name, name, value string) {
	h.fields = append(h.fields, Field{Name: name, Value: value, id: id})
}

// AddSensitive is AddKnown for a field whose value must be kept out of compression contexts, see Field.Sensitive.
func (h *Header) AddSensitive(id Name, name, value string) {
	h.fields = append(h.fields, Field{Name: name, Value: value, id: id, never: true})
}

// Get returns the first value of name, or "". Known names are cheaper by Value.
func (h *Header) Get(name string) string {
	v, _ := h.Lookup(name)
	return v
}

// Lookup returns the first value of name and whether there is one.
func (h *Header) Lookup(name string) (string, bool) {
	if id := LookupName(name); id != NameOther {
		return h.LookupKnown(id)
	}
	for i := range h.fields {
		if f := &h.fields[i]; f.id == NameOther && EqualFold(f.Name, name) {
			return f.Value, true
		}
	}
	return "", false
}

// Value returns the first value of a known name, or "".
func (h *Header) Value(id Name) string {
	v, _ := h.LookupKnown(id)
	return v
}

// LookupKnown returns the first value of a known name and whether there is one.
func (h *Header) LookupKnown(id Name) (string, bool) {
	for i := range h.fields {
		if h.fields[i].id == id {
			return h.fields[i].Value, true
		}
	}
	return "", false
}

// Count says how many fields a known name has.
func (h *Header) Count(id Name) int {
	n := 0
	for i := range h.fields {
		if h.fields[i].id == id {
			n++
		}
	}
	return n
}

// Set gives name exactly one value, at the place of its first field, or at the end.
func (h *Header) Set(name, value string) {
	id := LookupName(name)
	for i := range h.fields {
		if h.match(i, id, name) {
			h.fields[i].Value = value
			h.delFrom(i+1, id, name)
			return
		}
	}
	h.fields = append(h.fields, Field{Name: name, Value: value, id: id})
}

// Del removes every field of name.
func (h *Header) Del(name string) { h.delFrom(0, LookupName(name), name) }

// DelKnown removes every field of a known name.
func (h *Header) DelKnown(id Name) { h.delFrom(0, id, "") }

// DelAt removes the i-th field; the order of the others stays.
func (h *Header) DelAt(i int) {
	h.fields = append(h.fields[:i], h.fields[i+1:]...)
}

func (h *Header) match(i int, id Name, name string) bool {
	f := &h.fields[i]
	return f.id == id && (id != NameOther || EqualFold(f.Name, name))
}

func (h *Header) delFrom(start int, id Name, name string) {
	i := start
	for i < len(h.fields) && !h.match(i, id, name) {
		i++
	}
	if i == len(h.fields) {
		return
	}
	keep := i
	for ; i < len(h.fields); i++ {
		if !h.match(i, id, name) {
			h.fields[keep] = h.fields[i]
			keep++
		}
	}
	clear(h.fields[keep:]) // no stale strings behind the end
	h.fields = h.fields[:keep]
}
