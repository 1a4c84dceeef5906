package fixedresponse

import (
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/filter"
	"github.com/sluice-gateway/sluice/proxy/filter/filtertest"
)

func kinds() filtertest.Kinds {
	return filtertest.Kinds{"fixedResponse": func() filter.Config { return Default() }}
}

func TestReadme(t *testing.T) {
	filters := filtertest.Build(t, kinds(), filtertest.Examples(t)[0])
	for range 2 { // the body is there for every request
		resp, err := filtertest.Serve(filtertest.Request("GET http://h/"), nil, filters...)
		if err != nil {
			t.Fatal(err)
		}
		body, err := protocol.ReadAll(nil, resp.Body, 1000)
		if err != nil || string(body) != `{"message":"back at noon"}` || resp.ContentLength != int64(len(body)) {
			t.Errorf("body %q, %v, length %d", body, err, resp.ContentLength)
		}
		if resp.Status != 503 || resp.Header.Get("Retry-After") != "3600" || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%d %+v", resp.Status, resp.Header)
		}
	}
}

func TestEmpty(t *testing.T) {
	resp, err := filtertest.Serve(filtertest.Request("GET http://h/"), nil, filtertest.Build(t, kinds(), "filters:\n  - fixedResponse: {status: 204}\n")...)
	if err != nil || resp.Status != 204 || resp.Body != nil || resp.Header.Len() != 0 {
		t.Errorf("%v %+v", err, resp)
	}
}

func TestMistakes(t *testing.T) {
	for section, want := range map[string]string{
		`{status: 99}`:                         "status: 99",
		`{status: 600}`:                        "status: 600",
		`{status: 204, body: x}`:               "body: an answer with status 204 has none",
		`{headers: {"a b": c}}`:                "is not the name",
		`{headers: {Content-Length: "1"}}`:     "belongs to the connection",
		`{headers: {A: "x\ny"}}`:               "control character",
		`{contentType: "a\nb", body: x}`:       "contentType: ",
		`{status: 200, text: "no such thing"}`: "text",
	} {
		_, err := filtertest.Parse(kinds(), "filters:\n  - fixedResponse: "+section+"\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", section, err, want)
		}
	}
}
