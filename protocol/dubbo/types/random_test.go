package types

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// randomJSON writes a document as its author might: with spaces, escapes and numbers in every spelling.
func randomJSON(r *rand.Rand, depth int) string {
	space := []string{"", "", "", " ", "\n\t", "\r "}[r.IntN(6)]
	if depth > 0 && r.IntN(2) == 0 {
		var parts []string
		list := r.IntN(2) == 0
		for i := range r.IntN(4) {
			part := space + randomJSON(r, depth-1)
			if !list {
				part = fmt.Sprintf(`%s"k%d%s"%s:`, space, i, []string{"", `\u00e9`, "é", `\"`}[r.IntN(4)], space) + part
			}
			parts = append(parts, part)
		}
		if list {
			return "[" + strings.Join(parts, ",") + space + "]"
		}
		return "{" + strings.Join(parts, ",") + space + "}"
	}
	return []string{
		"null", "true", "false", "0", "-0", "7", "-12", "1.50", "1e5", "1E+2", "1.5e-3", "9223372036854775807", "9223372036854775808", "1e308",
		`""`, `"a"`, `"\u0041\n\/"`, `"\ud83d\ude00"`, `"😀"`, `"tab\t"`, `"long text of more than eight bytes"`, "-1.0",
	}[r.IntN(22)] + space
}

// slip changes a few bytes.
func slip(r *rand.Rand, text string) []byte {
	const letters = `{}[]",:\ue0123-+.Eetrufalsn ` + "\x00\x1f\x7f\xc3\xff/"
	b := []byte(text)
	for range r.IntN(3) {
		at := r.IntN(len(b))
		switch r.IntN(3) {
		case 0:
			b[at] = letters[r.IntN(len(letters))]
		case 1:
			b = slices.Insert(b, at, letters[r.IntN(len(letters))])
		default:
			if len(b) > 1 {
				b = slices.Delete(b, at, at+1)
			}
		}
	}
	return b
}

// TestJSONAgainstEncodingJSON holds the scanner beside encoding/json: the same documents are valid, an array has the same
// elements, an object the same members. Both take no more and no less, but for bytes that are no UTF-8 and halves of surrogate pairs, which are refused
// here.
func TestJSONAgainstEncodingJSON(t *testing.T) {
	rounds := uint64(30_000)
	if testing.Short() {
		rounds = 3000
	}
	valid := 0
	for seed := range rounds {
		r := rand.New(rand.NewPCG(seed, 1))
		in := slip(r, randomJSON(r, 4))
		want := json.Valid(in) && bytes.Equal(in, bytes.ToValidUTF8(in, nil))
		err := Valid(in)
		if (err == nil) != want {
			if err == nil || !json.Valid(in) || !strings.Contains(err.Error(), "half a surrogate pair") && !strings.Contains(err.Error(), onlyOnce) && !strings.Contains(err.Error(), "UTF-") {
				t.Fatalf("%q: %v, encoding/json says %v", in, err, want)
			}
			continue
		}
		if err != nil {
			continue
		}
		valid++
		var list []json.RawMessage
		elements, err := Elements(nil, in)
		if isList := json.Unmarshal(in, &list) == nil && list != nil; isList != (err == nil) || len(elements) != len(list) {
			t.Fatalf("%q: %d elements, %v; want %d", in, len(elements), err, len(list))
		}
		for i := range list {
			if !bytes.Equal(elements[i], list[i]) {
				t.Fatalf("%q: element %d is %q, want %q", in, i, elements[i], list[i])
			}
		}
		var object map[string]json.RawMessage
		if json.Unmarshal(in, &object) != nil || object == nil {
			continue
		}
		for name, member := range object {
			value, found, err := Member(in, name)
			if err != nil && strings.Contains(err.Error(), onlyOnce) {
				continue
			}
			if err != nil || !found || !bytes.Equal(value, member) {
				t.Fatalf("%q: %q is %q, %v; want %q", in, name, value, err, member)
			}
		}
	}
	if valid < int(rounds)/4 {
		t.Errorf("only %d of %d documents were valid", valid, rounds)
	}
}

// TestKindsAgainstEncodingJSON: the shape of a valid value is told by its beginning.
func TestKindsAgainstEncodingJSON(t *testing.T) {
	for seed := range uint64(2000) {
		in := randomJSON(rand.New(rand.NewPCG(seed, 2)), 2)
		d := json.NewDecoder(strings.NewReader(in))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		want := Null
		switch v := v.(type) {
		case bool:
			want = Bool
		case string:
			want = String
		case []any:
			want = Array
		case map[string]any:
			want = Object
		case json.Number:
			if want = Integer; strings.ContainsAny(v.String(), ".eE") {
				want = Fraction
			}
		}
		if got := KindOf([]byte(in)); got != want {
			t.Fatalf("%q: kind %d, want %d", in, got, want)
		}
	}
	for _, in := range []string{"", " ", "x", "-", "+1", ".5", "]"} {
		if got := KindOf([]byte(in)); got != Invalid {
			t.Errorf("%q: kind %d", in, got)
		}
	}
}

// TestWholeNumbersFit asks strconv which numbers each of Java's types holds, at and around every border.
func TestWholeNumbersFit(t *testing.T) {
	d := parse(t, shop)
	var e Encoder
	for name, bits := range map[string]int{"byte": 8, "short": 16, "int": 32, "long": 64, "java.lang.Byte": 8, "java.lang.Short": 16, "java.lang.Integer": 32, "java.lang.Long": 64} {
		typ := typ(t, d, name)
		r := rand.New(rand.NewPCG(uint64(bits), 3))
		texts := []string{"9223372036854775808", "-9223372036854775809", "18446744073709551616", "99999999999999999999999999", "-0", "0"}
		for range 500 {
			texts = append(texts, strconv.FormatInt(int64(r.Uint64())>>r.IntN(64), 10))
		}
		for _, border := range []int64{math.MinInt8, math.MaxInt8, math.MinInt16, math.MaxInt16, math.MinInt32, math.MaxInt32, math.MinInt64, math.MaxInt64} {
			for delta := int64(-2); delta <= 2; delta++ {
				texts = append(texts, strconv.FormatInt(border+delta, 10))
			}
		}
		for _, text := range texts {
			want, wantErr := strconv.ParseInt(text, 10, bits)
			in, err := encode(t, typ, text, nil)
			e.Reset(nil)
			plain, plainErr := e.AppendText(nil, typ, text)
			if (err == nil) != (wantErr == nil) || (plainErr == nil) != (wantErr == nil) {
				t.Fatalf("%s %s: %v and %v, want %v", name, text, err, plainErr, wantErr)
			}
			if err != nil {
				continue
			}
			got, _, err := hessian.AppendJSON(nil, in, hessian.Options{})
			if err != nil || string(got) != strconv.FormatInt(want, 10) || !bytes.Equal(in, plain) {
				t.Fatalf("%s %s: became %s, %v", name, text, got, err)
			}
		}
		for _, text := range []string{"1.0", "1e2", `""`, `" 1"`, `"0x1"`, "true", "[]", "{}"} {
			if in, err := encode(t, typ, text, nil); err == nil {
				t.Errorf("%s %s: became %q", name, text, in)
			}
		}
	}
}

// TestMomentsAgainstTime formats random times by Go's time package in each form that the types take, and reads back what a
// provider would see.
func TestMomentsAgainstTime(t *testing.T) {
	d := parse(t, shop)
	r := rand.New(rand.NewPCG(1, 4))
	for _, c := range []struct{ typ, layout, back string }{
		{"java.time.Instant", time.RFC3339Nano, time.RFC3339Nano},
		{"java.time.OffsetDateTime", "2006-01-02T15:04:05.999999999Z07:00", time.RFC3339Nano},
		{"java.time.LocalDateTime", "2006-01-02T15:04:05.999999999", "2006-01-02T15:04:05.999999999"},
		{"java.time.LocalDate", "2006-01-02", "2006-01-02"},
		{"java.time.LocalTime", "15:04:05.999999999", "15:04:05.999999999"},
		{"java.util.Date", "2006-01-02T15:04:05.999Z07:00", time.RFC3339Nano},
	} {
		typ := typ(t, d, c.typ)
		for range 1500 {
			at := time.Unix(r.Int64N(1<<36)-1<<35, r.Int64N(1e9)) // the years 881 to 3058
			if r.IntN(3) == 0 {
				at = at.Truncate(time.Second)
			}
			at = at.In(time.FixedZone("", (r.IntN(145)-72)*900)) // quarters of an hour up to 18 hours
			text := at.Format(c.layout)
			in, err := encode(t, typ, strconv.Quote(text), nil)
			if err != nil {
				t.Fatalf("%s %s: %v", c.typ, text, err)
			}
			got, _, err := hessian.AppendJSON(nil, in, hessian.Options{})
			if err != nil {
				t.Fatal(err)
			}
			want, err := time.Parse(c.layout, text)
			if err != nil {
				t.Fatal(err)
			}
			back, err := time.Parse(c.back, strings.Trim(string(got), `"`))
			if err != nil || !back.Equal(want) {
				t.Fatalf("%s %s: became %s, %v", c.typ, text, got, err)
			}
		}
	}
}

// TestDaysOfTheCalendar has every day of years that are leap years or not, and the day behind each month's end.
func TestDaysOfTheCalendar(t *testing.T) {
	for _, year := range []int{1900, 2000, 2023, 2024, 2100, 9999} {
		for month := 1; month <= 13; month++ {
			for day := 0; day <= 32; day++ {
				text := fmt.Sprintf("%04d-%02d-%02d", year, month, day)
				_, err := time.Parse(time.DateOnly, text)
				if m, ok := parseMoment([]byte(text)); ok != (err == nil) || ok && (m.year != year || m.month != month || m.day != day || m.hasTime) {
					t.Fatalf("%s: %+v %v, want %v", text, m, ok, err)
				}
			}
		}
	}
}

// TestDurationsRoundTrip: what the reader of answers writes, the encoder of arguments takes as the same.
func TestDurationsRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	for round := range 5000 {
		seconds, nano := int64(r.Uint64())>>r.IntN(64), int32(0)
		if round%2 == 0 {
			nano = int32(r.IntN(1e9)) / int32(math.Pow10(r.IntN(9)))
		}
		var c hessian.Classes
		in := hessian.AppendInt(hessian.AppendLong(c.AppendObject(nil, hessian.DurationHandle), seconds), nano)
		text, _, err := hessian.AppendJSON(nil, in, hessian.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, n, ok := parseDuration(bytes.Trim(text, `"`))
		if !ok || s != seconds || n != nano {
			t.Fatalf("%d s and %d ns are %s, read as %d and %d, %v", seconds, nano, text, s, n, ok)
		}
	}
}

// TestChooseDoesNotDependOnOrder: however the overloads are listed, the same one is chosen, or the choice is ambiguous.
func TestChooseDoesNotDependOnOrder(t *testing.T) {
	d := parse(t, shop)
	r := rand.New(rand.NewPCG(1, 6))
	var all []*Method
	for _, name := range d.Names() {
		all = append(all, d.Methods(name)...)
	}
	kinds := []Kind{Null, Bool, Integer, Fraction, String, Array, Object, Text}
	for range 2000 {
		candidates := make([]*Method, 0, len(all))
		for _, m := range all {
			if r.IntN(2) == 0 {
				candidates = append(candidates, m)
			}
		}
		args := make([]Kind, r.IntN(3))
		for i := range args {
			args[i] = kinds[r.IntN(len(kinds))]
		}
		first, firstErr := Choose(candidates, args...)
		for range 3 {
			r.Shuffle(len(candidates), func(i, k int) { candidates[i], candidates[k] = candidates[k], candidates[i] })
			again, err := Choose(candidates, args...)
			if again != first || (err == nil) != (firstErr == nil) {
				t.Fatalf("%v of %v: %v, then %v", args, candidates, first, again)
			}
		}
		if first != nil && len(first.Params) != len(args) {
			t.Fatalf("%v for %d arguments", first, len(args))
		}
	}
}

// TestEncodersAreIndependent uses one definition from many goroutines, each with an Encoder of its own.
func TestEncodersAreIndependent(t *testing.T) {
	user := typ(t, parse(t, shop), "lab.User")
	const text = `{"id":1,"name":"bob","friends":[{"id":2},{"id":3}],"scores":{"x":1},"birthday":0,"extra":{"free":[1,2.5]}}`
	want, err := encode(t, user, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error)
	const workers = 6
	for range workers {
		go func() {
			var e Encoder
			for range 300 {
				e.Reset(nil)
				got, _, err := e.AppendJSON(nil, user, []byte(text))
				if err != nil || !reflect.DeepEqual(got, want) {
					results <- fmt.Errorf("wrote %q, %w", got, err)
					return
				}
				e.Reset(nil)
				if _, _, err := e.AppendJSON(nil, user, []byte(`{"id":"x","friends":[{"id":1,"id":2}]}`)); err == nil {
					results <- fmt.Errorf("took what does not fit")
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
