package http2

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

// curl runs curl, which tests of this room need.
func curl(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "curl", append([]string{"-sS", "--http2-prior-knowledge"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("curl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestCurl(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		if req.Path != "/read-first" {
			return echoHandler(ctx, req)
		}
		b, err := protocol.ReadAll(nil, req.Body, 1<<20)
		if err != nil {
			return nil, err
		}
		return reply(req, 200, string(b)), nil
	})
	url := "http://" + addr
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"get", []string{"-i", url + "/a/../b?x"}, []string{"HTTP/2 200", "x-path: /b", "x-method: GET"}},
		{"head", []string{"-I", url + "/"}, []string{"HTTP/2 200", "x-method: HEAD"}},
		{"post", []string{"-i", "-d", "some data", url + "/"}, []string{"HTTP/2 200", "content-length: 9", "some data"}},
		{"options", []string{"-i", "-X", "OPTIONS", "--request-target", "*", url}, []string{"HTTP/2 200", "x-path: *"}},
		{"expect", []string{"-i", "-H", "Expect: 100-continue", "-d", "some data", url + "/read-first"}, []string{"HTTP/2 100", "HTTP/2 200", "some data"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := curl(t, c.args...)
			for _, w := range c.want {
				if !strings.Contains(out, w) {
					t.Errorf("%q is missing in\n%s", w, out)
				}
			}
		})
	}
	file := filepath.Join(t.TempDir(), "large")
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	if err := os.WriteFile(file, large, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := curl(t, "-T", file, url+"/"); out != string(large) {
		t.Errorf("%d octets came back as %d", len(large), len(out))
	}
}
