package requestsize

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/filter"
	"github.com/sluice-gateway/sluice/proxy/filter/filtertest"
)

func kinds() filtertest.Kinds {
	return filtertest.Kinds{"requestSize": func() filter.Config { return Default() }}
}

// pieces is a body that is handed over one byte at a time.
type pieces struct {
	protocol.Bytes
	left string
}

func (p *pieces) Next() ([]byte, bool, error) {
	if p.left == "" {
		return nil, false, nil
	}
	piece := []byte(p.left[:1])
	p.left = p.left[1:]
	return piece, p.left != "", nil
}

func send(t *testing.T, filters []protocol.Filter, body string, announced bool) (got string, err error) {
	t.Helper()
	req := filtertest.Request("POST http://h/")
	req.Body, req.ContentLength = &pieces{left: body}, protocol.UnknownLength
	if announced {
		req.ContentLength = int64(len(body))
	}
	resp, err := filtertest.Serve(req, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		b, err := protocol.ReadAll(nil, req.Body, 1<<30)
		got = string(b)
		if err != nil {
			return nil, err
		}
		return req.NewResponse(), nil
	}, filters...)
	if err == nil {
		err = resp.Close()
	}
	return got, err
}

func TestReadme(t *testing.T) {
	filters := filtertest.Build(t, kinds(), filtertest.Examples(t)[0])
	req := filtertest.Request("POST http://h/")
	req.ContentLength = 5<<20 + 1
	if _, err := filtertest.Serve(req, nil, filters...); !errors.Is(err, protocol.ErrBodyTooLarge) {
		t.Errorf("5 MB and a byte: %v", err)
	}
	req.ContentLength = 5 << 20
	if _, err := filtertest.Serve(req, nil, filters...); err != nil {
		t.Errorf("5 MB: %v", err)
	}
}

func TestBounds(t *testing.T) {
	filters := filtertest.Build(t, kinds(), "filters:\n  - requestSize: {max: 4B}\n")
	for _, announced := range []bool{true, false} {
		if got, err := send(t, filters, "1234", announced); err != nil || got != "1234" {
			t.Errorf("announced %v: %q %v", announced, got, err)
		}
		got, err := send(t, filters, "12345", announced)
		if !errors.Is(err, protocol.ErrBodyTooLarge) || protocol.AsError(err).Status != 413 {
			t.Errorf("announced %v: %v", announced, err)
		}
		if len(got) > 4 {
			t.Errorf("announced %v: %q went through", announced, got)
		}
	}
}

func TestRewindCountsAnew(t *testing.T) {
	b := &bounded{Body: protocol.NewBytes([]byte("1234")), limit: 4}
	for range 3 {
		if got, err := protocol.ReadAll(nil, b, 100); err != nil || string(got) != "1234" {
			t.Fatalf("%q %v", got, err)
		}
		if !b.Rewind() {
			t.Fatal("cannot rewind")
		}
	}
}

func TestMistakes(t *testing.T) {
	for section, want := range map[string]string{
		`requestSize`:              "max: must be more than 0",
		`requestSize: {max: -1}`:   "max",
		`requestSize: {max: 5 XB}`: "max",
		`requestSize: {min: 5MB}`:  "min",
	} {
		_, err := filtertest.Parse(kinds(), "filters:\n  - "+section+"\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", section, err, want)
		}
	}
}
