package grpc

import (
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/sluice-gateway/sluice/protocol"
)

// Messages of the common shapes are turned over without being built: JSON is written as the wire format while it is read,
// and the other way round, which is several times faster than dynamic messages. A plan is what that needs to know of a message.
//
// The quick way only knows what is plain. A field that is not (maps, well-known types, escaped texts, odd numbers) goes
// through a dynamic message of its own, and a message that is refused, or has a form that the quick way is not sure of,
// goes the slow way as a whole. So the slow way alone decides what is right, and says what is wrong.
type plan struct {
	desc     protoreflect.MessageDescriptor
	slow     bool // nothing of it goes the quick way
	fields   []planField
	byName   map[string]*planField
	byNumber map[protowire.Number]*planField
	low      [16]*planField // of the first numbers
	oneofs   int
}

// planField is a field of a plan.
type planField struct {
	desc     protoreflect.FieldDescriptor
	number   protowire.Number
	kind     protoreflect.Kind
	list     bool
	packed   bool
	implicit bool // its zero is not written
	complex  bool // it goes through a dynamic message
	index    int
	oneof    int    // 0 is none
	key      string // of the canonical JSON
	protoKey string // with the name of the .proto file
	message  *plan
	names    map[string]protoreflect.EnumNumber
	numbers  map[protoreflect.EnumNumber]string // as JSON
}

// maxPlanFields is how many fields a quick message may have: a bit each.
const maxPlanFields = 256

// fieldSet is a set of a plan's fields.
type fieldSet [maxPlanFields / 64]uint64

// add reports whether i was not in the set.
func (s *fieldSet) add(i int) bool {
	bit := uint64(1) << (i & 63)
	was := s[i>>6]&bit != 0
	s[i>>6] |= bit
	return !was
}

// plans are those of a Schema's messages, made when they are first used.
type plans struct {
	mu  sync.Mutex
	all map[protoreflect.FullName]*plan
}

// of gives the plan of a message and all that it consists of.
func (p *plans) of(d protoreflect.MessageDescriptor) *plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[protoreflect.FullName]*plan{}
	}
	root := p.make(d)
	// What is required may be missing anywhere below.
	seen := map[*plan]bool{}
	var strict func(*plan) bool
	strict = func(q *plan) bool {
		if seen[q] {
			return false
		}
		seen[q] = true
		if q.desc.RequiredNumbers().Len() > 0 || q.desc.ExtensionRanges().Len() > 0 {
			return true
		}
		for i := range q.fields {
			if m := q.fields[i].message; m != nil && strict(m) {
				return true
			}
		}
		return false
	}
	if !root.slow && strict(root) {
		slow := *root // others may consist of it in a quick way
		slow.slow = true
		return &slow
	}
	return root
}

func (p *plans) make(d protoreflect.MessageDescriptor) *plan {
	if q := p.all[d.FullName()]; q != nil {
		return q
	}
	n := d.Fields().Len()
	q := &plan{
		desc: d, slow: isWellKnown(d.FullName()) || d.FullName() == httpBody || n > maxPlanFields || d.Oneofs().Len() > maxPlanFields,
		fields: make([]planField, n), byName: make(map[string]*planField, 2*n), byNumber: make(map[protowire.Number]*planField, n),
	}
	p.all[d.FullName()] = q // before its fields: it may contain itself
	for i := range n {
		fd := d.Fields().Get(i)
		f := &q.fields[i]
		*f = planField{
			desc: fd, number: fd.Number(), kind: fd.Kind(), list: fd.IsList(), packed: fd.IsPacked(), index: i,
			implicit: !fd.HasPresence() && !fd.IsList(), key: jsonKeyText(fd.JSONName()), protoKey: jsonKeyText(fd.TextName()),
		}
		if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() {
			f.oneof = o.Index() + 1
			q.oneofs = max(q.oneofs, f.oneof)
		}
		p.complete(f, fd)
		q.byName[fd.TextName()] = f
		q.byNumber[f.number] = f
		if int(f.number) < len(q.low) {
			q.low[f.number] = f
		}
	}
	for i := range q.fields { // names in JSON are preferred
		q.byName[q.fields[i].desc.JSONName()] = &q.fields[i]
	}
	return q
}

func jsonKeyText(name string) string {
	return string(append(protocol.AppendJSONString(nil, name), ':'))
}

// complete adds what belongs to the field's type.
func (p *plans) complete(f *planField, fd protoreflect.FieldDescriptor) {
	switch {
	case fd.IsMap(), f.kind == protoreflect.GroupKind:
		f.complex = true
		if m := fd.MapValue(); fd.IsMap() && m.Message() != nil {
			f.message = p.make(m.Message()) // for what it requires
		}
	case fd.Message() != nil:
		f.message = p.make(fd.Message())
		f.complex = f.message.slow || fd.Message().IsPlaceholder()
	case fd.Enum() != nil:
		e := fd.Enum()
		if e.IsPlaceholder() || e.FullName() == "google.protobuf.NullValue" || e.IsClosed() {
			f.complex = true
			return
		}
		f.names = make(map[string]protoreflect.EnumNumber, e.Values().Len())
		f.numbers = make(map[protoreflect.EnumNumber]string, e.Values().Len())
		for i := range e.Values().Len() {
			v := e.Values().Get(i)
			f.names[string(v.Name())] = v.Number()
			if _, ok := f.numbers[v.Number()]; !ok {
				f.numbers[v.Number()] = string(protocol.AppendJSONString(nil, string(v.Name())))
			}
		}
	}
}

// field finds a field by its number.
func (q *plan) field(n protowire.Number) *planField {
	if int(n) < len(q.low) {
		return q.low[n]
	}
	return q.byNumber[n]
}

// alone is a message with nothing but one field, for what does not go the quick way.
func (q *plan) alone() *dynamicpb.Message { return dynamicpb.NewMessage(q.desc) }

// quick gives the plans of what a binding's body and answer are, nil where they go the slow way.
func (p *plans) quick(b *binding) (in, out *plan) {
	switch {
	case b.body == bodyAll:
		in = p.of(b.desc.Input())
	case b.body == bodyField && b.field.Message() != nil && !b.field.IsList() && !b.field.IsMap() && b.field.Kind() != protoreflect.GroupKind &&
		!p.of(b.desc.Input()).slow:
		in = p.of(b.field.Message())
	}
	if b.response == nil {
		out = p.of(b.desc.Output())
	}
	if in != nil && in.slow {
		in = nil
	}
	if out != nil && out.slow {
		out = nil
	}
	return in, out
}
