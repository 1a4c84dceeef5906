package config

import "testing"

func TestPatternsOfServices(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "anything/at all", true},
		{"orders", "orders", true},
		{"orders", "Orders", false},
		{"ord*", "orders", true},
		{"ord*", "border", false},
		{"*-v?", "a-v1", false}, // only the star has a meaning
		{"*-v?", "a-v?", true},
		{"com.*.Admin", "com.example.x.Admin", true},
		{"a*", "a/b", true},
		{"[a]*", "[a]b", true},
		{"[a]*", "ab", false},
		{`a\*`, `a\b`, true},
	} {
		if got := (ServiceMatch{Service: c.pattern}).Matches("r", c.name); got != c.want {
			t.Errorf("%q and %q: %v", c.pattern, c.name, got)
		}
	}
	if (ServiceMatch{Service: "a", Registry: "x"}).Matches("r", "a") {
		t.Error("another registry's")
	}
}

func TestDiscoverAllows(t *testing.T) {
	for _, c := range []struct {
		d    Discover
		name string
		want bool
	}{
		{Discover{}, "a", true},
		{Discover{Include: []string{"b", "c*"}}, "a", false},
		{Discover{Include: []string{"b", "c*"}}, "cc", true},
		{Discover{Exclude: []string{"c*"}}, "cc", false},
		{Discover{Include: []string{"c*"}, Exclude: []string{"cc"}}, "cc", false},
		{Discover{Include: []string{"c*"}, Exclude: []string{"cc"}}, "ca", true},
	} {
		if got := c.d.Allows(c.name); got != c.want {
			t.Errorf("%+v allows %q: %v", c.d, c.name, got)
		}
	}
}
