package dubbo

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
)

func TestWeights(t *testing.T) {
	for _, c := range []struct {
		text, release string
		want          float64
	}{
		{"", "", 1}, {"100", "", 1}, {"250", "3.3.6", 2.5}, {"x", "", 1}, {"1e3", "", 1}, {"0", "3.3.6", 0}, {"-5", "3.3.6", 0},
		{"0", "dubbo-golang-3.3.2", 1}, {"-5", "dubbo-golang-3.3.2", 1}, {"50", "dubbo-golang-3.3.2", 0.5}, {"999999999999999", "", 1e9},
	} {
		if got := Weight(c.text, c.release); got != c.want {
			t.Errorf("%q of %q: %v, want %v", c.text, c.release, got, c.want)
		}
	}
}

func TestCallable(t *testing.T) {
	good := registry.Instance{Host: "192.0.2.1", Port: 1, Protocol: "tri", Weight: 1}
	if err := Callable(&good); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*registry.Instance){
		`protocol "rest" is not spoken`: func(i *registry.Instance) { i.Protocol = "rest" },
		"no address of one machine":     func(i *registry.Instance) { i.Host = "0:0:0:0:0:0:0:0" },
		"no port":                       func(i *registry.Instance) { i.Port = 0 },
		"no host":                       func(i *registry.Instance) { i.Host = "" },
	} {
		bad := good
		change(&bad)
		if err := Callable(&bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", bad, err, want)
		}
	}
}

func TestIdentity(t *testing.T) {
	a := registry.Instance{Host: "h", Port: 1, Protocol: "tri", Group: "g", Weight: 1}
	b := a
	b.Weight, b.Metadata = 2, map[string]string{"a": "b"}
	if IdentityOf(&a) != IdentityOf(&b) {
		t.Error("what it says beside is no part of who it is")
	}
	if b.Version = "1"; IdentityOf(&a) == IdentityOf(&b) {
		t.Error("another version is another instance")
	}
}

func TestMappings(t *testing.T) {
	valid := func(app string) error {
		if strings.ContainsAny(app, "/\x00") || app == "." {
			return errors.New("refused")
		}
		return nil
	}
	for data, want := range map[string]string{
		"":              "",
		"app":           "app",
		"a,b":           "a;b",
		" a , ,b,":      "a;b",
		"../x,a/b,.,ok": "ok",
		"a\x00b":        "",
	} {
		got := ""
		for n, app := range Applications(data, nil, valid) {
			if n > 0 {
				got += ";"
			}
			got += app
		}
		if got != want {
			t.Errorf("%q: %q, want %q", data, got, want)
		}
	}
	if got := Applications("b,a", []string{"c", "a"}, valid); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("with those of 2.7: %v", got)
	}
}
