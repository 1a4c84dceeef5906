package config

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-gateway/sluice/strictyaml"
)

// spine reads the example document and its tree.
func spine(t *testing.T) (string, *strictyaml.Node) {
	t.Helper()
	data, err := os.ReadFile("testdata/spine.yaml")
	if err != nil {
		t.Fatal(err)
	}
	root, problems := strictyaml.Read("f", data, nil)
	if problems != nil {
		t.Fatal(problems)
	}
	return string(data), root
}

// inService says that a place is in the example's list of instances, where a service's name is any, and what an instance is
// is the type's own affair.
func inService(p Position) bool { return p.Line == 7 && p.Column > 47 }

// everyKey calls f for each key of a tree.
func everyKey(n *strictyaml.Node, f func(strictyaml.Field)) {
	for _, item := range n.Items {
		everyKey(item, f)
	}
	for _, field := range n.Fields {
		f(field)
		everyKey(field.Value, f)
	}
}

// TestEveryKeyMisspelt: whichever key of the example is misspelt, the first message is at it, and offers the right one.
// Nothing else is said than that, and that something is missing.
func TestEveryKeyMisspelt(t *testing.T) {
	text, root := spine(t)
	lines := strings.Split(text, "\n")
	keys := 0
	everyKey(root, func(f strictyaml.Field) {
		if inService(f.KeyPos) {
			return
		}
		keys++
		wrong := f.Key[:1] + "x" + f.Key[1:]
		changed := slices.Clone(lines)
		line := changed[f.KeyPos.Line-1]
		changed[f.KeyPos.Line-1] = line[:f.KeyPos.Column-1] + wrong + line[f.KeyPos.Column-1+len(f.Key):]
		_, problems := Parse("f", []byte(strings.Join(changed, "\n")), testKinds())
		found := false
		for _, p := range problems {
			if p.Pos.Line == f.KeyPos.Line && p.Pos.Column == f.KeyPos.Column && strings.Contains(p.Message, wrong) {
				found = true
				if !strings.Contains(p.Message, f.Key) {
					t.Errorf("%s: %s", wrong, p.Message)
				}
			} else if !strings.Contains(p.Message, "is missing") && !strings.Contains(p.Message, "needs ") && !strings.Contains(p.Message, "unknown registry") && !strings.Contains(p.Message, "unknown capture") {
				t.Errorf("%s: also says %v", wrong, p)
			}
		}
		if !found {
			t.Errorf("%s at %v: %v", wrong, f.KeyPos, problems)
		}
	})
	if keys < 40 {
		t.Errorf("only %d keys were tried", keys)
	}
}

// TestEveryValueOfTheWrongShape: a list in the place of any value of the example is either read (where a list may stand) or
// refused at this value, and never loses the rest of the document without a word.
func TestEveryValueOfTheWrongShape(t *testing.T) {
	text, root := spine(t)
	lines := strings.Split(text, "\n")
	everyKey(root, func(f strictyaml.Field) {
		v := f.Value
		if v.Kind != strictyaml.Scalar || inService(v.Pos) {
			return
		}
		changed := slices.Clone(lines)
		line := changed[v.Pos.Line-1]
		quote := 0
		if line[v.Pos.Column-1] == '"' {
			quote = 2
		}
		changed[v.Pos.Line-1] = line[:v.Pos.Column-1] + "[[7]]" + line[v.Pos.Column-1+len(v.Text)+quote:]
		doc, problems := Parse("f", []byte(strings.Join(changed, "\n")), testKinds())
		at := slices.ContainsFunc(problems, func(p Problem) bool { return p.Pos.Line == v.Pos.Line && p.Pos.Column >= f.KeyPos.Column })
		if !at || doc != nil && len(doc.Refused) != 1 {
			t.Errorf("%s in line %d: %v", f.Key, v.Pos.Line, problems)
		}
	})
}

// TestRefusedRoutesLeaveTheOthersAlone mixes good and bad routes at random: the good ones stay, in their order, and each
// bad one is named once.
func TestRefusedRoutesLeaveTheOthersAlone(t *testing.T) {
	bad := []string{
		"{name: %s, match: {path: x}, to: {service: s}}",
		"{name: %s, match: {path: /x}, to: {service: s, timout: 1s}}",
		"{name: %s, match: {path: /x}}",
		"{name: %s, match: {path: /x}, filters: [nothing], to: {service: s}}",
		"{name: %s, match: {path: /x, hosts: [7:7]}, to: {service: '{s}'}, flowControl: {}}",
		"{name: %s, match: 7, to: 8}",
	}
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		var text strings.Builder
		var good, refused []string
		for i := range 1 + r.IntN(12) {
			name := fmt.Sprintf("r%d", i)
			if r.IntN(3) == 0 {
				refused = append(refused, name)
				fmt.Fprintf(&text, "  - "+bad[r.IntN(len(bad))]+"\n", name)
				continue
			}
			good = append(good, name)
			fmt.Fprintf(&text, "  - {name: %s, match: {path: /x}, to: {service: s}}\n", name)
		}
		doc, problems := Parse("f.yaml", []byte(frame(text.String())), testKinds())
		if doc == nil || (len(problems) > 0) != (len(refused) > 0) {
			t.Fatalf("%s%v", text.String(), problems)
		}
		var gotGood, gotRefused []string
		for _, route := range doc.Routes {
			gotGood = append(gotGood, route.Name)
		}
		for _, route := range doc.Refused {
			gotRefused = append(gotRefused, route.Name)
		}
		if !slices.Equal(good, gotGood) || !slices.Equal(refused, gotRefused) {
			t.Fatalf("%skept %v, refused %v", text.String(), gotGood, gotRefused)
		}
	}
}

// TestPluginsAreNotShared: two uses of one kind get a value each, also through an alias, and also between documents that
// are read at the same time.
func TestPluginsAreNotShared(t *testing.T) {
	text := frame(`
  - {name: a, match: {path: /a}, filters: &f [cors, {stripPrefix: {parts: 2}}, cors], to: {service: s}}
  - {name: b, match: {path: /b}, filters: *f, to: {service: s}}
`)
	var mu sync.Mutex
	seen := map[any]int{}
	var wg sync.WaitGroup
	const documents = 4
	for range documents {
		wg.Go(func() {
			doc, problems := Parse("f", []byte(text), testKinds())
			if problems != nil {
				t.Error(problems)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, route := range doc.Routes {
				for _, f := range route.Filters {
					seen[f.Config]++
				}
				if route.Filters[1].Config.(*stripPrefix).Parts != 2 {
					t.Error(route.Filters[1].Config)
				}
			}
		})
	}
	wg.Wait()
	if len(seen) != documents*6 {
		t.Errorf("%d values for %d filters", len(seen), documents*6)
	}
}

// TestDefaultsAreGood: what is not written must itself pass the checks, and saying a default changes nothing.
func TestDefaultsAreGood(t *testing.T) {
	short := parse(t, good+"services: [{match: {service: s}}]\nroutes: [{name: a, match: {path: /}, to: {service: s, registry: zk}}]")
	long := parse(t, `
listeners:
- {name: web, address: ":8080", trustedProxies: [], limits: {headerBytes: 64KB, headerCount: 128, uriBytes: 16KB, bodyBytes: 0, connections: 0},
   timeouts: {header: 10s, body: 30s, idle: 2m, write: 30s}}
registries: [{name: nacos, type: nacos, namespace: public}, {name: zk, type: zookeeper}]
admin: {address: "127.0.0.1:9900"}
accessLog: {path: stdout}
startup: {timeout: 30s}
shutdown: {grace: 30s, delay: 0s}
services:
- {match: {service: s}, balance: {policy: peakEWMA}, connections: {max: 0, pending: 1024, idle: 90s, age: 0s},
   timeouts: {connect: 3s, idle: 5m}, preserveHost: true}
routes: [{name: a, match: {path: /, hosts: [], methods: []}, filters: [], to: {service: s, registry: zk, timeout: 60s, retries: {attempts: 1}}}]
`)
	for i := range short.Listeners {
		short.Listeners[i].TrustedProxies = long.Listeners[i].TrustedProxies // nil and none are the same
	}
	if !reflect.DeepEqual(short.Listeners, long.Listeners) || !reflect.DeepEqual(short.Services, long.Services) ||
		short.Admin != long.Admin || short.AccessLog != long.AccessLog || short.Startup != long.Startup || short.Shutdown != long.Shutdown ||
		!reflect.DeepEqual(short.Routes[0].To, long.Routes[0].To) {
		t.Errorf("%+v\n%+v", short, long)
	}
}

// TestSizesRoundTrip: a size is written so that it is read as the same, also where a float would round.
func TestSizesRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sizes := []Size{0, 1, 1023, 1024, 1025, 1<<53 + 1, math.MaxInt64}
	for range 2000 {
		sizes = append(sizes, Size(r.Int64()>>r.IntN(63)), Size(r.Int64N(1<<20))<<(10*r.IntN(4)))
	}
	for _, size := range sizes {
		if got, ok := parseSize(size.String()); !ok || got != size {
			t.Fatalf("%d is written %s, which is read as %d (%v)", size, size, got, ok)
		}
	}
	for _, text := range []string{"9223372036854775808", "8589934592GB", "9007199254740992KB"} {
		if got, ok := parseSize(text); ok {
			t.Errorf("%s is too large, but read as %d", text, got)
		}
	}
}

// TestCapturesOfBuiltPatterns knows the names beforehand.
func TestCapturesOfBuiltPatterns(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	for range 500 {
		var pattern strings.Builder
		var want []string
		for range r.IntN(5) {
			name := fmt.Sprintf("n%d", r.IntN(100))
			switch r.IntN(5) {
			case 0:
				pattern.WriteString("/fixed")
				continue
			case 1:
				pattern.WriteString("/*")
				continue
			case 2:
				pattern.WriteString("/{" + name + ":[a-z]{1,3}|x{2}}")
			case 3:
				pattern.WriteString("/{" + name + `:\{.*\}}`)
			default:
				pattern.WriteString("/v-{" + name + "}.json")
			}
			want = append(want, name)
		}
		if got := captures(pattern.String()); !slices.Equal(got, want) {
			t.Fatalf("%s: %v, want %v", pattern.String(), got, want)
		}
	}
}
