package redirect

import (
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/proxy/filter"
	"github.com/sluice-gateway/sluice/proxy/filter/filtertest"
)

func kinds() filtertest.Kinds {
	return filtertest.Kinds{"redirect": func() filter.Config { return Default() }}
}

func answer(t *testing.T, filters, url string) (int, string) {
	t.Helper()
	resp, err := filtertest.Serve(filtertest.Request("GET "+url), nil, filtertest.Build(t, kinds(), filters)...)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Status, resp.Header.Get("Location")
}

func TestReadme(t *testing.T) {
	status, location := answer(t, filtertest.Examples(t)[0], "http://shop.example.com:8080/a?b=c")
	if status != 308 || location != "https://shop.example.com/a?b=c" {
		t.Errorf("%d %s", status, location)
	}
}

func TestLocations(t *testing.T) {
	for section, want := range map[string]string{
		`{to: "https://x/y"}`:                  "https://x/y?q=1",
		`{to: "https://x/y?z"}`:                "https://x/y?z",
		`{to: "https://x/y", dropQuery: true}`: "https://x/y",
		`{host: other}`:                        "http://other/a?q=1",
		`{path: /b}`:                           "http://h:80/b?q=1",
		`{scheme: http}`:                       "http://h:80/a?q=1",
		`{scheme: https, host: "o:8443"}`:      "https://o:8443/a?q=1",
	} {
		if status, got := answer(t, "filters:\n  - redirect: "+section+"\n", "http://h:80/a?q=1"); got != want || status != 302 {
			t.Errorf("%s: %d %s, want %s", section, status, got, want)
		}
	}
	if _, got := answer(t, "filters:\n  - redirect: {scheme: https}\n", "http://[::1]:80/"); got != "https://[::1]/" {
		t.Error(got)
	}
}

func TestMistakes(t *testing.T) {
	for section, want := range map[string]string{
		`{}`:                                 "to: is missing",
		`{to: "https://x", host: y}`:         "to: goes without",
		`{host: y, status: 200}`:             "status: 200",
		`{host: "a/b"}`:                      "host: ",
		`{scheme: ftp}`:                      "scheme: ",
		`{path: b}`:                          "path: must begin",
		`{path: "/%z"}`:                      "path: ",
		`{to: "https://x\r\nSet-Cookie: a"}`: "control character",
	} {
		_, err := filtertest.Parse(kinds(), "filters:\n  - redirect: "+section+"\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", section, err, want)
		}
	}
}
