package grpc

import (
	"testing"
)

func TestUnaryByReflection(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	r := ask(t, "POST", url+"/test.shop.v1.Shop/Echo", `{"name":"a","serial":"7","color":"RED","tags":["x","y"]}`)
	if r.status != 200 || r.body != `{"name":"a","serial":"7","color":"RED","tags":["x","y"]}` {
		t.Errorf("%d %s", r.status, r.body)
	}
	if got := r.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
	if got := r.header.Get("X-Shop"); got != "open" {
		t.Errorf("metadata %q", got)
	}
}
