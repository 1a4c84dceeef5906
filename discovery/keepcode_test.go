package discovery

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluice-gateway/sluice/registry"
)

// someState is a state with one of everything.
func someState() *keeping {
	odd := registry.Instance{
		Host: "::1", Port: 65535, Protocol: "tri", Weight: 0.25, Disabled: true, Unhealthy: true, Zone: "z", Group: "g",
		Version: "1.0", Path: "p", Metadata: map[string]string{"k": "v", "": "", "long": strings.Repeat("x", 300)},
	}
	held := at("10.0.0.9", 80)
	snapshot := registry.Snapshot{Instances: []registry.Instance{at("10.0.0.1", 80), odd, held}}
	e := fromSnapshot(key("a", "orders"), snapshot, testTime, nil)
	e.Usable[1].Held, e.Held = &Hold{}, 1
	old := fromSnapshot(Key{"a", registry.DubboService("com.acme.Users", "*", "")}, registry.Snapshot{}, testTime.Add(-time.Hour), nil)
	old.Stale = true
	return &keeping{
		name: "a", identity: "scripted", at: testTime,
		list:        &registry.ServiceSet{Services: []registry.ServiceName{registry.App("orders"), {Name: "users", Group: "g"}}},
		services:    []*Endpoints{e, old},
		definitions: []keptDefinition{{registry.DubboService("com.acme.Users", "", ""), []byte(`{"methods":[]}`)}},
	}
}

func encoded(t testing.TB, s *keeping) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encodeKept(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestKeptComesBack(t *testing.T) {
	s := someState()
	got, err := decodeKept(encoded(t, s))
	if err != nil {
		t.Fatal(err)
	}
	want := &kept{
		name: "a", identity: "scripted", at: testTime, list: s.list,
		services: map[registry.ServiceName]keptService{
			registry.App("orders"):                           {testTime, []registry.Instance{s.services[0].Usable[0].Instance, s.services[0].Excluded[0].Instance}}, // not who is held
			registry.DubboService("com.acme.Users", "*", ""): {at: testTime.Add(-time.Hour)},
		},
		definitions: map[registry.ServiceName][]byte{registry.DubboService("com.acme.Users", "", ""): []byte(`{"methods":[]}`)},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(kept{}, keptService{}), cmpopts.EquateApproxTime(0)); diff != "" {
		t.Error(diff)
	}
	empty, err := decodeKept(encoded(t, &keeping{name: "x", at: testTime}))
	if err != nil || empty.name != "x" || empty.list != nil || len(empty.services) != 0 {
		t.Errorf("%+v, %v", empty, err)
	}
}

func TestKeptDamaged(t *testing.T) {
	good := encoded(t, someState())
	small := encoded(t, &keeping{name: "a", identity: "i", at: testTime, services: someState().services[1:]})
	for cut := range len(small) {
		if _, err := decodeKept(small[:cut]); err == nil {
			t.Errorf("cut off at %d: no error", cut)
		}
	}
	for n := range small {
		for bit := range 8 {
			bad := bytes.Clone(small)
			bad[n] ^= 1 << bit
			if _, err := decodeKept(bad); err == nil {
				t.Errorf("bit %d of byte %d turned: no error", bit, n)
			}
		}
	}
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"empty":    {nil, "it is not the state of a registry"},
		"foreign":  {[]byte("<html>"), "it is not the state of a registry"},
		"future":   {append([]byte(keptMagic+"2\n"), good[len(keptMagic)+2:]...), `it is of version "2", which this program cannot read`},
		"no body":  {[]byte(keptMagic + keptVersion), "it is cut off"},
		"zeros":    {append(bytes.Clone(good[:len(good)/2]), make([]byte, len(good)-len(good)/2)...), "it is damaged: the checksum is wrong"},
		"two":      {append(bytes.Clone(good), good...), "it is damaged: the checksum is wrong"},
		"appended": {signed(append(bytes.Clone(good[len(keptMagic+keptVersion):len(good)-4]), 0)), "it makes no sense: bytes are left over"},
	} {
		if _, err := decodeKept(test.data); err == nil || err.Error() != test.want {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}

// signed makes a file of a body.
func signed(body []byte) []byte {
	data := append([]byte(keptMagic+keptVersion), body...)
	return binary.BigEndian.AppendUint32(data, keptSum(data))
}

// What makes no sense but has a right checksum was written by somebody else's program, or by a foe.
func TestKeptHostile(t *testing.T) {
	str := func(s string) []byte { return append([]byte{0, byte(len(s))}, s...) }
	head := append(append(str("a"), str("i")...), 2)
	huge := binary.AppendUvarint(nil, math.MaxUint64)
	for name, body := range map[string][]byte{
		"a number that never ends":      append(bytes.Clone(head), 0xff, 0xff),
		"too many names":                append(append(bytes.Clone(head), 1), huge...),
		"too many services":             append(append(bytes.Clone(head), 0), huge...),
		"a string longer than the file": append([]byte{0}, huge...),
		"a string that is not there":    {7},
		"an unknown kind":               append(append(bytes.Clone(head), 0, 1), 9),
		"an unknown flag":               append(append(append(append(bytes.Clone(head), 0, 1, 0), str("s")...), 0, 0, 0, 0, 0, 1), 0x40),
		"no weight":                     append(append(append(append(append(bytes.Clone(head), 0, 1, 0), str("s")...), 0, 0, 0, 0, 0, 1, 0), str("h")...), 80, 0, 0),
	} {
		if k, err := decodeKept(signed(body)); err == nil {
			t.Errorf("%s: %+v", name, k)
		}
	}
	// Instances that cannot be dialled are dropped, as if a registry had told them.
	s := someState()
	s.services[0].Usable[0].Host = "bad host"
	k, err := decodeKept(encoded(t, s))
	if err != nil || len(k.services[registry.App("orders")].instances) != 1 {
		t.Errorf("%+v, %v", k, err)
	}
}

func FuzzDecodeKept(f *testing.F) {
	good := encoded(f, someState())
	f.Add(good[len(keptMagic+keptVersion) : len(good)-4])
	f.Add(encoded(f, &keeping{})[len(keptMagic+keptVersion):])
	f.Add([]byte{0, 1, 'a', 0, 0, 2, 1, 1, 0, 0, 1, 's', 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := decodeKept(body); err == nil && !bytes.HasPrefix(body, []byte(keptMagic)) {
			t.Error("a file without a head was read")
		}
		k, err := decodeKept(signed(body))
		if err != nil {
			return
		}
		// What can be read can be written, and reads the same.
		again := &keeping{name: k.name, identity: k.identity, at: k.at, list: k.list}
		for name, s := range k.services {
			for i := range s.instances {
				if err := s.instances[i].Validate(); err != nil {
					t.Fatal(err)
				}
			}
			e := fromSnapshot(Key{"a", name}, registry.Snapshot{Instances: s.instances}, s.at, nil)
			e.Stale = true
			again.services = append(again.services, e)
		}
		for name, json := range k.definitions {
			again.definitions = append(again.definitions, keptDefinition{name, json})
		}
		back, err := decodeKept(encoded(t, again))
		if err != nil || len(back.services) != len(k.services) || len(back.definitions) != len(k.definitions) {
			t.Fatalf("%v", err)
		}
		for name, s := range k.services {
			if len(back.services[name].instances) != len(s.instances) {
				t.Fatal("instances were lost")
			}
		}
	})
}

// crowd is 50,000 instances of 5,000 services with what Spring Cloud and Dubbo put into metadata.
func crowd() *keeping {
	r := rand.New(rand.NewPCG(1, 2))
	s := &keeping{name: "a", identity: "scripted", at: testTime, list: &registry.ServiceSet{}}
	for n := range 5000 {
		name := registry.App(fmt.Sprintf("team-%d-service-%d", n%40, n))
		s.list.Services = append(s.list.Services, name)
		s.services = append(s.services, fromSnapshot(Key{"a", name}, crowdSnapshot(r, n), testTime, nil))
	}
	return s
}

func crowdSnapshot(r *rand.Rand, n int) registry.Snapshot {
	var snapshot registry.Snapshot
	for i := range 10 {
		in := at(fmt.Sprintf("10.%d.%d.%d", n/250, n%250, i+1), 8080)
		in.Zone = fmt.Sprint("zone-", i%3)
		in.Metadata = map[string]string{
			"preserved.register.source": "SPRING_CLOUD", "version": "2.1.7", "side": "provider",
			"timestamp": fmt.Sprint(1700000000000 + r.Int64N(1e10)), "management.port": "8081",
		}
		snapshot.Instances = append(snapshot.Instances, in)
	}
	return snapshot
}

func BenchmarkKept(b *testing.B) {
	state := crowd()
	data := encoded(b, state)
	b.Run("write", func(b *testing.B) {
		file := b.TempDir() + "/a.state"
		b.ReportAllocs()
		for b.Loop() {
			if _, err := writeKept(file, state); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(data))/50_000, "B/instance")
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodeKept(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
