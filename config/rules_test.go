package config

import (
	"strings"
	"testing"
)

// TestRules has one mistake a line. Each document is a good one but for the line that is put into it, and the only
// message must be the one that is given.
func TestRules(t *testing.T) {
	const (
		route   = "routes:\n  - {name: a, match: {path: '/a/{id}'}, to: {service: s, registry: nacos}, $}"
		match   = "routes:\n  - {name: a, match: {path: '/a/{id}', $}, to: {service: s, registry: nacos}}"
		target  = "routes:\n  - {name: a, match: {path: '/a/{id}'}, to: {registry: zk, $}}"
		dubbo   = "routes:\n  - {name: a, match: {path: '/a/{id}'}, to: {registry: zk, dubbo: {$}}}"
		service = "services:\n  - {match: {service: s}, $}"
		plain   = "$"
	)
	for _, test := range []struct{ in, text, want string }{
		{route, "flowControl: {qps: 0}", "flowControl: limits nothing; give qps, concurrency, or both"},
		{route, "flowControl: {qps: many}", `flowControl.qps: must be a number, not "many"`},
		{route, "flowControl: {qps: -0.5}", "flowControl.qps: must not be negative"},
		{route, "flowControl: {concurrency: -1}", "flowControl.concurrency: must not be negative"},
		{route, "flowControl: {burst: 1, qps: 1}", `flowControl.burst: unknown key "burst"; known: concurrency, qps`},
		{route, "filters: cors", "filters: must be a list, not a single value"},
		{route, "filters: [7]", `filters[0]: unknown filter "7"; known: cors, redirect, setRequestHeader, stripPrefix`},
		{route, "filters: [{stripPrefix: {part: 1}}]", `filters[0].stripPrefix.part: unknown key "part"; did you mean "parts"?`},
		{route, "filters: [{stripPrefix: 7}]", "filters[0].stripPrefix: must be a mapping with the keys parts, not a single value"},
		{route, "filters: [{stripPrefix: {parts: 0}}]", "filters[0].stripPrefix.parts: must be at least 1"},
		{route, "filters: [{}]", "filters[0]: must be a filter's name, or a mapping such as stripPrefix: {parts: 1}"},
		{route, "filters: [{cors: {origins: '*'}}]", "filters[0].cors.origins: must be a list, not a single value"},

		{match, "hosts: shop.example.com", "match.hosts: must be a list, not a single value"},
		{match, "hosts: ['shop.example.com:80']", "match.hosts[0]: must be without a port; a host matches on every port"},
		{match, "hosts: ['*']", `match.hosts[0]: must be a name such as shop.example.com, or *.example.com, not "*"`},
		{match, "hosts: ['a.*.com']", `match.hosts[0]: must be a name such as shop.example.com, or *.example.com, not "a.*.com"`},
		{match, "hosts: ['-a.com']", `match.hosts[0]: must be a name such as shop.example.com, or *.example.com, not "-a.com"`},
		{match, "hosts: ['']", `match.hosts[0]: must be a name such as shop.example.com, or *.example.com, not ""`},
		{match, "hosts: ['a..b']", `match.hosts[0]: must be a name such as shop.example.com, or *.example.com, not "a..b"`},
		{match, "methods: [POSt]", `match.methods[0]: methods are in capitals; did you mean "POST"?`},
		{match, "methods: ['GET,POST']", `match.methods[0]: "GET,POST" is not a method's name`},
		{match, "headers: {X-A: {regex: '['}}", "match.headers.X-A.regex: error parsing regexp: missing closing ]: `[`"},
		{match, "headers: {X-A: [a]}", "match.headers.X-A: must be a mapping with the keys exact, prefix, present, regex, not a list"},
		{match, "headers: {X-A: {exact: a, regex: b}}", "match.headers.X-A: takes only one of exact, prefix and regex"},
		{match, "headers: {'X A': a}", `match.headers: "X A" cannot be a name`},
		{match, "query: {q: {present: maybe}}", `match.query.q.present: must be true or false, not "maybe"`},
		{match, "cookies: {'a;b': a}", `match.cookies: "a;b" cannot be a name`},
		{match, "cookies: {c: {present: false, prefix: a}}", "match.cookies.c.present: must not be false beside exact, prefix or regex"},
		{match, "methd: [GET]", `match.methd: unknown key "methd"; did you mean "methods"?`},

		{target, "dubbo: {interface: a.B, method: m}, service: s", "to.service: cannot stand beside dubbo, whose interface names the service"},
		{target, "dubbo: {interface: a.B, method: m}, group: g", "to.group: cannot stand beside dubbo, which has a group of its own"},
		{target, "group: g", "to: needs service, or dubbo"},
		{target, "service: '{ids}'", `to.service: unknown capture of the path "ids"; did you mean "id"?`},
		{target, "service: 's-{id'", "to.service: has a brace without its partner"},
		{target, "service: 's-id}'", "to.service: has a brace without its partner"},
		{target, "service: s, timeout: fast", `to.timeout: must be a duration such as 3s, 500ms or 1h30m, not "fast"`},
		{target, "service: s, timeout: -1s", "to.timeout: must not be negative"},
		{target, "service: s, retries: {attempts: -1}", "to.retries.attempts: must not be negative"},
		{target, "service: s, retries: 2", "to.retries: must be a mapping with the keys attempts, backoff, idempotent, on, perTry, not a single value"},

		{dubbo, "method: m", "to.dubbo.interface: is missing"},
		{dubbo, "interface: a.B", "to.dubbo.method: is missing"},
		{dubbo, "interface: 'g/a.B:1', method: m", `to.dubbo.interface: must be a Java interface's full name, not "g/a.B:1"`},
		{dubbo, "interface: a.B, method: '{m}'", `to.dubbo.method: unknown capture of the path "m"; known: id`},
		{dubbo, "interface: 'a.{b}', method: m", `to.dubbo.interface: unknown capture of the path "b"; known: id`},
		{dubbo, "interface: a.B, method: m, args: '{body}'", "to.dubbo.args: must be a list, not a single value"},
		{dubbo, "interface: a.B, method: m, args: ['{path.di}']", `to.dubbo.args[0]: unknown capture of the path "di"; did you mean "id"?`},
		{dubbo, "interface: a.B, method: m, args: ['{path}']", "to.dubbo.args[0]: needs a name, as in {path.id}"},
		{dubbo, "interface: a.B, method: m, args: ['{path.id}-{path.di}']", `to.dubbo.args[0]: unknown capture of the path "di"; did you mean "id"?`},
		{dubbo, "interface: a.B, method: m, args: [1, '{heade.X}']", `to.dubbo.args[1]: unknown source of an argument "heade"; did you mean "header"?`},
		{dubbo, "interface: a.B, method: m, args: ['{body.a.b}']", "to.dubbo.args[0]: a place in the body is written {body/a/b}"},
		{dubbo, "interface: a.B, method: m, args: [], types: [int]", "to.dubbo.types: has 1 types for 0 args"},
		{dubbo, "interface: a.B, method: m, types: ['a b']", `to.dubbo.types[0]: must be a Java type such as java.lang.String, not "a b"`},
		{dubbo, "interface: a.B, method: m, attachments: ['a:']", `to.dubbo.attachments[0]: "a:" is not a header's name`},
		{dubbo, "interface: a.B, method: m, unknown: drop", `to.dubbo.unknown: unknown word "drop"; known: ignore, reject`},

		{service, "balance: {policy: rando}", `services[0].balance.policy: unknown policy "rando"; did you mean "random"?`},
		{service, "balance: {policy: round-robin}", `services[0].balance.policy: unknown policy "round-robin"; did you mean "roundRobin"?`},
		{service, "protocol: h3", `services[0].protocol: unknown protocol "h3"; did you mean "h2"?`},
		{service, "tls: {key: k}", "services[0].tls: cert and key go together"},
		{service, "tls: true", "services[0].tls: must be a mapping with the keys ca, cert, key, serverName, not a single value"},
		{service, "connections: {max: -1}", "services[0].connections.max: must not be negative"},
		{service, "connections: {pending: -1}", "services[0].connections.pending: must not be negative"},
		{service, "preserveHost: 'false'", `services[0].preserveHost: must be true or false, not "false"; leave the quotes out`},
		{plain, "services: [{match: {}}]", "services[0].match.service: is missing"},
		{plain, "services: [{}]", "services[0].match.service: is missing"},
		{plain, "services: [{match: {service: s, registry: nakos}}]", `services[0].match.registry: unknown registry "nakos"; did you mean "nacos"?`},

		{plain, "admin: {address: 9900}", `admin.address: must be host:port such as "127.0.0.1:8080" or ":8080", not "9900", or off`},
		{plain, "admin: {address: ':08080'}", `admin.address: must be host:port such as "127.0.0.1:8080" or ":8080", not ":08080", or off`},
		{plain, "admin: {address: '0.0.0.0:8080'}", `admin.address: "0.0.0.0:8080" is already taken by listeners[0].address`},
		{plain, "accessLog: {path: ''}", "accessLog.path: must be a file, stdout, stderr or off"},
		{plain, "startup: {timeout: -1s}", "startup.timeout: must not be negative"},
		{plain, "shutdown: {grace: 10}", `shutdown.grace: must be a duration such as 3s, 500ms or 1h30m, not "10"`},
		{plain, "shutdwon: {}", `shutdwon: unknown key "shutdwon"; did you mean "shutdown"?`},
	} {
		text := strings.Replace(test.in, "$", test.text, 1)
		want := test.want
		if strings.HasPrefix(text, "routes:") {
			want = "routes[0]." + want
		}
		_, problems := Parse("f.yaml", []byte(good+text+"\n"), testKinds())
		if len(problems) != 1 {
			t.Errorf("%s: %d problems: %v", test.text, len(problems), problems)
			continue
		}
		if _, message, _ := strings.Cut(problems[0].Error(), ": "); message != want {
			t.Errorf("%s:\n got %s\nwant %s", test.text, message, want)
		}
		if line := strings.Split(good+text, "\n")[problems[0].Pos.Line-1]; problems[0].Pos.Column > len(line) {
			t.Errorf("%s: column %d of %q", test.text, problems[0].Pos.Column, line)
		}
	}
}

const good = `listeners: [{name: web, address: ":8080"}]
registries: [{name: nacos, type: nacos}, {name: zk, type: zookeeper}]
`

// TestAllowed has what looks unusual and is right.
func TestAllowed(t *testing.T) {
	for _, text := range []string{
		"",
		"admin: {address: off}",
		"admin: {address: '[::1]:9900'}",
		"admin:",
		"routes:",
		"routes: []",
		"routes: [{name: a, match: {path: /, hosts: ['*.x.com', 10.0.0.1, '[::1]', a_b.local]}, to: {service: s, registry: nacos}}]",
		"routes: [{name: a, match: {path: /, methods: [PROPFIND, M-SEARCH]}, to: {service: s, registry: nacos}}]",
		"routes: [{name: a, match: {path: '/{s}/{m}'}, to: {service: '{s}-{m}', registry: nacos, timeout: 0s, retries: {attempts: 0}}}]",
		"routes: [{name: a, match: {path: '/{i}/{m}'}, to: {dubbo: {interface: 'com.{i}', method: '{m}'}, registry: zk}}]",
		"routes: [{name: a, match: {path: '/{id}'}, to: {dubbo: {interface: a.B, method: m, args: ['{body}', '{body/a/0}', '{query.q}', '{cookie.c}', '{header.X}', 7, {a: [b]}, 'a {{b}} c', '{path.id}-{query.q}', '']}, registry: zk}}]",
		"routes: [{name: a, match: {path: /, headers: {a: b, c: {present: true}, d: {prefix: e}, f: {regex: 'g.*'}, h: {}}}, to: {service: s, registry: nacos}}]",
		"routes: [{name: a, match: {path: /}, flowControl: {qps: 0.5}, filters: [cors, {cors: {origins: []}}], to: {service: s, registry: nacos}}]",
		"services: [{match: {service: a}}, {match: {service: a, registry: zk}}, {match: {service: 'b*'}, protocol: dubbo, tls: {ca: x, cert: y, key: z}}]",
		"shutdown: {grace: 0s, delay: 1h30m}",
	} {
		if doc, problems := Parse("f.yaml", []byte(good+text+"\n"), testKinds()); problems != nil || doc == nil {
			t.Errorf("%s: %v", text, problems)
		}
	}
}

func TestPatternIsOptional(t *testing.T) {
	kinds := testKinds()
	kinds.Pattern = nil
	for path, ok := range map[string]bool{"/{a": true, "a": false} {
		_, problems := Parse("f.yaml", []byte(good+"routes: [{name: a, match: {path: '"+path+"'}, to: {service: s, registry: nacos}}]"), kinds)
		if (problems == nil) != ok {
			t.Errorf("%s: %v", path, problems)
		}
	}
}

func TestAddressesMayNotMeet(t *testing.T) {
	for pair, meet := range map[string]bool{
		":80 :80": true, ":80 0.0.0.0:80": true, "127.0.0.1:80 [::]:80": true, "127.0.0.1:80 127.0.0.1:80": true,
		":80 :81": false, "127.0.0.1:80 127.0.0.2:80": false, ":0 :0": false, "localhost:80 127.0.0.1:80": false,
	} {
		a, b, _ := strings.Cut(pair, " ")
		_, problems := Parse("f.yaml", []byte("listeners: [{name: a, address: '"+a+"'}, {name: b, address: '"+b+"'}]"), testKinds())
		if (problems != nil) != meet {
			t.Errorf("%s: %v", pair, problems)
		}
	}
}
