package peer

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Nginx is nginx with one worker, the measure of all others.
func Nginx() Kind {
	return Kind{
		Name: "nginx",
		Find: inPath("nginx", "apt-get install -y nginx-light"),
		Write: func(dir string, port int, backend string) error {
			return writeNginx(dir, fmt.Sprintf(`  upstream backend {
    server %s;
    keepalive 128;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
  }
  server {
    listen 127.0.0.1:%d backlog=4096;
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_max_temp_file_size 0;
    }
  }`, backend, port))
		},
		Command: nginxCommand,
		Version: firstLine("-v"),
	}
}

// Backend is what all peers stand in front of: nginx too, the least CPU that an answer can cost here. It answers 1,024
// bytes to everything but paths that end in "/big", where it has a file of 1 MB.
func Backend() Kind {
	return Kind{
		Name: "backend",
		Find: inPath("nginx", "apt-get install -y nginx-light"),
		Write: func(dir string, port int, _ string) error {
			if err := os.WriteFile(filepath.Join(dir, "big"), []byte(strings.Repeat("x", 1<<20)), 0o644); err != nil {
				return err
			}
			return writeNginx(dir, fmt.Sprintf(`  sendfile on;
  server {
    listen 127.0.0.1:%d backlog=4096;
    location / { return 200 "%s"; }
    location ~ /big$ { root %s; try_files /big =404; }
  }`, port, strings.Repeat("x", 1024), dir))
		},
		Command: nginxCommand,
		Version: firstLine("-v"),
	}
}

func writeNginx(dir, server string) error {
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // else the worker could not read this folder
	}
	conf := fmt.Sprintf(`daemon off;
%s
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 16384; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  default_type application/octet-stream;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
%s
}
`, user, server)
	return os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(conf), 0o644)
}

func nginxCommand(program, dir string, _ int) *exec.Cmd {
	return exec.Command(program, "-e", "stderr", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
}

// inPath looks a program up, in the folders of administrators too.
func inPath(name, remedy string) func(context.Context, string) (string, error) {
	return func(context.Context, string) (string, error) {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
		if path := "/usr/sbin/" + name; exists(path) {
			return path, nil
		}
		return "", fmt.Errorf("%s is not installed (%s)", name, remedy)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// firstLine runs a program for its version.
func firstLine(args ...string) func(context.Context, string) string {
	return func(ctx context.Context, program string) string {
		out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		if err != nil || line == "" {
			return "unknown"
		}
		return strings.TrimSpace(line)
	}
}
