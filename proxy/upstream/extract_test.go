package upstream

import (
	"net/netip"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

func TestExtract(t *testing.T) {
	req := &protocol.Request{
		RawQuery: "q=a%20b", Client: netip.MustParseAddr("10.0.0.1"), Params: []protocol.Param{{Name: "id", Value: "x%2Fy"}},
	}
	req.Header.Add("X-User", "ann")
	req.Header.Add("Cookie", "sid=1; t=2")
	for text, want := range map[string]string{
		"plain": "plain", "": "", "{header.x-user}": "ann", "{cookie.t}": "2", "{query.q}": "a b", "{path.id}": "x/y", "{client}": "10.0.0.1",
	} {
		e, err := ParseExtract(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := e.of(req); got != want || !ok {
			t.Errorf("%s is %q, %v", text, got, ok)
		}
		if e.constant() != (text == "plain" || text == "") {
			t.Errorf("%s: constant %v", text, e.constant())
		}
	}
	for _, text := range []string{"{header.X-None}", "{cookie.none}", "{query.none}", "{path.none}"} {
		e, err := ParseExtract(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := e.of(req); ok {
			t.Errorf("%s is %q", text, got)
		}
	}
	if e, _ := ParseExtract("{client}"); true {
		if _, ok := e.of(&protocol.Request{}); ok {
			t.Error("a client without an address")
		}
	}
	for _, text := range []string{"{", "{}", "{header}", "{header.}", "{body.x}", "{client.x}", "{header.a}b", "{header.{a}"} {
		if _, err := ParseExtract(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
