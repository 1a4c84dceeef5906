package zookeeper

import (
	"testing"

	"github.com/sluice-gateway/sluice/registry"
)

func TestOverrideRules(t *testing.T) {
	for rule, c := range map[string]struct {
		weight   float64
		disabled bool
	}{
		"override://0.0.0.0/a.S?weight=200":                          {2, false},
		"override://0.0.0.0:20880/a.S?weight=200":                    {2, false},
		"override://0.0.0.0:20881/a.S?weight=200":                    {1, false},
		"override://192.0.2.1/a.S?weight=200":                        {2, false},
		"override://192.0.2.9/a.S?weight=200":                        {1, false},
		"override://0.0.0.0/a.S?weight=0":                            {0, false},
		"override://0.0.0.0/a.S?weight=-5":                           {0, false},
		"override://0.0.0.0/a.S?weight=x":                            {1, false},
		"override://0.0.0.0/a.S?disabled=true":                       {1, true},
		"override://0.0.0.0/a.S?disabled=TRUE&weight=50":             {0.5, true},
		"override://0.0.0.0/a.S?disabled=false":                      {1, false},
		"override://0.0.0.0/a.S?disabled=true&enabled=false":         {1, false},
		"override://0.0.0.0/a.S?disabled=true&group=g":               {1, true},
		"override://0.0.0.0/a.S?disabled=true&group=*&version=*":     {1, true},
		"override://0.0.0.0/a.S?disabled=true&group=h":               {1, false},
		"override://0.0.0.0/a.S?disabled=true&version=2":             {1, false},
		"override://0.0.0.0/a.S?disabled=true&application=app":       {1, true},
		"override://0.0.0.0/a.S?disabled=true&application=other":     {1, false},
		"absent://0.0.0.0/a.S?disabled=true":                         {1, false},
		"route://0.0.0.0/a.S?disabled=true":                          {1, false},
		"override://0.0.0.0/a.S?timeout=5000&mock=force:return+null": {1, false},
	} {
		i := registry.Instance{Host: "192.0.2.1", Port: 20880, Weight: 1, Group: "g", Version: "1", Metadata: map[string]string{"application": "app"}}
		rules, _ := parseOverrides([]string{encode(rule)})
		rules.apply(&i)
		if i.Weight != c.weight || i.Disabled != c.disabled {
			t.Errorf("%s: weight %v, disabled %v; want %v, %v", rule, i.Weight, i.Disabled, c.weight, c.disabled)
		}
	}
	if rules, more := parseOverrides([]string{"%", "", "x", encode("empty://0.0.0.0/a")}); len(rules)+len(more) != 0 {
		t.Errorf("%d rules out of garbage", len(rules))
	}
}

func FuzzOverride(f *testing.F) {
	f.Add(encode("override://0.0.0.0/a.S?weight=50"))
	f.Add(encode("override://192.0.2.1:20880/a.S?disabled=true&group=*&weight=-5"))
	f.Add(encode("override:///a.S?weight=99999999999999"))
	f.Fuzz(func(t *testing.T, name string) {
		i := registry.Instance{Host: "192.0.2.1", Port: 20880, Weight: 1}
		first(parseOverrides([]string{name})).apply(&i)
		if err := i.Validate(); err != nil {
			t.Errorf("%q made an instance useless: %v", name, err)
		}
	})
}
