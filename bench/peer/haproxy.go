package peer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// HAProxy is HAProxy with one thread. Its maxconn is as high as 20,000 descriptors allow.
func HAProxy() Kind {
	return Kind{
		Name: "haproxy",
		Find: inPath("haproxy", "apt-get install -y haproxy"),
		Write: func(dir string, port int, backend string) error {
			return os.WriteFile(filepath.Join(dir, "haproxy.cfg"), fmt.Appendf(nil, `global
  nbthread 1
  maxconn 9500
defaults
  mode http
  http-reuse always
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s
frontend web
  bind 127.0.0.1:%d backlog 4096
  default_backend servers
backend servers
  server one %s
`, port, backend), 0o644)
		},
		Command: func(program, dir string, _ int) *exec.Cmd {
			return exec.Command(program, "-db", "-f", filepath.Join(dir, "haproxy.cfg"))
		},
		Version: firstLine("-v"),
	}
}
