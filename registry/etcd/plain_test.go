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

func TestParseProvider(t *testing.T) {
	for escaped, want := range map[string]registry.Instance{
		"dubbo%3A%2F%2F10.0.0.1%3A20880%2Fa.B%3Fgroup%3Dg%26version%3D1%26enabled%3Dfalse": {Host: "10.0.0.1", Port: 20880, Protocol: "dubbo", Group: "g", Version: "1", Weight: 1, Disabled: true},
		"tri%3A%2F%2Fu%3Ap%40%5B2001%3Adb8%3A%3A1%5D%3A50051%2Fother%3Fweight%3D0":         {Host: "2001:db8::1", Port: 50051, Protocol: "tri", Path: "other"},
		"dubbo%3A%2F%2F2001%3Adb8%3A%3A1%3A20880%2Fa.B%3Fx%3D%25E4%25BD%25A0":              {Host: "2001:db8::1", Port: 20880, Protocol: "dubbo", Weight: 1},
		"dubbo%3A%2F%2Fh%3A1%2Fa.B%3Fweight%3D0%26release%3Ddubbo-golang-3":                {Host: "h", Port: 1, Protocol: "dubbo", Weight: 1},
		"dubbo%3A%2F%2Fh%3A1%2Fa.B%3Fweight%3D250%26disabled%3Dtrue":                       {Host: "h", Port: 1, Protocol: "dubbo", Weight: 2.5, Disabled: true},
	} {
		got, err := parseProvider("a.B", escaped)
		got.Metadata = nil
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v, %v\nwant %+v", escaped, got, err, want)
		}
	}
	for escaped, want := range map[string]string{
		"%zz": "not an escaped URL", "abc": "not a URL", "%3A%2F%2Fx": "not a URL", "rest%3A%2F%2Fh%3A1%2Fa": `protocol "rest"`,
		"dubbo%3A%2F%2F0.0.0.0%3A1%2Fa": "no address of one machine", "dubbo%3A%2F%2Fh%3A99999%2Fa": "not in 1-65535",
		"dubbo%3A%2F%2Fh%2Fa": "port 0", strings.Repeat("x", maxURL+1): "longer than",
	} {
		if _, err := parseProvider("a.B", escaped); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", escaped, err, want)
		}
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

// FuzzProvider: the same of a provider's URL.
func FuzzProvider(f *testing.F) {
	f.Add("dubbo%3A%2F%2F10.0.0.1%3A20880%2Fa.B%3Fgroup%3Dg%26weight%3D100")
	f.Add("tri%3A%2F%2F%5B%3A%3A1%5D%3A1%2F")
	f.Fuzz(func(t *testing.T, escaped string) {
		if i, err := parseProvider("a.B", escaped); err == nil {
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
		_, _ = parseMetadataInfo([]byte(text))
		st.remove(r, rel)
		if n := len(st.plain) + len(st.ifaces) + len(st.apps) + len(st.learn) + len(st.names()); n != 0 {
			t.Errorf("%d things are left", n)
		}
	})
}
