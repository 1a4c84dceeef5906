package header

import (
	"context"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/filter"
	"github.com/sluice-gateway/sluice/proxy/filter/filtertest"
)

func kinds() filtertest.Kinds {
	return filtertest.Kinds{
		"setRequestHeader":     func() filter.Config { return Set(Request) },
		"addRequestHeader":     func() filter.Config { return Add(Request) },
		"removeRequestHeader":  func() filter.Config { return Remove(Request) },
		"setResponseHeader":    func() filter.Config { return Set(Response) },
		"addResponseHeader":    func() filter.Config { return Add(Response) },
		"removeResponseHeader": func() filter.Config { return Remove(Response) },
	}
}

func text(h *protocol.Header) string {
	var b strings.Builder
	for i := range h.Len() {
		f := h.At(i)
		b.WriteString(f.Name + ": " + f.Value + "\n")
	}
	return b.String()
}

func TestReadme(t *testing.T) {
	filters := filtertest.Build(t, kinds(), filtertest.Examples(t)[0])
	req := filtertest.Request("GET http://h/", "x-gateway: other", "X-Tag: red", "X-DEBUG: 1", "x-gateway: twice")
	var seen string
	resp, err := filtertest.Serve(req, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		seen = text(&req.Header)
		resp := req.NewResponse()
		resp.Status = 200
		resp.Header.Add("server", "tomcat")
		resp.Header.Add("Cache-Control", "public")
		return resp, nil
	}, filters...)
	if err != nil {
		t.Fatal(err)
	}
	if want := "x-gateway: sluice\nX-Tag: red\nX-Tag: blue\n"; seen != want {
		t.Errorf("request header\n%swant\n%s", seen, want)
	}
	// The filter listed last sees the response first.
	if got, want := text(&resp.Header), "Cache-Control: no-store\nLink: </docs>; rel=help\n"; got != want {
		t.Errorf("response header\n%swant\n%s", got, want)
	}
}

func TestHostIsTheAuthority(t *testing.T) {
	filters := filtertest.Build(t, kinds(), "filters:\n  - setRequestHeader: {name: host, value: inner.example.com}\n")
	req := filtertest.Request("GET http://outer/")
	if _, err := filtertest.Serve(req, nil, filters...); err != nil {
		t.Fatal(err)
	}
	if req.Authority != "inner.example.com" || req.Header.Len() != 0 {
		t.Errorf("authority %q, header %q", req.Authority, text(&req.Header))
	}
}

func TestErrorsPassUnchanged(t *testing.T) {
	filters := filtertest.Build(t, kinds(), "filters:\n  - setResponseHeader: {name: A, value: b}\n")
	want := protocol.NewError(503, protocol.CodeNoInstance, "x")
	_, err := filtertest.Serve(filtertest.Request("GET http://h/"), func(context.Context, *protocol.Request) (*protocol.Response, error) {
		return nil, want
	}, filters...)
	if err != want { // the very same value
		t.Errorf("%v", err)
	}
}

func TestMistakes(t *testing.T) {
	for section, want := range map[string]string{
		`setRequestHeader: {value: x}`:                            "name: is missing",
		`setRequestHeader: {name: "a b", value: x}`:               "is not the name of a header field",
		`setRequestHeader: {name: Connection, value: x}`:          "belongs to the connection",
		`addResponseHeader: {name: content-length, value: "1"}`:   "belongs to the connection",
		`addRequestHeader: {name: Host, value: x}`:                "Host can only be set",
		`removeRequestHeader: {name: Host}`:                       "Host can only be set",
		`setResponseHeader: {name: Host, value: x}`:               "Host can only be set",
		`setRequestHeader: {name: Host, value: "a b"}`:            "is not a host",
		`removeRequestHeader: {name: A, value: x}`:                "value: has no meaning",
		`setRequestHeader: {name: A, value: "x\r\nB: y"}`:         "control character",
		`setRequestHeader: {name: A, value: " x"}`:                "begins or ends with a blank",
		`setRequestHeader: {name: A, value: x, when: always}`:     "when",
		`setRequestHeader: {name: "A:", value: "x"}`:              "is not the name",
		`setRequestHeader: {name: Transfer-Encoding, value: "x"}`: "belongs to the connection",
	} {
		_, err := filtertest.Parse(kinds(), "filters:\n  - "+section+"\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", section, err, want)
		}
	}
}

func TestEditsAllocateNothing(t *testing.T) {
	filters := filtertest.Build(t, kinds(), "filters:\n  - setRequestHeader: {name: X-A, value: b}\n  - removeRequestHeader: {name: X-B}\n")
	h := protocol.Chain(protocol.HandlerFunc(func(context.Context, *protocol.Request) (*protocol.Response, error) {
		return nil, protocol.ErrBodyTooLarge
	}), filters...)
	req := filtertest.Request("GET http://h/", "X-B: 1")
	if n := testing.AllocsPerRun(100, func() { _, _ = h.Serve(context.Background(), req) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
