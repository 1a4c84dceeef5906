package docs

import (
	"bufio"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// TestUpgradePasses: the README says that WebSocket and other upgrades are passed through.
func TestUpgradePasses(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Sec-WebSocket-Key") == "" {
			http.Error(w, "no upgrade arrived", http.StatusBadRequest)
			return
		}
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		for {
			line, err := buf.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, strings.ToUpper(line))
		}
	}))
	t.Cleanup(s.Close)
	web := begin(t, fmt.Sprintf(`registries: [{name: r, type: static, services: {chat: [%q]}}]
routes: [{name: chat, match: {path: "/chat"}, to: {service: chat}}]
`, s.Listener.Addr()))
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", web)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") != "websocket" {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	for _, word := range []string{"hello\n", "and again\n"} {
		if _, err := io.WriteString(conn, word); err != nil {
			t.Fatal(err)
		}
		if got, err := in.ReadString('\n'); err != nil || got != strings.ToUpper(word) {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// TestTLSToServices: a service by a certificate of one's own, and one that must not be believed.
func TestTLSToServices(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.ServerName)
	}))
	t.Cleanup(s.Close)
	ca := write(t, filepath.Join(t.TempDir(), "ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	web := begin(t, fmt.Sprintf(`registries:
  - {name: r, type: static, services: {good: [%[1]q], wrong: [%[1]q], strange: [{address: %[1]q, protocol: https}]}}
routes:
  - {name: good, match: {path: "/good"}, to: {service: good}}
  - {name: wrong, match: {path: "/wrong"}, to: {service: wrong}}
  - {name: strange, match: {path: "/strange"}, to: {service: strange}}
services:
  - {match: {service: good}, tls: {ca: %[2]q, serverName: example.com}}
  - {match: {service: wrong}, tls: {ca: %[2]q, serverName: other.example.org}}
`, s.Listener.Addr(), ca))
	untilAnswer(t, "http://"+web+"/good", 200, "example.com")
	untilAnswer(t, "http://"+web+"/wrong", 502, "upstream_connect")
	untilAnswer(t, "http://"+web+"/strange", 502, "upstream_connect")
}
