package http2

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

func TestXNetClientGet(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		return reply(req, 200, "hello "+req.Path+"?"+req.RawQuery), nil
	})
	c := xnetClient(t)
	for i := range 3 {
		resp, err := c.Get(fmt.Sprintf("http://%s/a/%d?q=1", addr, i))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(b) != fmt.Sprintf("hello /a/%d?q=1", i) || resp.ProtoMajor != 2 || resp.Header.Get("Date") == "" {
			t.Errorf("%q %v %v", b, err, resp)
		}
	}
}

func TestXNetClientEcho(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, echoHandler)
	c := xnetClient(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			size := []int{0, 1, 100, 16384, 70000, 1 << 20, 9 << 20}[i%7]
			body := bytes.Repeat([]byte{byte('a' + i)}, size)
			resp, err := c.Post("http://"+addr+"/x", "text/plain", bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d octets came back as %d, %v", size, len(got), err)
			}
		})
	}
	wg.Wait()
}

// TestXNetClientTrailers carries trailers both ways.
func TestXNetClientTrailers(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		b, err := protocol.ReadAll(nil, req.Body, 1<<20)
		if err != nil {
			return nil, err
		}
		resp := reply(req, 200, string(b))
		resp.Trailer.Add("X-Sum", req.Trailer.Get("x-sum")+"!")
		return resp, nil
	})
	req, _ := http.NewRequest("POST", "http://"+addr+"/", io.NopCloser(strings.NewReader("body")))
	req.Trailer = http.Header{"X-Sum": {"4"}}
	resp, err := xnetClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || string(b) != "body" || resp.Trailer.Get("X-Sum") != "4!" {
		t.Errorf("%q %v %v", b, err, resp.Trailer)
	}
}
