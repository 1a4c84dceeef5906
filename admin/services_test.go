package admin

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestServices(t *testing.T) {
	orders := instance(t, "orders")
	h := open(t, document(orders))
	until(t, func() bool { status, _ := h.readiness(); return status == 200 })
	_, body := h.do("GET", "/api/v1/services")
	var list servicesDoc
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Services) != 2 {
		t.Fatalf("%s, %v", body, err)
	}
	want := serviceLine{Name: "orders", Registry: "local", Kind: "plain", Answered: true, Instances: 1, Excluded: 3}
	if got := list.Services[1]; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}

	type answer struct{ Services []serviceDoc }
	for _, path := range []string{"/api/v1/services/orders", "/api/v1/services/orders?registry=local"} {
		var one answer
		_, body = h.do("GET", path)
		if err := json.Unmarshal([]byte(body), &one); err != nil || len(one.Services) != 1 {
			t.Fatalf("%s: %s, %v", path, body, err)
		}
		s := one.Services[0]
		if s.Name != "orders" || s.Instances[0].Address != orders || s.Instances[0].Source != "local" {
			t.Errorf("%s: %+v", path, s)
		}
		reasons := ""
		for _, x := range s.Excluded {
			reasons += x.Reason + ";"
		}
		if reasons != `disabled;weight 0;protocol "gopher" is not one of dubbo, http1;` {
			t.Errorf("%s: %s", path, reasons)
		}
	}
	// A Dubbo service's name has slashes and colons.
	if _, body = h.do("GET", "/api/v1/services/g/com.acme.Users:1.0"); !strings.Contains(body, `"10.0.0.5:20880"`) {
		t.Error(body)
	}
	for _, path := range []string{"/api/v1/services/nobody", "/api/v1/services/orders?registry=other", "/api/v1/services/"} {
		resp, body := h.do("GET", path)
		if resp.StatusCode != 404 || !strings.Contains(body, "/api/v1/services lists those in use") {
			t.Errorf("%s: %s %s", path, resp.Status, body)
		}
	}
}
