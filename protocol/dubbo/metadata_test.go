package dubbo

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// pb builds protobuf messages.
type pb []byte

func (b pb) text(n protowire.Number, s string) pb {
	return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), s)
}

func (b pb) number(n protowire.Number, v uint64) pb {
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
}

func sampleInfo() pb {
	service := pb{}.text(1, "lab.UserService").text(2, "g1").text(3, "1.0.0").text(4, "dubbo").number(5, 20880).text(6, "lab.UserService").
		text(7, string(pb{}.text(1, "methods").text(2, "hello"))).text(7, string(pb{}.text(1, "empty")))
	service = protowire.AppendFixed32(protowire.AppendTag(service, 99, protowire.Fixed32Type), 5) // a field of the future
	return pb{}.text(1, "users").text(2, "0.0.1").text(3, string(pb{}.text(1, "g1/lab.UserService:1.0.0:dubbo").text(2, string(service))))
}

func envelope(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// startTriple serves f as HTTP/2 without TLS.
func startTriple(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: f, Protocols: new(http.Protocols), ReadHeaderTimeout: time.Minute}
	server.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return ln.Addr().String()
}

func TestMetadataOverTriple(t *testing.T) {
	address := startTriple(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/org.apache.dubbo.metadata.MetadataServiceV2/GetMetadataInfo" || r.Header.Get("Te") != "trailers" ||
			!bytes.Equal(body, envelope(pb{}.text(1, "rev1"))) {
			t.Errorf("request %s %q %q", r.URL.Path, r.Header, body)
		}
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = w.Write(envelope(sampleInfo()))
		w.Header().Set("Grpc-Status", "0")
	})
	doc, err := new(MetadataFetcher).FetchMetadata(context.Background(), "tri", address, "users", "rev1")
	if err != nil {
		t.Fatal(err)
	}
	var got metadataInfo
	if err := json.Unmarshal(doc, &got); err != nil {
		t.Fatal(err)
	}
	want := metadataInfo{App: "users", Revision: "rev1", Services: map[string]serviceInfo{"g1/lab.UserService:1.0.0:dubbo": {
		Name: "lab.UserService", Group: "g1", Version: "1.0.0", Protocol: "dubbo", Port: 20880, Path: "lab.UserService",
		Params: map[string]string{"methods": "hello", "empty": ""},
	}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("metadata %+v\nwant %+v", got, want)
	}
}

func TestMetadataOverTripleFails(t *testing.T) {
	tests := map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"HTTP error": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "404"},
		"grpc error": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Grpc-Status", "2")
			w.Header().Set("Grpc-Message", "no revision")
		}, "grpc status 2: no revision"},
		"nothing":       {func(http.ResponseWriter, *http.Request) {}, "without a message"},
		"compressed":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{1, 0, 0, 0, 0}) }, "compressed"},
		"half":          {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0, 0, 0, 0, 9, 1}) }, "not one message"},
		"rubbish":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(envelope([]byte{0xff})) }, "read metadata"},
		"rubbish entry": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(envelope(pb{}.text(3, "\xff"))) }, "read metadata"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := new(MetadataFetcher).FetchMetadata(context.Background(), "tri", startTriple(t, tt.answer), "users", "r")
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "users revision r") {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestMetadataOverDubbo(t *testing.T) {
	document := `{"app":"users","revision":"r","services":{"lab.A:dubbo":{"name":"lab.A"}}}`
	tests := []struct {
		name, answer, want, err string
	}{
		{"as a string", string(hessian.AppendString([]byte{0x91}, document)), document, ""},
		{"as a map", "\x94H\x08servicesHZZHZ", `{"services":{}}`, ""},
		{"null", "\x92", "", "does not know this revision"},
		{"some text", string(hessian.AppendString([]byte{0x91}, "hello")), "", "read metadata"},
		{"silence", "", "", "upstream_timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := startPeer(t, func(pc *peerConn) {
				pc.requests(func(id uint64, body []byte) {
					for _, part := range []string{"\x30\x29org.apache.dubbo.metadata.MetadataService\x051.0.0\x0fgetMetadataInfo\x12Ljava/lang/String;\x04rev1H", "\x05group\x05users"} {
						if !strings.Contains(string(body), part) {
							t.Errorf("request %q lacks %q", body, part)
						}
					}
					if strings.Contains(string(body), "generic") {
						t.Errorf("request %q is generic", body)
					}
					if tt.answer != "" {
						pc.send(answerFrame(id, 20, []byte(tt.answer)))
					}
				})
			})
			f := &MetadataFetcher{Timeout: 2 * time.Second}
			if tt.answer == "" {
				f.Timeout = 50 * time.Millisecond
			}
			got, err := f.FetchMetadata(context.Background(), "dubbo", p.address(), "users", "rev1")
			if string(got) != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("metadata %q, error %v; want %q, %q", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestMetadataOverNothing(t *testing.T) {
	if _, err := new(MetadataFetcher).FetchMetadata(context.Background(), "rest", "127.0.0.1:1", "a", "r"); err == nil {
		t.Error("an unknown protocol is accepted")
	}
}

func FuzzReadMetadataInfo(f *testing.F) {
	f.Add([]byte(sampleInfo()))
	f.Add([]byte{0x1a, 2, 0x12, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := readMetadataInfo(b)
		if err == nil && info.Services == nil {
			t.Error("neither services nor an error")
		}
	})
}

func FuzzTemplateText(f *testing.F) {
	for _, s := range []string{"{path.id}", "a{{b}}{query.q}", "{body/a/b~1c}", "}", "{", "{path.}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parts, err := parseText(s)
		if err == nil && len(parts) == 0 {
			t.Errorf("%q has no parts", s)
		}
	})
}
