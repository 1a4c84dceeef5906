package strictyaml

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"
)

// scalar reads the basic kinds. A text may be written without quotes even if it looks like a number ("version: 1.0");
// a number may not be written with them.
func (d *Decoder) scalar(n *Node, at *Path, v reflect.Value) {
	want := "a text"
	switch v.Kind() {
	case reflect.Bool:
		want = "true or false"
	case reflect.Float32, reflect.Float64:
		want = "a number"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		want = "a whole number"
	case reflect.String:
	default:
		panic(fmt.Sprintf("strictyaml: %s cannot be read", v.Type()))
	}
	if n.Kind != Scalar {
		d.Fault(n, at, "must be "+want+", not "+n.Kind.String())
		return
	}
	if v.Kind() == reflect.String {
		v.SetString(n.Text)
		return
	}
	if !assign(v, n.Value()) {
		hint := ""
		if _, text := n.Value().(string); text && !n.Plain && reflect.TypeOf(resolve(n.Text)).Kind() != reflect.String {
			hint = "; leave the quotes out"
		}
		d.Fault(n, at, fmt.Sprintf("must be %s, not %s%s", want, n.shown(), hint))
	}
}

// assign puts a resolved value into a basic kind, if it fits.
func assign(v reflect.Value, value any) bool {
	switch value := value.(type) {
	case bool:
		if v.Kind() == reflect.Bool {
			v.SetBool(value)
			return true
		}
	case int64:
		switch {
		case v.CanInt() && !v.OverflowInt(value):
			v.SetInt(value)
		case v.CanUint() && value >= 0 && !v.OverflowUint(uint64(value)):
			v.SetUint(uint64(value))
		case v.CanFloat():
			v.SetFloat(float64(value))
		default:
			return false
		}
		return true
	case uint64:
		switch {
		case v.CanUint() && !v.OverflowUint(value):
			v.SetUint(value)
		case v.CanFloat():
			v.SetFloat(float64(value))
		default:
			return false
		}
		return true
	case float64:
		if v.CanFloat() && !v.OverflowFloat(value) {
			v.SetFloat(value)
			return true
		}
	}
	return false
}

// duration reads Go's form. Nothing in a document lasts less than no time.
func (d *Decoder) duration(n *Node, at *Path, v reflect.Value) {
	const want = "must be a duration such as 3s, 500ms or 1h30m"
	if n.Kind != Scalar {
		d.Fault(n, at, want+", not "+n.Kind.String())
		return
	}
	t, err := time.ParseDuration(n.Text)
	switch {
	case err != nil:
		d.Fault(n, at, want+", not "+n.shown())
	case t < 0:
		d.Fault(n, at, "must not be negative")
	default:
		v.SetInt(int64(t))
	}
}

func (d *Decoder) text(n *Node, at *Path, v reflect.Value, u encoding.TextUnmarshaler) {
	if n.Kind != Scalar {
		d.Fault(n, at, "must be a text, not "+n.Kind.String())
		return
	}
	if err := u.UnmarshalText([]byte(n.Text)); err != nil {
		switch v.Interface().(type) {
		case netip.Prefix:
			d.Fault(n, at, "must be a network such as 10.0.0.0/8 or fd00::/8, not "+n.shown())
		case netip.Addr:
			d.Fault(n, at, "must be an IP address, not "+n.shown())
		default:
			message := err.Error()
			if n.raw != "" {
				message = strings.ReplaceAll(message, n.Text, n.raw)
			}
			d.Fault(n, at, message)
		}
		return
	}
	d.validate(n, at, v, false)
}
