package hessian

import (
	"errors"
	"testing"
)

func TestExceptions(t *testing.T) {
	generic := `43 302e"com.alibaba.dubbo.rpc.service.GenericException" 94 0e"exceptionClass" 10"exceptionMessage" 0d"detailMessage" 0a"stackTrace"` +
		`60 10"lab.BizException" 0a"out of ice" 06"longer" 7991`
	for _, c := range []struct {
		name, bytes string
		want        Exception
	}{
		{"own class", `43 10"lab.BizException" 93 04"code" 0d"detailMessage" 05"cause" 60 95 0a"out of ice" 51 90`, Exception{"lab.BizException", "out of ice"}},
		{"generic", generic, Exception{"lab.BizException", "out of ice"}},
		{"without message", `43 10"lab.BizException" 91 0d"detailMessage" 60 4e`, Exception{"lab.BizException", ""}},
		{"text", `05"oh no"`, Exception{"", "oh no"}},
		{"map", `48 05"class" 10"lab.BizException" 07"message" 02"no" 01"x" 91 5a`, Exception{"lab.BizException", "no"}},
		{"null", `4e`, Exception{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d Decoder
			d.Reset(raw(t, c.bytes+`48 5a`), Options{})
			got, err := d.Exception()
			if got != c.want || err != nil {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
			if err := d.EnterMap(); err != nil || d.Entry() || len(d.Rest()) > 0 {
				t.Errorf("the attachments were missed: %v, rest %q", err, d.Rest())
			}
		})
	}
	for _, broken := range []string{``, `60`, `43 01"a"`, `48 01"a"`, `48 05"class"`, `4d`, `43 01"a" 91 0d"detailMessage" 60`, `43 01"a" 91 01"b" 60`} {
		var d Decoder
		d.Reset(raw(t, broken), Options{})
		if e, err := d.Exception(); err == nil {
			t.Errorf("%s gave %+v", broken, e)
		}
	}
}

func TestPrimitives(t *testing.T) {
	var d Decoder
	d.Reset(raw(t, `4e 91 e1 02"ab" 5c 46 78 4a0000000000000000 20 51`), Options{})
	if d.Kind() != Null || !d.Null() || d.Null() {
		t.Error("null was not read once")
	}
	if v, err := d.Int(); v != 1 || err != nil {
		t.Errorf("int %d, %v", v, err)
	}
	if _, err := d.Int(); !errors.Is(err, ErrUnexpected) {
		t.Errorf("a long was read as int: %v", err)
	}
	want := []struct {
		text string
		ok   bool
	}{{"1", true}, {"ab", true}, {"1.0", true}, {"false", true}, {"", false}, {"", false}, {"", false}}
	for _, w := range want {
		text, ok, err := d.AppendText(nil)
		if string(text) != w.text || ok != w.ok || err != nil {
			t.Errorf("got %q, %t, %v; want %+v", text, ok, err, w)
		}
	}
	if d.Kind() != Reference {
		t.Errorf("kind %d", d.Kind())
	}
	if _, _, err := d.AppendText(nil); !errors.Is(err, ErrTruncated) {
		t.Errorf("got %v", err)
	}
	if d.Kind() != End {
		t.Errorf("kind %d at the end", d.Kind())
	}
}

func TestAttachmentsMissing(t *testing.T) {
	var d Decoder
	d.Reset([]byte{'N'}, Options{})
	if err := d.EnterMap(); err != nil || d.Entry() {
		t.Errorf("null is no empty map: %v", err)
	}
	d.Reset([]byte{0x91}, Options{})
	if err := d.EnterMap(); !errors.Is(err, ErrUnexpected) {
		t.Errorf("got %v", err)
	}
	d.Reset([]byte{'H'}, Options{})
	if err := d.EnterMap(); err != nil || !d.Entry() {
		t.Errorf("an unfinished map seems finished: %v", err)
	}
	if _, _, err := d.AppendText(nil); !errors.Is(err, ErrTruncated) {
		t.Errorf("got %v", err)
	}
	d.Reset([]byte{'M', 0x90}, Options{})
	if err := d.EnterMap(); err == nil {
		t.Error("a map of an unknown type was entered")
	}
}
