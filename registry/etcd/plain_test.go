package etcd

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
)

func val(text string) value { return value{text, len(text)} }

func TestParsePlain(t *testing.T) {
	in := func(host string, port int, change func(*registry.Instance)) registry.Instance {
		i := registry.Instance{Host: host, Port: port, Weight: 1}
		if change != nil {
			change(&i)
		}
		return i
	}
	for text, want := range map[string]registry.Instance{
		"10.0.0.1:80":                        in("10.0.0.1", 80, nil),
		" 10.0.0.1:80\n":                     in("10.0.0.1", 80, nil),
		"[2001:db8::1]:80":                   in("2001:db8::1", 80, nil),
		"http://h:8080/path?x=y":             in("h", 8080, func(i *registry.Instance) { i.Protocol = "http" }),
		"HTTPS://h":                          in("h", 443, func(i *registry.Instance) { i.Protocol = "https" }),
		`{"address":"h:80"}`:                 in("h", 80, nil),
		`{"Address":"h","Port":80}`:          in("h", 80, nil),
		`{"ip":"10.0.0.1","port":"80"}`:      in("10.0.0.1", 80, nil),
		`{"host":"h","port":80,"weight":0}`:  in("h", 80, func(i *registry.Instance) { i.Weight = 0 }),
		`{"host":"h","port":80,"weight":{}}`: in("h", 80, nil),
		`{"host":"h","port":80,"healthy":false,"zone":"z","protocol":"GRPC"}`: in("h", 80, func(i *registry.Instance) {
			i.Unhealthy, i.Zone, i.Protocol = true, "z", "grpc"
		}),
		// etcd's naming/endpoints
		`{"Op":0,"Addr":"10.0.0.1:80","Metadata":null}`:       in("10.0.0.1", 80, nil),
		`{"Op":0,"Addr":"10.0.0.1:80","Metadata":"a string"}`: in("10.0.0.1", 80, nil),
		`{"Op":1,"Addr":"10.0.0.1:80"}`:                       in("10.0.0.1", 80, func(i *registry.Instance) { i.Disabled = true }),
		// go-kratos
		`{"id":"x","name":"orders","version":"v1","metadata":{"weight":"5"},"endpoints":["grpc://10.0.0.1:9000?isSecure=false","http://10.0.0.1:8000?isSecure=false"]}`: in("10.0.0.1", 8000, func(i *registry.Instance) {
			i.Protocol, i.Weight, i.Metadata = "http", 5, map[string]string{"weight": "5"}
		}),
		`{"endpoints":["http://10.0.0.1:8000?isSecure=true"]}`: in("10.0.0.1", 8000, func(i *registry.Instance) { i.Protocol = "https" }),
		`{"endpoints":["grpc://10.0.0.1:9000"]}`:               in("10.0.0.1", 9000, func(i *registry.Instance) { i.Protocol = "grpc" }),
		// Kitex
		`{"network":"tcp","address":"10.0.0.1:8888","weight":10,"tags":{"zone":"a"}}`: in("10.0.0.1", 8888, func(i *registry.Instance) {
			i.Weight, i.Zone, i.Metadata = 10, "a", map[string]string{"zone": "a"}
		}),
		`{"endpoints":"none","host":"h","port":80}`: in("h", 80, nil),
	} {
		got, err := parsePlain(val(text))
		if len(got.Metadata) == 0 {
			got.Metadata = nil
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v, %v\nwant %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "no value", " \n": "no value", "{": "not valid JSON", "{}": "no host", `{"endpoints":[]}`: "no host",
		"host": "port 0", "a b:80": "is not a name", "h:x": "is not a number", "h:0": "port 0",
		strings.Repeat("x", 600): "neither", `{"host":"h","port":80,"weight":-1}`: "weight -1",
	} {
		if _, err := parsePlain(val(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := parsePlain(value{size: maxValue + 1}); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Error(err)
	}
}

// FuzzPlain: what is read from any value can be dialled, or is an error.
func FuzzPlain(f *testing.F) {
	for _, seed := range []string{
		"10.0.0.1:80", "http://[::1]:80/x?isSecure=true", `{"Op":0,"Addr":"a:1","Metadata":{"zone":1}}`, `{"endpoints":["grpc://a:1"],"weight":"1e3"}`,
		`{"host":"h","port":80,"weight":1e400,"enabled":1,"tags":[]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if i, err := parsePlain(val(text)); err == nil {
			if err := i.Validate(); err != nil {
				t.Errorf("%+v: %v", i, err)
			}
		}
	})
}

// FuzzKeys: a state takes any keys and values, and is empty when they are all gone.
func FuzzKeys(f *testing.F) {
	_, node := instanceOf("app", "10.0.0.1", 1, "r", metadataOf("app", providerURL("tri", "h", 1, map[string][]string{})))
	f.Add("orders/a", "10.0.0.1:80", uint8(0))
	f.Add("app/h:1", node, uint8(0))
	f.Add("a.B/providers/dubbo%3A%2F%2Fh%3A1%2Fa.B", "", uint8(1))
	f.Add("app/r", `{"services":{"g/a.B:1:tri":{"port":1}}}`, uint8(1))
	roots := Default().roots()
	f.Fuzz(func(t *testing.T, rel, text string, which uint8) {
		st := newState()
		r := roots[int(which)%len(roots)]
		st.put(r, rel, []byte(text))
		st.put(r, rel, []byte("10.0.0.1:80"))
		st.put(r, rel, []byte(text))
		st.names()
		for _, all := range st.apps {
			for _, n := range all {
				for i := range n.lesson.services {
					_, _ = n.instance(&n.lesson.services[i])
				}
			}
		}
		st.remove(r, rel)
		if n := len(st.plain) + len(st.ifaces) + len(st.apps) + len(st.learn) + len(st.names()); n != 0 {
			t.Errorf("%d things are left", n)
		}
	})
}
