package hpack

import (
	"errors"
	"hash/maphash"

	"github.com/sluice-gateway/sluice/protocol"
)

// DefaultTableSize is the size of a dynamic table until SETTINGS_HEADER_TABLE_SIZE says otherwise.
const DefaultTableSize = 4096

// The ways in which a block can be wrong. Each is a connection error COMPRESSION_ERROR (RFC 9113 section 4.3), because
// the two tables are no longer known to be the same.
var (
	errIndex      = errors.New("an index points behind the tables")
	errInteger    = errors.New("an integer is too large")
	errTruncated  = errors.New("the block ends within a field")
	errSizeUpdate = errors.New("a table size update is over the limit")
	errLateUpdate = errors.New("a table size update does not stand at the start of the block")
)

// Sink takes decoded fields in their order. The Field is valid during the call; its strings live as long as the arena
// that was given to Decode.
type Sink interface {
	Field(f *Field)
}

// Decoder decodes the header blocks of one connection in their order. It is not safe for concurrent use.
type Decoder struct {
	table   table
	maximum int // what a size update may ask for
	field   Field
	scratch []byte
	intern  *[internSlots]string // nil until needed
	seed    maphash.Seed
}

// internSlots short strings are remembered, so that a peer whose fields come and go in its table costs no memory each time.
const (
	internSlots  = 64
	internLength = 64
)

// NewDecoder returns a Decoder whose table holds up to maximum, which the peer must have been told before.
func NewDecoder(maximum int) *Decoder {
	d := &Decoder{maximum: maximum, seed: maphash.MakeSeed()}
	d.table.limit = maximum
	return d
}

// Trim gives up memory that an idle connection does not need. The table stays.
func (d *Decoder) Trim() { d.intern, d.scratch = nil, nil }

// Decode decodes one whole block. Strings of literals that are not indexed are put into the arena. An error means that
// nothing that follows on the connection can be decoded.
//
// What a block can cost is bounded by its length: an indexed field costs no memory of its own, a Huffman-coded octet
// becomes at most two.
func (d *Decoder) Decode(block []byte, a *protocol.Arena, to Sink) error {
	fields := false
	for len(block) > 0 {
		c := block[0]
		var err error
		switch {
		case c&0x80 != 0: // indexed, section 6.1
			var i uint64
			if i, block, err = readInteger(block, 7); err != nil {
				return err
			}
			f := d.lookup(i)
			if f == nil {
				return errIndex
			}
			fields = true
			to.Field(f)
		case c&0xe0 == 0x20: // table size update, section 6.3
			var n uint64
			if n, block, err = readInteger(block, 5); err != nil {
				return err
			}
			switch {
			case fields:
				return errLateUpdate
			case n > uint64(d.maximum):
				return errSizeUpdate
			}
			d.table.setLimit(int(n))
		default:
			if block, err = d.literal(block, a); err != nil {
				return err
			}
			fields = true
			to.Field(&d.field)
		}
	}
	return nil
}

// lookup finds an indexed field, nil if there is none.
func (d *Decoder) lookup(i uint64) *Field {
	switch {
	case i == 0:
		return nil
	case i <= staticLast:
		return &staticTable[i]
	case i-staticLast > uint64(d.table.len()):
		return nil
	}
	return d.table.at(d.table.next - uint32(i-staticLast))
}

// literal decodes a literal into d.field (section 6.2).
func (d *Decoder) literal(block []byte, a *protocol.Arena) ([]byte, error) {
	c := block[0]
	index, bits := c&0xc0 == 0x40, uint(4)
	if index {
		bits = 6
	}
	f := &d.field
	*f = Field{Sensitive: c&0xf0 == 0x10}
	i, block, err := readInteger(block, bits)
	if err != nil {
		return nil, err
	}
	var raw []byte
	if i > 0 {
		named := d.lookup(i)
		if named == nil {
			return nil, errIndex
		}
		f.Name, f.ID, f.Pseudo = named.Name, named.ID, named.Pseudo
		if named.Fault == FaultName {
			f.Fault = FaultName
		}
	} else {
		if raw, block, err = d.text(block); err != nil {
			return nil, err
		}
		d.name(raw, index, a)
	}
	if raw, block, err = d.text(block); err != nil {
		return nil, err
	}
	f.Value = d.keep(raw, index, a)
	f.judgeValue()
	if index {
		d.table.add(f)
	}
	return block, nil
}

// name sets the field's name. That of a known one costs no copy.
func (d *Decoder) name(raw []byte, index bool, a *protocol.Arena) {
	f := &d.field
	f.Name = view(raw)
	f.judgeName()
	if f.ID != protocol.NameOther && f.Fault == FaultNone {
		f.Name = f.ID.String()
		return
	}
	f.Name = d.keep(raw, index, a)
}

// keep makes a string of raw: one that the table may hold for longer than the exchange, or one of the arena.
func (d *Decoder) keep(raw []byte, index bool, a *protocol.Arena) string {
	switch {
	case len(raw) == 0:
		return ""
	case !index:
		return a.String(raw)
	case len(raw) > internLength:
		return string(raw)
	}
	if d.intern == nil {
		d.intern = new([internSlots]string)
	}
	slot := &d.intern[maphash.Bytes(d.seed, raw)%internSlots]
	if *slot != string(raw) {
		*slot = string(raw)
	}
	return *slot
}

// text reads a string (section 5.2). The result is valid until the next call.
func (d *Decoder) text(block []byte) (raw, rest []byte, err error) {
	if len(block) == 0 {
		return nil, nil, errTruncated
	}
	coded := block[0]&0x80 != 0
	n, block, err := readInteger(block, 7)
	if err != nil {
		return nil, nil, err
	}
	if n > uint64(len(block)) {
		return nil, nil, errTruncated
	}
	raw, rest = block[:n], block[n:]
	if !coded {
		return raw, rest, nil
	}
	d.scratch, err = appendHuffman(d.scratch[:0], raw)
	raw = d.scratch
	if cap(d.scratch) > keptScratch {
		d.scratch = nil
	}
	return raw, rest, err
}

// keptScratch bounds what a connection keeps of the memory for a long Huffman-coded string.
const keptScratch = 4 << 10

// maxIntegerOctets bounds an integer behind its prefix: four octets are 28 bits, more than any string or table may have.
const maxIntegerOctets = 4

// readInteger reads an integer whose first octet holds so many bits of it (section 5.1).
func readInteger(b []byte, bits uint) (n uint64, rest []byte, err error) {
	mask := uint64(1)<<bits - 1
	n = uint64(b[0]) & mask
	if n < mask {
		return n, b[1:], nil
	}
	for i, shift := 1, uint(0); i < len(b); i, shift = i+1, shift+7 {
		if i > maxIntegerOctets {
			return 0, nil, errInteger
		}
		n += uint64(b[i]&0x7f) << shift
		if b[i]&0x80 == 0 {
			return n, b[i+1:], nil
		}
	}
	return 0, nil, errTruncated
}
