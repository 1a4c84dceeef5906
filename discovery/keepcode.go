package discovery

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// The file of a registry's state:
//
//	"sluice registry state 1\n"
//	name, identity       strings
//	time                 varint, nanoseconds since 1970: when all of it was known to be true
//	0, or 1 and a list   of service names: count, names
//	services             count, then of each: name, time (0: as above), instances (count, instances)
//	definitions          count, then of each: name, JSON
//	checksum             CRC-32C of all before, 4 bytes, big endian
//
// Counts and lengths are uvarints. A string is 0, length, bytes: one that is not remembered; or 1, length, bytes: one that
// is; or n+2: the nth that was remembered. So repeated metadata cost a byte or two, and share their memory when read.
const (
	keptMagic   = "sluice registry state "
	keptVersion = "1\n"
	// maxRemembered bounds the table of strings, of the writer's memory and the reader's.
	maxRemembered = 1 << 14
)

func keptSum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// keeping is what is to be written, by reference.
type keeping struct {
	name, identity string
	at             time.Time
	list           *registry.ServiceSet
	services       []*Endpoints
	definitions    []keptDefinition
}

func (k *keeping) empty() bool {
	return k.list == nil && len(k.services) == 0 && len(k.definitions) == 0
}

type keptDefinition struct {
	service registry.ServiceName
	json    []byte
}

// kept is what was read.
type kept struct {
	name, identity string
	at             time.Time
	list           *registry.ServiceSet
	services       map[registry.ServiceName]keptService
	definitions    map[registry.ServiceName][]byte
}

type keptService struct {
	at        time.Time
	instances []registry.Instance
}

// encodeKept streams state to w.
func encodeKept(w io.Writer, state *keeping) error {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	e := &keptEncoder{w: bufio.NewWriterSize(io.MultiWriter(w, sum), 64<<10), table: map[string]uint64{}}
	e.raw(keptMagic + keptVersion)
	e.plain(state.name)
	e.plain(state.identity)
	e.varint(state.at.UnixNano())
	if state.list == nil {
		e.uvarint(0)
	} else {
		e.uvarint(1)
		e.uvarint(uint64(len(state.list.Services)))
		for _, name := range state.list.Services {
			e.service(name)
		}
	}
	e.uvarint(uint64(len(state.services)))
	for _, s := range state.services {
		e.endpoints(s)
	}
	e.uvarint(uint64(len(state.definitions)))
	for _, d := range state.definitions {
		e.service(d.service)
		e.uvarint(0)
		e.uvarint(uint64(len(d.json)))
		e.raw(string(d.json))
	}
	if err := e.w.Flush(); err != nil {
		return err
	}
	_, err := w.Write(binary.BigEndian.AppendUint32(nil, sum.Sum32()))
	return err
}

// keptEncoder writes the parts; the bufio.Writer remembers the first error.
type keptEncoder struct {
	w       *bufio.Writer
	table   map[string]uint64
	scratch [binary.MaxVarintLen64]byte
}

func (e *keptEncoder) raw(s string) { _, _ = e.w.WriteString(s) }

func (e *keptEncoder) uvarint(v uint64) {
	_, _ = e.w.Write(e.scratch[:binary.PutUvarint(e.scratch[:], v)])
}

func (e *keptEncoder) varint(v int64) {
	_, _ = e.w.Write(e.scratch[:binary.PutVarint(e.scratch[:], v)])
}

// plain writes a string that does not come again.
func (e *keptEncoder) plain(s string) {
	e.uvarint(0)
	e.uvarint(uint64(len(s)))
	e.raw(s)
}

func (e *keptEncoder) str(s string) {
	if n, known := e.table[s]; known {
		e.uvarint(n + 2)
		return
	}
	if len(e.table) >= maxRemembered {
		e.plain(s)
		return
	}
	e.table[s] = uint64(len(e.table))
	e.uvarint(1)
	e.uvarint(uint64(len(s)))
	e.raw(s)
}

func (e *keptEncoder) service(n registry.ServiceName) {
	e.uvarint(uint64(n.Kind))
	e.plain(n.Name)
	e.str(n.Group)
	e.str(n.Version)
}

// endpoints writes what the registry has told: all but what is only held.
func (e *keptEncoder) endpoints(s *Endpoints) {
	e.service(s.Key.Service)
	if s.Stale {
		e.varint(s.At.UnixNano())
	} else {
		e.varint(0)
	}
	e.uvarint(uint64(len(s.Usable) - s.Held + len(s.Excluded)))
	for i := range s.Usable {
		if s.Usable[i].Held == nil {
			e.instance(&s.Usable[i].Instance)
		}
	}
	for i := range s.Excluded {
		e.instance(&s.Excluded[i].Instance)
	}
}

const (
	flagDisabled = 1 << iota
	flagUnhealthy
	flagOrdinaryWeight // 1, and not written
	flagNames          // zone, group, version and path are written
	keptFlags          = 1<<iota - 1
)

func (e *keptEncoder) instance(i *registry.Instance) {
	flags := uint64(0)
	if i.Disabled {
		flags |= flagDisabled
	}
	if i.Unhealthy {
		flags |= flagUnhealthy
	}
	if i.Weight == 1 {
		flags |= flagOrdinaryWeight
	}
	if i.Zone != "" || i.Group != "" || i.Version != "" || i.Path != "" {
		flags |= flagNames
	}
	e.uvarint(flags)
	e.plain(i.Host)
	e.uvarint(uint64(i.Port))
	e.str(i.Protocol)
	if flags&flagOrdinaryWeight == 0 {
		_, _ = e.w.Write(binary.BigEndian.AppendUint64(e.scratch[:0], math.Float64bits(i.Weight)))
	}
	if flags&flagNames != 0 {
		e.str(i.Zone)
		e.str(i.Group)
		e.str(i.Version)
		e.str(i.Path)
	}
	e.uvarint(uint64(len(i.Metadata)))
	for k, v := range i.Metadata {
		e.str(k)
		e.str(v)
	}
}

// decodeKept reads a file. Whatever it holds costs no more than an error.
func decodeKept(data []byte) (*kept, error) {
	rest, ours := bytes.CutPrefix(data, []byte(keptMagic))
	if !ours {
		return nil, errors.New("it is not the state of a registry")
	}
	body, supported := bytes.CutPrefix(rest, []byte(keptVersion))
	if !supported {
		version, _, _ := bytes.Cut(rest[:min(len(rest), 20)], []byte("\n"))
		return nil, fmt.Errorf("it is of version %q, which this program cannot read", version)
	}
	if len(body) < 4 {
		return nil, errors.New("it is cut off")
	}
	end := len(data) - 4
	if got, want := keptSum(data[:end]), binary.BigEndian.Uint32(data[end:]); got != want {
		return nil, errors.New("it is damaged: the checksum is wrong")
	}
	return decodeKeptBody(body[:len(body)-4])
}

func decodeKeptBody(body []byte) (*kept, error) {
	d := &keptDecoder{rest: body}
	out := &kept{name: d.str(), identity: d.str(), at: d.time()}
	out.services, out.definitions = map[registry.ServiceName]keptService{}, map[registry.ServiceName][]byte{}
	if d.uvarint() != 0 {
		out.list = &registry.ServiceSet{}
		for n := d.count(); n > 0 && d.err == nil; n-- {
			out.list.Services = append(out.list.Services, d.service())
		}
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		name, s := d.service(), keptService{at: out.at}
		if nanos := d.varint(); nanos != 0 {
			s.at = time.Unix(0, nanos)
		}
		var valid registry.Snapshot // drops what cannot be dialled
		for n := d.count(); n > 0 && d.err == nil; n-- {
			valid.Add("", d.instance())
		}
		s.instances = valid.Instances
		out.services[name] = s
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		name := d.service()
		out.definitions[name] = []byte(d.str())
	}
	if d.err == nil && len(d.rest) > 0 {
		d.fail("bytes are left over")
	}
	if d.err != nil {
		return nil, d.err
	}
	return out, nil
}

// keptDecoder reads the parts. After the first error it yields zeros.
type keptDecoder struct {
	rest  []byte
	table []string
	err   error
}

func (d *keptDecoder) fail(why string) {
	if d.err == nil {
		d.err = errors.New("it makes no sense: " + why)
	}
	d.rest = nil
}

func (d *keptDecoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail("a number is cut off")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *keptDecoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail("a number is cut off")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *keptDecoder) time() time.Time { return time.Unix(0, d.varint()) }

// count reads a number of things that take a byte each at the least.
func (d *keptDecoder) count() uint64 {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.fail("a count is larger than the file")
		return 0
	}
	return n
}

func (d *keptDecoder) str() string {
	code := d.uvarint()
	if code >= 2 {
		if code-2 >= uint64(len(d.table)) {
			d.fail("a string is referred to that is not there")
			return ""
		}
		return d.table[code-2]
	}
	n := d.count()
	if d.err != nil {
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	if code == 1 {
		if len(d.table) >= maxRemembered {
			d.fail("too many strings are to be remembered")
			return ""
		}
		d.table = append(d.table, s)
	}
	return s
}

func (d *keptDecoder) service() registry.ServiceName {
	kind := d.uvarint()
	if kind > uint64(registry.Dubbo) {
		d.fail("a kind of service is unknown")
	}
	return registry.ServiceName{Kind: registry.Kind(kind), Name: d.str(), Group: d.str(), Version: d.str()}
}

func (d *keptDecoder) instance() registry.Instance {
	flags := d.uvarint()
	if flags > keptFlags {
		d.fail("a flag is unknown")
	}
	i := registry.Instance{Disabled: flags&flagDisabled != 0, Unhealthy: flags&flagUnhealthy != 0, Weight: 1}
	i.Host = d.str()
	i.Port = int(min(d.uvarint(), 1<<16))
	i.Protocol = d.str()
	if flags&flagOrdinaryWeight == 0 {
		if len(d.rest) < 8 {
			d.fail("a weight is cut off")
			return i
		}
		i.Weight = math.Float64frombits(binary.BigEndian.Uint64(d.rest))
		d.rest = d.rest[8:]
	}
	if flags&flagNames != 0 {
		i.Zone, i.Group, i.Version, i.Path = d.str(), d.str(), d.str(), d.str()
	}
	if n := d.count(); n > 0 {
		i.Metadata = make(map[string]string, min(n, 64))
		for ; n > 0 && d.err == nil; n-- {
			k := d.str()
			i.Metadata[k] = d.str()
		}
	}
	return i
}
