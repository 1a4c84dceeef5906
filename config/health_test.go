package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// treated reads the one service of a document.
func treated(t *testing.T, section string) Service {
	t.Helper()
	return parse(t, good+"services: [{match: {service: s}, "+section+"}]\n").Services[0]
}

func TestHealthCheckDefaults(t *testing.T) {
	if h := treated(t, "protocol: http1").HealthCheck; h != nil {
		t.Errorf("without a section: %+v", h)
	}
	for section, want := range map[string]HealthCheck{
		"healthCheck: {kind: tcp}": {Kind: "tcp", Path: "/", Method: "GET", Statuses: []string{"2xx"},
			Interval: 5 * time.Second, Timeout: time.Second, UnhealthyThreshold: 3, HealthyThreshold: 2},
		"healthCheck: {kind: http, path: '/health?deep=1', method: HEAD, host: 'a.example:81', statuses: [2xx, 401], port: 9000, interval: 1s, timeout: 1s, unhealthyThreshold: 1, healthyThreshold: 1, waitForFirst: true}": {
			Kind: "http", Path: "/health?deep=1", Method: "HEAD", Host: "a.example:81", Statuses: []string{"2xx", "401"}, Port: 9000,
			Interval: time.Second, Timeout: time.Second, UnhealthyThreshold: 1, HealthyThreshold: 1, WaitForFirst: true},
	} {
		if got := treated(t, section).HealthCheck; !reflect.DeepEqual(*got, want) {
			t.Errorf("%s\n got %+v\nwant %+v", section, *got, want)
		}
	}
}

// TestHealthCheckMistakes has one mistake a line.
func TestHealthCheckMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                                         "kind: is missing; one of http, tcp, grpc, dubbo",
		"{kind: ping}":                               `kind: unknown kind "ping"; known: dubbo, grpc, http, tcp`,
		"{kind: htp}":                                `kind: unknown kind "htp"; did you mean "http"?`,
		"{kind: tcp, path: /x}":                      "path: means nothing to a check of kind tcp, only to http",
		"{kind: tcp, host: x}":                       "host: means nothing to a check of kind tcp, only to http and grpc",
		"{kind: dubbo, service: x}":                  "service: means nothing to a check of kind dubbo, only to grpc",
		"{kind: grpc, statuses: [200]}":              "statuses: means nothing to a check of kind grpc, only to http",
		"{kind: http, echo: true}":                   "echo: means nothing to a check of kind http, only to dubbo",
		"{kind: http, path: health}":                 `path: must begin with / and hold no blanks and no #, not "health"`,
		"{kind: http, path: '/a b'}":                 `path: must begin with / and hold no blanks and no #, not "/a b"`,
		`{kind: http, path: "/a\r\nX: y"}`:           `path: must begin with / and hold no blanks and no #, not "/a\r\nX: y"`,
		"{kind: http, method: 'G T'}":                `method: "G T" cannot be asked with`,
		"{kind: http, method: CONNECT}":              `method: "CONNECT" cannot be asked with`,
		"{kind: http, host: 'a b'}":                  `host: must be a name, with a port if need be, not "a b"`,
		"{kind: http, host: ':80'}":                  `host: must be a name, with a port if need be, not ":80"`,
		"{kind: http, statuses: []}":                 "statuses: no answer would mean well; leave it out for 2xx",
		"{kind: http, statuses: [2xx, 1xx]}":         `statuses[1]: must be a class such as 2xx, or a status from 200 to 599, not "1xx"`,
		"{kind: http, statuses: [600]}":              `statuses[0]: must be a class such as 2xx, or a status from 200 to 599, not "600"`,
		"{kind: tcp, port: 70000}":                   "port: must be from 1 to 65535",
		"{kind: tcp, interval: 50ms, timeout: 50ms}": "interval: must be at least 100ms",
		"{kind: tcp, timeout: 0s}":                   "timeout: must be more than 0",
		"{kind: tcp, timeout: 6s}":                   "timeout: must not be longer than interval, 5s",
		"{kind: tcp, unhealthyThreshold: 0}":         "unhealthyThreshold: must be at least 1",
		"{kind: tcp, healthyThreshold: -1}":          "healthyThreshold: must be at least 1",
		"{kind: tcp, intervall: 1s}":                 `intervall: unknown key "intervall"; did you mean "interval"?`,
		"{kind: tcp, waitForFirst: often}":           `waitForFirst: must be true or false, not "often"`,
	} {
		_, problems := Parse("f.yaml", []byte(good+"services: [{match: {service: s}, healthCheck: "+text+"}]\n"), testKinds())
		if len(problems) != 1 {
			t.Errorf("%s: %d problems: %v", text, len(problems), problems)
			continue
		}
		if _, message, _ := strings.Cut(problems[0].Error(), ": "); message != "services[0].healthCheck."+want {
			t.Errorf("%s:\n got %s\nwant services[0].healthCheck.%s", text, message, want)
		}
	}
}

func TestStatusRange(t *testing.T) {
	for text, want := range map[string][2]int{"2xx": {200, 299}, "5xx": {500, 599}, "204": {204, 204}, "599": {599, 599}} {
		if from, to, ok := StatusRange(text); !ok || from != want[0] || to != want[1] {
			t.Errorf("%s is %d-%d, %v", text, from, to, ok)
		}
	}
	for _, text := range []string{"", "6xx", "1xx", "2x", "2XX", "199", "600", "20 0", "200-299", "xxx"} {
		if _, _, ok := StatusRange(text); ok {
			t.Errorf("%q is a status", text)
		}
	}
}
