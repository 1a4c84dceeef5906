package hessian

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	oracle "github.com/apache/dubbo-go-hessian2"
)

// randomText has characters of every length that UTF-8 knows, and sizes on both sides of each form that a string has.
func randomText(r *rand.Rand) string {
	letters := []rune("az\"\\\n\x00\x7fé߿ࠀ日\uffef😀\U0010ffff")
	sizes := []int{0, 1, 31, 32, 255, 1023, 1024, 3000, 0x8000, 0x8001, 70_000}
	n := r.IntN(20)
	if r.IntN(20) == 0 {
		n = sizes[r.IntN(len(sizes))]
	}
	var b strings.Builder
	for range n {
		b.WriteRune(letters[r.IntN(len(letters))])
	}
	return b.String()
}

// randomValue is a value as dubbo-go-hessian2 writes and reads it, and what encoding/json would make of it.
func randomValue(r *rand.Rand, depth int) (value, plain any) {
	if depth > 0 && r.IntN(3) == 0 {
		n := r.IntN(12)
		if r.IntN(2) == 0 {
			list, plainList := make([]any, n), make([]any, n)
			for i := range list {
				list[i], plainList[i] = randomValue(r, depth-1)
			}
			return list, plainList
		}
		mapping, plainMapping := map[any]any{}, map[string]any{}
		for i := range n {
			key := fmt.Sprintf("k%d%s", i, []string{"", "é", "😀", "\""}[r.IntN(4)])
			mapping[key], plainMapping[key] = randomValue(r, depth-1)
		}
		return mapping, plainMapping
	}
	switch r.IntN(8) {
	case 0:
		return nil, nil
	case 1:
		v := r.IntN(2) == 0
		return v, v
	case 2:
		v := int32(r.Uint32()) >> r.IntN(32)
		return v, json.Number(fmt.Sprint(v))
	case 3:
		v := int64(r.Uint64()) >> r.IntN(64)
		return v, json.Number(fmt.Sprint(v))
	case 4:
		v := []float64{0, 1, -129, 32768, 0.001, 12.25, math.MaxFloat64, math.SmallestNonzeroFloat64, r.NormFloat64(), float64(float32(r.NormFloat64()))}[r.IntN(10)]
		return v, v
	case 5:
		v := make([]byte, []int{0, 1, 15, 16, 1023, 1024, 0x8000, 100_000}[r.IntN(8)]>>(2*r.IntN(3)))
		for i := range v {
			v[i] = byte(r.Uint32())
		}
		return v, base64.StdEncoding.EncodeToString(v)
	case 6:
		at := time.UnixMilli(r.Int64N(1 << 42)).UTC()
		if at.Nanosecond() == 0 {
			return at, at.Format(time.RFC3339)
		}
		return at, at.Format("2006-01-02T15:04:05.000Z07:00")
	}
	text := randomText(r)
	return text, text
}

// sameJSON reads JSON and holds it beside a plain value, numbers by their value, integers digit for digit.
func sameJSON(t *testing.T, text []byte, plain any) bool {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var got any
	if err := d.Decode(&got); err != nil {
		t.Fatalf("%.300s: %v", text, err)
	}
	return sameValue(got, plain)
}

func sameValue(got, want any) bool {
	switch want := want.(type) {
	case float64:
		n, ok := got.(json.Number)
		f, err := n.Float64()
		return ok && err == nil && f == want
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return false
		}
		for i := range want {
			if !sameValue(list[i], want[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		mapping, ok := got.(map[string]any)
		if !ok || len(mapping) != len(want) {
			return false
		}
		for key, v := range want {
			if !sameValue(mapping[key], v) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(got, want)
}

// TestRandomValuesOfTheOracle reads whatever dubbo-go-hessian2 writes of random nested values.
func TestRandomValuesOfTheOracle(t *testing.T) {
	var d Decoder
	for seed := range uint64(800) {
		value, plain := randomValue(rand.New(rand.NewPCG(seed, 1)), 4)
		e := oracle.NewEncoder()
		if err := e.Encode(value); err != nil {
			t.Fatal(err)
		}
		d.Reset(e.Buffer(), Options{})
		got, err := d.AppendJSON(nil)
		if err != nil || len(d.Rest()) > 0 || !sameJSON(t, got, plain) {
			t.Fatalf("seed %d: %v, %d left\ngot  %.300s\nwant %.300v", seed, err, len(d.Rest()), got, plain)
		}
	}
}

// write is a value by the functions of this package.
func write(dst []byte, v any, r *rand.Rand) []byte {
	switch v := v.(type) {
	case nil:
		return AppendNull(dst)
	case bool:
		return AppendBool(dst, v)
	case int32:
		return AppendInt(dst, v)
	case int64:
		return AppendLong(dst, v)
	case float64:
		return AppendDouble(dst, v)
	case string:
		return AppendString(dst, v)
	case time.Time:
		return AppendDate(dst, v.UnixMilli())
	case []byte:
		if r.IntN(2) == 0 {
			return AppendBinary(dst, v)
		}
		out, err := AppendBase64(dst, []byte(base64.StdEncoding.EncodeToString(v)))
		if err != nil {
			panic(err)
		}
		return out
	case []any:
		if r.IntN(2) == 0 {
			dst = AppendListLength(dst, len(v))
			for _, item := range v {
				dst = write(dst, item, r)
			}
			return dst
		}
		dst, mark := AppendListStart(dst)
		for _, item := range v {
			dst = write(dst, item, r)
		}
		PatchListLength(dst, mark, len(v))
		return dst
	case map[any]any:
		dst = AppendMapStart(dst)
		for key, item := range v {
			dst = write(write(dst, key, r), item, r)
		}
		return AppendMapEnd(dst)
	}
	panic(fmt.Sprintf("%T", v))
}

// TestOracleReadsRandomValues lets dubbo-go-hessian2 read the same values as written here, and this package, too.
func TestOracleReadsRandomValues(t *testing.T) {
	for seed := range uint64(800) {
		r := rand.New(rand.NewPCG(seed, 2))
		value, plain := randomValue(r, 4)
		in := write([]byte("before"), value, r)[len("before"):]
		got, err := oracle.NewDecoder(in).Decode()
		if err != nil || !sameOracle(got, value) {
			t.Fatalf("seed %d: %v\ngot  %.300v\nwant %.300v", seed, err, got, value)
		}
		own, rest, err := AppendJSON(nil, in, Options{})
		if err != nil || len(rest) > 0 || !sameJSON(t, own, plain) {
			t.Fatalf("seed %d, own: %v, %d left\ngot  %.300s\nwant %.300v", seed, err, len(rest), own, plain)
		}
	}
}

func sameOracle(got, want any) bool {
	switch want := want.(type) {
	case time.Time:
		at, ok := got.(time.Time)
		return ok && at.Equal(want)
	case []byte:
		b, ok := got.([]byte)
		return ok && string(b) == string(want)
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return false
		}
		for i := range want {
			if !sameOracle(list[i], want[i]) {
				return false
			}
		}
		return true
	case map[any]any:
		mapping, ok := got.(map[any]any)
		if !ok || len(mapping) != len(want) {
			return false
		}
		for key, v := range want {
			if !sameOracle(mapping[key], v) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(got, want)
}

// TestCutOff cuts random messages at every place: each is refused, at a place inside, and nothing is made up.
func TestCutOff(t *testing.T) {
	var d Decoder
	for seed := range uint64(60) {
		m := newModel(seed)
		m.value(3)
		for n := 0; n < min(len(m.in), 400); n++ {
			d.Reset(m.in[:n], Options{})
			_, err := d.AppendJSON(nil)
			var where *DecodeError
			if err == nil || !errors.As(err, &where) || where.Offset < 0 || where.Offset > n {
				t.Fatalf("seed %d, %d of %d bytes: %v", seed, n, len(m.in), err)
			}
			d.Reset(m.in[:n], Options{})
			if d.Skip() == nil {
				t.Fatalf("seed %d: %d of %d bytes are skipped as if they were whole", seed, n, len(m.in))
			}
		}
	}
}

// TestDecodersAreIndependent reads many messages in many goroutines at once, each with a decoder of its own that it uses
// again: no message sees another one's classes, types or references.
func TestDecodersAreIndependent(t *testing.T) {
	results := make(chan error)
	const workers = 6
	for worker := range uint64(workers) {
		go func() {
			var d Decoder
			for seed := range uint64(150) {
				m := newModel(seed + worker*7)
				want := m.value(4)
				d.Reset(m.in, Options{})
				if got, err := d.AppendJSON(nil); err != nil || string(got) != want {
					results <- fmt.Errorf("seed %d: %w\ngot  %.300s\nwant %.300s", seed, err, got, want)
					return
				}
			}
			results <- nil
		}()
	}
	for range workers {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}
