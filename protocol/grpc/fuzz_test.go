package grpc

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/sluice-gateway/sluice/protocol"
)

// bareCall is a call of a method without an exchange.
func bareCall(t testing.TB, s *Schema, httpMethod, path string) *call {
	t.Helper()
	d := NewDescriptors(protos, 0, nil)
	tr, err := NewTranscoder(Route{MessageLimit: 1 << 20}, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	var a protocol.Arena
	r := newRoutes(s, nil)
	b, captures, _, ok := r.router.Match(&a, httpMethod, path, nil)
	if !ok {
		t.Fatalf("%s is no path", path)
	}
	c := tr.take()
	c.binding, c.captures, c.writer.types = b, captures, s.types
	return c
}

// FuzzJSONToMessage: what is taken is what protojson takes, comes back as the same message from our JSON, and what is
// refused is refused with a path.
func FuzzJSONToMessage(f *testing.F) {
	for _, seed := range []string{
		`{"name":"a","serial":"7","color":"RED","tags":["x"],"parts":[{"count":1}]}`, `{"stock":{"a":1},"bySerial":{"7":{}},"flags":{"true":2}}`,
		`{"made":"2026-01-02T03:04:05Z","life":"1s","extra":{"a":[null]},"anything":5,"mask":"a,b"}`, `{"count":"x"}`, `{"parts":[{"price":{"x":1}}]}`,
		`{"payload":{"@type":"type.googleapis.com/test.shop.v1.Money","units":1}}`, `[`, `{"book":"a","coin":{}}`, `{"weight":1e400}`, `{"data":"-_8="}`,
	} {
		f.Add(seed)
	}
	s := testSchema(f)
	c := bareCall(f, s, "POST", "/test.shop.v1.Shop/Echo")
	f.Fuzz(func(t *testing.T, text string) {
		raw := []byte(text)
		frame, err := c.encode(nil, raw, "body")
		want := dynamicpb.NewMessage(c.input.Descriptor())
		options := protojson.UnmarshalOptions{Resolver: s.types, RecursionLimit: maxDepth}
		wantErr := options.Unmarshal(raw, want)
		if strings.TrimSpace(text) == "" {
			wantErr = nil
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, protojson says %v", text, err, wantErr)
		}
		if err != nil {
			e := protocol.AsError(err)
			if e.Status != 400 || len(e.Details) == 0 || !strings.HasPrefix(e.Details[0].Value, "body") || len(e.Message) > 1000 {
				t.Errorf("%q: %v", text, e)
			}
			return
		}
		sent := dynamicpb.NewMessage(c.input.Descriptor())
		if err := proto.Unmarshal(frame[prefixLen:], sent); err != nil || !sameMessage(t, sent, want) {
			t.Fatalf("%q is sent as %v, %v", text, sent, err)
		}
		out, _, err := c.decode(nil, frame[prefixLen:])
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if !json.Valid(out) || strings.ContainsAny(string(out), "\n") {
			t.Fatalf("%q is written as %q", text, out)
		}
		again := dynamicpb.NewMessage(c.input.Descriptor())
		if err := options.Unmarshal(out, again); err != nil {
			t.Fatalf("%q is written as %s: %v", text, out, err)
		}
		if !sameMessage(t, again, want) {
			t.Errorf("%q is written as %s", text, out)
		}
	})
}

func sameMessage(t *testing.T, a, b proto.Message) bool {
	x, errX := proto.MarshalOptions{Deterministic: true}.Marshal(a)
	y, errY := proto.MarshalOptions{Deterministic: true}.Marshal(b)
	if errX != nil || errY != nil {
		t.Fatal(errX, errY)
	}
	return string(x) == string(y)
}

// FuzzMessageToJSON: no bytes of a server break the gateway, what is written is one line of JSON, and the quick way writes
// what the slow one does.
func FuzzMessageToJSON(f *testing.F) {
	s := testSchema(f)
	c := bareCall(f, s, "POST", "/test.shop.v1.Shop/Echo")
	for _, seed := range []string{`{"name":"a","payload":{"@type":"type.googleapis.com/test.shop.v1.Money","units":1}}`, `{"extra":{"a":[1]},"made":"2026-01-02T03:04:05Z"}`} {
		frame, err := c.encode(nil, []byte(seed), "body")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame[prefixLen:])
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		out, _, err := c.decode(nil, wire)
		if err != nil {
			return
		}
		if !json.Valid(out) || strings.ContainsAny(string(out), "\n\r") {
			t.Errorf("%q is written as %q", wire, out)
		}
		m := dynamicpb.NewMessage(c.output.Descriptor())
		if err := (proto.UnmarshalOptions{Resolver: s.types}).Unmarshal(wire, m); err != nil {
			t.Fatalf("%q is written as %s: %v", wire, out, err)
		}
		slow, err := c.writer.message(nil, m, 0)
		if err != nil {
			t.Fatalf("%q is written as %s: %v", wire, out, err)
		}
		options := protojson.UnmarshalOptions{Resolver: s.types}
		a, b := dynamicpb.NewMessage(c.output.Descriptor()), dynamicpb.NewMessage(c.output.Descriptor())
		errA, errB := options.Unmarshal(out, a), options.Unmarshal(slow, b)
		if (errA == nil) != (errB == nil) || errA == nil && !sameMessage(t, a, b) || len(out) != len(slow) && !strings.Contains(string(out), ": ") {
			t.Errorf("%q:\nquick %s\nslow  %s", wire, out, slow)
		}
	})
}

// FuzzQuery: no query breaks the gateway.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"page_size=1&tags=a&tags=b", "inner.inner.since=2026-01-02T03:04:05Z", "a=%zz&=&&", "labels.x=1", "at_least.units=1&active=true"} {
		f.Add(seed)
	}
	c := bareCall(f, testSchema(f), "GET", "/v1/shelves/1/items")
	f.Fuzz(func(t *testing.T, query string) {
		c.rawQuery = query
		_, err := c.encode(nil, nil, "body")
		if err != nil && protocol.AsError(err).Status != 400 {
			t.Errorf("%q: %v", query, err)
		}
		c.arena.Reset()
	})
}

// FuzzValues: however a stream is cut, the same values come out; and the values of well-formed lines are those lines.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{`{"a":1}{"b":"}"}`, "[1,2 , \"x\"]", "1 2\n3", `"\""`, `[[],{}]`, `{]}`, `]`, "true false", `[{}`, `[,]`, `{"a":"\\"}x`} {
		f.Add(seed, 3, true)
		f.Add(seed, 1, false)
	}
	f.Fuzz(func(t *testing.T, text string, n int, array bool) {
		read := func(n int) (out []string, err error) {
			var v values
			v.reset(1<<20, array)
			n = max(n, 1)
			for rest := text; ; {
				k := min(n, len(rest))
				v.add([]byte(rest[:k]))
				rest = rest[k:]
				for {
					value, ok, err := v.next(rest == "")
					if err != nil {
						return out, err
					}
					if !ok {
						break
					}
					out = append(out, string(value))
				}
				if rest == "" {
					return out, nil
				}
			}
		}
		a, errA := read(len(text))
		b, errB := read(n % 8)
		if strings.Join(a, "|") != strings.Join(b, "|") || (errA == nil) != (errB == nil) {
			t.Fatalf("%q, %v and %q, %v", a, errA, b, errB)
		}
		if array || errA != nil {
			return
		}
		d := json.NewDecoder(strings.NewReader(text))
		for i := 0; ; i++ {
			var want json.RawMessage
			if d.Decode(&want) != nil || want[0] != '{' && want[0] != '[' {
				return // where a number ends is a matter of taste
			}
			if i >= len(a) || strings.TrimSpace(a[i]) != string(want) {
				t.Fatalf("value %d of %q: %q, the library has %q", i, text, a, want)
			}
		}
	})
}
