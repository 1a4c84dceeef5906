package dubbo_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// person is a user of the provider's Samples without its parent.
func person(id, age string) string {
	return `{"id":` + id + `,"name":"user-` + id + `","nickname":null,"age":` + age + `,"level":7,"rank":3,"ratio":0.5,"score":99.25,"active":true,
	"grade":"A","gender":"FEMALE","balance":12345678901234567890.10,"serial":123456789012345678901234567890,
	"createdAt":"2023-11-14T22:13:20.123Z","birthday":"1990-02-28","updatedAt":"2024-02-29T12:30:15.250",
	"tags":["red","grün","蓝","😀"],"counters":{"visits":12,"orders":3},
	"address":{"street":"Main Street","city":"Springfield","number":1,"home":true},
	"history":[{"street":"Old Road","city":"Springfield","number":2,"home":false},{"street":"Older Road","city":"Springfield","number":3,"home":false}],
	"addresses":[{"street":"First","city":"Springfield","number":10,"home":false},{"street":"Second","city":"Springfield","number":20,"home":false}],
	"roles":["admin","reader"],"avatar":"AAEC/w==","lucky":[7,13,21],"points":9007199254740993,"visits":null,"verified":true,"parent":`
}

func user() string { return person("7", "7") + person("8", "8") + `null}}` }

// TestCalls makes one call of each kind.
func TestCalls(t *testing.T) {
	tests := []struct {
		method, body string
		want         string // the answer's JSON, or what the message of a bad_argument begins with after a "!"
	}{
		{"get", `7`, user()},
		{"get", `"7"`, user()},
		{"create", user(), user()},
		{"create", `{"id":1,"nmae":"x"}`, "!body.nmae"},
		{"create", `{"address":{"number":"x"}}`, "!body.address.number: expected int"},
		{"create", `{"gender":"NONE"}`, "!body.gender: expected one of"},
		{"create", `{"parent":{"class":"javax.naming.InitialContext"}}`, "!body.parent.class"},
		{"list", `[]`, `[]`},
		{"list", `[7]`, `[` + user() + `]`},
		{"echoInt", `-2147483648`, `-2147483648`},
		{"echoInt", `2147483648`, `!body: expected int`},
		{"echoLong", `9223372036854775807`, `9223372036854775807`},
		{"echoShort", `-32768`, `-32768`},
		{"echoShort", `32768`, `!body: expected short`},
		{"echoByte", `127`, `127`},
		{"echoByte", `300`, `!body: expected byte`},
		{"echoFloat", `0.25`, `0.25`},
		{"echoDouble", `1e100`, `1e+100`},
		{"echoDouble", `5`, `5.0`},
		{"echoBool", `true`, `true`},
		{"echoChar", `"日"`, `"日"`},
		{"echoChar", `"ab"`, `!body: expected`},
		{"echoBoxed", `5`, `5`},
		{"echoBoxed", `null`, `null`},
		{"echoInt", `null`, `!body: expected int`},
		{"echoString", `"日本語 😀\u0000"`, `"日本語 😀\u0000"`},
		{"echoString", `""`, `""`},
		{"echoString", `5`, `!body: expected`},
		{"echoEnum", `"MALE"`, `"MALE"`},
		{"echoEnum", `"male"`, `!body: expected one of`},
		{"echoDecimal", `1.10`, `1.10`},
		{"echoDecimal", `"1.10"`, `1.10`},
		{"echoBigInteger", `-123456789012345678901234567890`, `-123456789012345678901234567890`},
		{"echoDate", `"2024-02-29T12:30:15.123Z"`, `"2024-02-29T12:30:15.123Z"`},
		{"echoDate", `1700000000123`, `"2023-11-14T22:13:20.123Z"`},
		{"echoDate", `"yesterday"`, `!body: expected`},
		{"echoLocalDate", `"2024-02-29"`, `"2024-02-29"`},
		{"echoLocalDate", `"2023-02-29"`, `!body: expected`},
		{"echoLocalDateTime", `"2024-02-29T12:30:15"`, `"2024-02-29T12:30:15"`},
		{"echoBytes", `"AAEC/w=="`, `"AAEC/w=="`},
		{"echoBytes", `"***"`, `!body: expected`},
		{"echoList", `["a",null,"b"]`, `["a",null,"b"]`},
		{"echoMap", `{"a":1,"b":2}`, `{"a":1,"b":2}`},
		{"echoInts", `[1,2,3]`, `[1,2,3]`},
		{"echoInts", `[1,2,3000000000]`, `!body[2]: expected int`},
		{"echoAddresses", `[{"street":"x","city":"y","number":1,"home":true}]`, `[{"street":"x","city":"y","number":1,"home":true}]`},
		{"echoObject", `{"a":[1,2.5,"x",null,true,5000000000]}`, `{"a":[1,2.5,"x",null,true,5000000000]}`},
		{"echoObject", `[1]`, `[1]`},
		{"ping", ``, `"pong"`},
		{"add", `[2,3]`, `5`},
		{"add", `[2]`, `!body: expected the 2 arguments`},
		{"returnsNull", ``, `null`},
		{"whoami", ``, `"us"`},
		{"registration", ``, `"/"`},
	}
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, testbed.ProviderOptions{Version: version, Name: "us"}, dubbo.ClientConfig{})
			for _, tt := range tests {
				t.Run(tt.method+" "+tt.body[:min(len(tt.body), 40)], func(t *testing.T) {
					status, got, err := call(b.route(dubbo.Route{Method: tt.method}), tt.body)
					if want, bad := strings.CutPrefix(tt.want, "!"); bad {
						if e := protocol.AsError(err); e.Code != protocol.CodeBadArgument || !strings.HasPrefix(e.Message, want) {
							t.Errorf("answer %d %s, error %v; want %s", status, got, err, want)
						}
						return
					}
					if err != nil || status != 200 {
						t.Fatalf("answer %d, %v", status, err)
					}
					if !sameJSON(t, got, tt.want) {
						t.Errorf("answer %s\nwant %s", got, tt.want)
					}
				})
			}
		})
	}
}

// sameJSON compares without regard to the order of members, but with the text of numbers.
func sameJSON(t *testing.T, got, want string) bool {
	t.Helper()
	read := func(s string) (v any) {
		d := json.NewDecoder(strings.NewReader(s))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%v in %s", err, s)
		}
		return v
	}
	return reflect.DeepEqual(read(got), read(want))
}
