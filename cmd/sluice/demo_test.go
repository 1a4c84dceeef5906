package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// curl is a request that the demo prints.
type curl struct {
	url, body string
	header    http.Header
}

// curls reads the curl lines of a text: options that carry a value are -d, -H, -o and -w.
func curls(t *testing.T, text string) []curl {
	t.Helper()
	var all []curl
	for _, line := range regexp.MustCompile(`curl -s[^;\n]*`).FindAllString(text, -1) {
		c := curl{header: http.Header{}}
		words := regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1)[1:]
		for i := 0; i < len(words); i++ {
			value := func() string { i++; return strings.Trim(words[i], "'") }
			switch words[i] {
			case "-s":
			case "-o", "-w":
				value()
			case "-d":
				c.body = value()
			case "-H":
				name, v, _ := strings.Cut(value(), ": ")
				c.header.Set(name, v)
			default:
				if !strings.HasPrefix(words[i], "http://127.0.0.1:") {
					t.Fatalf("word %q of %q", words[i], line)
				}
				c.url = words[i]
			}
		}
		all = append(all, c)
	}
	return all
}

func (c curl) run(t *testing.T) (status int, body string) {
	t.Helper()
	method, content := http.MethodGet, io.Reader(nil)
	if c.body != "" {
		method, content = http.MethodPost, strings.NewReader(c.body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.url, content)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = c.header
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// object reads an answer of the demo's.
func object(t *testing.T, body string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return m
}

// TestDemo does what the demo tells its user to do, and then looks for what it left behind.
func TestDemo(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c := begin(t, "demo", "--address", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	until(t, func() bool { return strings.Contains(c.stdout.String(), "Ctrl-C ends the demo") || len(c.done) > 0 })
	text := c.stdout.String()
	lines := curls(t, text)
	if len(lines) != 6 {
		t.Fatalf("%d curl lines in\n%s\n%s", len(lines), text, c.stderr.String())
	}
	hello, get, create, wrong, limited, status := lines[0], lines[1], lines[2], lines[3], lines[4], lines[5]

	t.Run("every instance answers", func(t *testing.T) { until(t, func() bool { return len(who(t, hello)) == 3 }) })
	t.Run("Dubbo as REST", func(t *testing.T) {
		until(t, func() bool { code, _ := get.run(t); return code == 200 })
		_, body := get.run(t)
		if u := object(t, body); u["id"] != 42.0 || u["name"] != "Grace" {
			t.Errorf("user %v", u)
		}
		code, body := create.run(t)
		if u := object(t, body); code != 200 || u["name"] != "Ada" || u["age"] != 36.0 || u["role"] != "ADMIN" {
			t.Errorf("%d %v", code, u)
		}
		code, body = wrong.run(t)
		if p := object(t, body); code != 400 || p["code"] != "bad_argument" || !strings.Contains(body, "age") {
			t.Errorf("%d %v", code, p)
		}
	})
	t.Run("limit", func(t *testing.T) {
		seen := map[int]int{}
		until(t, func() bool { code, _ := limited.run(t); seen[code]++; return seen[200] > 0 && seen[429] > 0 })
		if len(seen) != 2 {
			t.Errorf("answers %v", seen)
		}
	})
	t.Run("an instance goes and comes back", func(t *testing.T) {
		file := regexp.MustCompile(`\S+hello\.yaml`).FindString(text)
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		without := slices.Collect(strings.Lines(string(before)))
		write(t, file, strings.Join(without[:len(without)-1], ""))
		until(t, func() bool { return len(who(t, hello)) == 2 })
		write(t, file, string(before))
		until(t, func() bool { return len(who(t, hello)) == 3 })
	})
	t.Run("the configuration is followed", func(t *testing.T) {
		file := regexp.MustCompile(`\S+sluice\.yaml`).FindString(text)
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, strings.Replace(string(before), `"/hello/**"`, `"/hallo/**"`, 1))
		hallo := curl{url: strings.Replace(hello.url, "/hello/", "/hallo/", 1)}
		until(t, func() bool { code, _ := hallo.run(t); return code == 200 })
	})
	t.Run("status", func(t *testing.T) {
		code, body := status.run(t)
		if doc := object(t, body); code != 200 || doc["ready"] != true {
			t.Errorf("%d %s", code, body)
		}
	})

	if code := c.stop(); code != 0 || c.stderr.String() != "" {
		t.Errorf("exit status %d: %s", code, c.stderr.String())
	}
	left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, _, err := fetch(hello.url); err == nil {
		t.Error("the gateway still answers")
	}
}

// who says which instances answer 30 requests.
func who(t *testing.T, hello curl) map[any]bool {
	t.Helper()
	seen := map[any]bool{}
	for range 30 {
		code, body := hello.run(t)
		if code != 200 {
			t.Fatalf("%d %s", code, body)
		}
		seen[object(t, body)["instance"]] = true
	}
	return seen
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A port that is taken is no reason not to try the demo.
func TestDemoBesideAnother(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := &http.Server{}
	taken := free(t)
	s.Addr = taken
	done := make(chan struct{})
	go func() { defer close(done); _ = s.ListenAndServe() }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	until(t, func() bool { _, _, err := fetch("http://" + taken); return err == nil })
	c := begin(t, "demo", "--address", taken, "--admin", taken)
	until(t, func() bool { return strings.Contains(c.stdout.String(), "Ctrl-C ends the demo") || len(c.done) > 0 })
	if strings.Contains(c.stdout.String(), taken) || len(curls(t, c.stdout.String())) != 6 {
		t.Errorf("printed %s", c.stdout.String())
	}
	if code := c.stop(); code != 0 {
		t.Errorf("exit status %d: %s", code, c.stderr.String())
	}
}
