package hessian

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// model writes random values of every form that hessian2 has, also those that the writer of this package never uses, and
// beside them the JSON that a reader must make of them. References lead to any container that is closed by then.
type model struct {
	*rand.Rand
	in      []byte
	types   []string
	classes [][]string
	closed  map[int]string // JSON of each container by its number
	next    int
}

func newModel(seed uint64) *model {
	return &model{Rand: rand.New(rand.NewPCG(seed, seed)), closed: map[int]string{}}
}

// value writes one value and gives its JSON.
func (m *model) value(depth int) string {
	if depth > 0 {
		switch m.IntN(8) {
		case 0:
			return m.list(depth)
		case 1, 2:
			return m.mapping(depth)
		case 3:
			return m.object(depth)
		case 4:
			return m.reference(depth)
		}
	}
	switch m.IntN(8) {
	case 0:
		m.in = append(m.in, 'N')
		return "null"
	case 1:
		v := m.IntN(2) == 1
		m.in = AppendBool(m.in, v)
		return strconv.FormatBool(v)
	case 2:
		v := int32(m.Uint32()) >> m.IntN(32)
		m.in = AppendInt(m.in, v)
		return strconv.Itoa(int(v))
	case 3:
		v := int64(m.Uint64()) >> m.IntN(64)
		m.in = AppendLong(m.in, v)
		return strconv.FormatInt(v, 10)
	case 4:
		return m.double()
	case 5:
		return m.date()
	default:
		return m.text()
	}
}

func (m *model) double() string {
	if m.IntN(3) == 0 { // thousandths, which are only read
		v := int32(m.IntN(1000))*1000 + 500
		m.in = append(m.in, 0x5f, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
		return fmt.Sprintf("%d.5", v/1000)
	}
	v := float64(m.IntN(100_000)-50_000) / 4
	m.in = AppendDouble(m.in, v)
	text := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

func (m *model) date() string {
	minutes := int64(m.IntN(1 << 25))
	if m.IntN(2) == 0 { // minutes, which are only read
		m.in = append(m.in, 0x4b, byte(minutes>>24), byte(minutes>>16), byte(minutes>>8), byte(minutes))
	} else {
		m.in = AppendDate(m.in, minutes*60_000)
	}
	return `"` + time.Unix(minutes*60, 0).UTC().Format(time.RFC3339) + `"`
}

var modelTexts = []string{"", "a", "hello world", "é", "😀", "long text that takes more than one byte for its length", "tab\tquote\"", "\x00", "日本語 and ASCII"}

// text writes a string, now and then in several chunks.
func (m *model) text() string {
	s := modelTexts[m.IntN(len(modelTexts))]
	plain := s
	for m.IntN(4) == 0 {
		chunk := AppendString(nil, strings.Repeat("x", 40)) // its head is two bytes
		m.in = append(append(m.in, 'R', 0, 40), chunk[2:]...)
		plain = strings.Repeat("x", 40) + plain
	}
	m.in = AppendString(m.in, s)
	return string(appendQuoted(nil, []byte(plain)))
}

// typeName writes a type, by its number if it was there before.
func (m *model) typeName() {
	name := fmt.Sprintf("com.example.Type%d", m.IntN(4))
	for i, known := range m.types {
		if known == name && m.IntN(2) == 0 {
			m.in = AppendInt(m.in, int32(i))
			return
		}
	}
	m.types = append(m.types, name)
	m.in = AppendString(m.in, name)
}

func (m *model) list(depth int) string {
	number := m.next
	m.next++
	n := m.IntN(10)
	end := false
	switch form := m.IntN(6); {
	case form == 0 && n <= 7:
		m.in = append(m.in, byte(0x70+n))
		m.typeName()
	case form == 1 && n <= 7:
		m.in = append(m.in, byte(0x78+n))
	case form == 2:
		m.in = append(m.in, 'V')
		m.typeName()
		m.in = AppendInt(m.in, int32(n))
	case form == 3:
		m.in, end = append(m.in, 0x57), true
	case form == 4:
		m.in, end = append(m.in, 0x55), true
		m.typeName()
	default:
		m.in = AppendInt(append(m.in, 0x58), int32(n))
	}
	parts := make([]string, n)
	for i := range parts {
		parts[i] = m.value(depth - 1)
	}
	if end {
		m.in = append(m.in, 'Z')
	}
	m.closed[number] = "[" + strings.Join(parts, ",") + "]"
	return m.closed[number]
}

func (m *model) mapping(depth int) string {
	number := m.next
	m.next++
	if m.IntN(2) == 0 {
		m.in = append(m.in, 'M')
		m.typeName()
	} else {
		m.in = AppendMapStart(m.in)
	}
	var parts []string
	for range m.IntN(5) {
		var key string
		switch m.IntN(4) {
		case 0:
			m.in = AppendString(AppendString(m.in, "class"), "com.example.Hidden")
			continue
		case 1:
			v := m.IntN(1000)
			m.in = AppendInt(m.in, int32(v))
			key = `"` + strconv.Itoa(v) + `"`
		default:
			key = m.text()
		}
		parts = append(parts, key+":"+m.value(depth-1))
	}
	m.in = AppendMapEnd(m.in)
	m.closed[number] = "{" + strings.Join(parts, ",") + "}"
	return m.closed[number]
}

func (m *model) object(depth int) string {
	if len(m.classes) == 0 || m.IntN(3) == 0 {
		m.definition()
		if m.IntN(3) == 0 {
			m.definition() // for a later one
		}
	}
	class := m.IntN(len(m.classes))
	number := m.next
	m.next++
	if class <= 0x0f && m.IntN(2) == 0 {
		m.in = append(m.in, byte(0x60+class))
	} else {
		m.in = AppendInt(append(m.in, 'O'), int32(class))
	}
	var parts []string
	for _, field := range m.classes[class] {
		value := m.value(depth - 1)
		if field != "class" {
			parts = append(parts, `"`+field+`":`+value)
		}
	}
	m.closed[number] = "{" + strings.Join(parts, ",") + "}"
	return m.closed[number]
}

func (m *model) definition() {
	fields := []string{"alpha", "beta", "class", "gamma"}[:m.IntN(5)]
	m.classes = append(m.classes, fields)
	m.in = AppendString(append(m.in, 'C'), fmt.Sprintf("com.example.Class%d", len(m.classes)))
	m.in = AppendInt(m.in, int32(len(fields)))
	for _, f := range fields {
		m.in = AppendString(m.in, f)
	}
}

func (m *model) reference(depth int) string {
	for range 4 {
		n := m.IntN(m.next + 1)
		if json, ok := m.closed[n]; ok && len(json) < 2000 {
			m.in = AppendInt(append(m.in, 0x51), int32(n))
			return json
		}
	}
	return m.mapping(depth)
}

// TestModel compares thousands of random messages with what they must become, read whole, in parts and skipped.
func TestModel(t *testing.T) {
	rounds := uint64(4000)
	if testing.Short() {
		rounds = 400
	}
	var d Decoder
	for seed := range rounds {
		m := newModel(seed)
		var want []string
		var ends []int
		for range 1 + m.IntN(3) {
			want = append(want, m.value(5))
			ends = append(ends, len(m.in))
		}
		d.Reset(m.in, Options{})
		for i := range want {
			got, err := d.AppendJSON(nil)
			if err != nil || string(got) != want[i] {
				t.Fatalf("seed %d, value %d: %v\ngot  %.500s\nwant %.500s", seed, i, err, got, want[i])
			}
			if len(m.in)-len(d.Rest()) != ends[i] {
				t.Fatalf("seed %d, value %d ends at %d, want %d", seed, i, len(m.in)-len(d.Rest()), ends[i])
			}
		}
		// What is skipped counts for later references as if it had been read.
		d.Reset(m.in, Options{})
		for i := range want {
			if i%2 == 0 {
				if err := d.Skip(); err != nil {
					t.Fatalf("seed %d, skip %d: %v", seed, i, err)
				}
				continue
			}
			if got, err := d.AppendJSON(nil); err != nil || string(got) != want[i] {
				t.Fatalf("seed %d, value %d after a skip: %v\ngot  %.500s\nwant %.500s", seed, i, err, got, want[i])
			}
		}
	}
}

// TestModelBroken changes one byte of random messages. Whatever that makes of them, reading ends, twice the same.
func TestModelBroken(t *testing.T) {
	var d, other Decoder
	for seed := range uint64(300) {
		m := newModel(seed)
		m.value(4)
		for range 20 {
			in := bytes.Clone(m.in)
			in[m.IntN(len(in))] = byte(m.Uint32())
			d.Reset(in, Options{MaxOutput: 1 << 18, CyclesAsNull: true})
			got, err := d.AppendJSON(nil)
			other.Reset(in, Options{MaxOutput: 1 << 18, CyclesAsNull: true})
			again, err2 := other.AppendJSON(nil)
			if !bytes.Equal(got, again) || (err == nil) != (err2 == nil) {
				t.Fatalf("seed %d: %s, %v and %s, %v", seed, got, err, again, err2)
			}
		}
	}
}
