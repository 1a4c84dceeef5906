package dubbo_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// each runs a test against both versions of Dubbo.
func each(t *testing.T, cfg dubbo.ClientConfig, f func(t *testing.T, b *bed)) {
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			f(t, newBed(t, testbed.ProviderOptions{Version: version, Name: "us"}, cfg))
		})
	}
}

func TestShapesOfMethods(t *testing.T) {
	each(t, dubbo.ClientConfig{}, func(t *testing.T, b *bed) {
		want := func(r dubbo.Route, body, want string, header ...string) {
			t.Helper()
			if status, got, err := call(b.route(r), body, header...); status != 200 || got != want || err != nil {
				t.Errorf("%s(%s): %d %s %v, want %s", r.Method, body, status, got, err, want)
			}
		}
		find := dubbo.Route{Method: "find"}
		_, byID, _ := call(b.route(find), `7`)
		_, byName, _ := call(b.route(find), `"bob"`)
		_, limited, _ := call(b.route(find), `["bob",2]`)
		if byID == byName || byName == limited || byID == "" || byName == "" || limited == "" {
			t.Errorf("overloads: %s, %s, %s", byID, byName, limited)
		}
		want(dubbo.Route{Method: "find", Types: []string{"long"}}, `"7"`, byID)
		want(dubbo.Route{Method: "find", Args: []any{"{body/n}", 2}}, `{"n":"bob"}`, limited)
		want(dubbo.Route{Method: "attachment", Args: []any{"X-Tenant"}, Attachments: []string{"X-Tenant"}}, ``, `"t1"`, "x-tenant", "t1")
		want(dubbo.Route{Method: "attachment", Args: []any{"X-Tenant"}}, ``, `null`, "x-tenant", "t1")
		want(dubbo.Route{Method: "attachment", Args: []any{"traceparent"}}, ``, `"00-1-2-01"`, "traceparent", "00-1-2-01")
		want(dubbo.Route{Method: "registration", Group: "g1", Version: "1.0.0"}, ``, `"g1/1.0.0"`)
		if status, body, err := call(b.route(dubbo.Route{Method: "touch"}), ``); status != 204 || body != "" || err != nil {
			t.Errorf("void: %d %q %v", status, body, err)
		}
		want(dubbo.Route{Method: "touched"}, ``, `1`)
	})
}

func TestFailures(t *testing.T) {
	each(t, dubbo.ClientConfig{}, func(t *testing.T, b *bed) {
		_, _, err := call(b.route(dubbo.Route{Method: "fail"}), `"too bad"`)
		e := protocol.AsError(err)
		if e.Status != 500 || e.Code != protocol.CodeUpstreamException || len(e.Details) != 2 ||
			e.Details[0].Value != "com.example.BizException" || e.Details[1].Value != "too bad" {
			t.Errorf("exception: %v %q", e, e.Details)
		}
		tests := []struct {
			name  string
			route dubbo.Route
			code  protocol.Code
		}{
			{"unknown service", dubbo.Route{Interface: "com.example.Nope", Method: "ping", Types: []string{}}, protocol.CodeServiceMismatch},
			{"unknown version", dubbo.Route{Version: "9.9.9", Method: "ping", Types: []string{}}, protocol.CodeServiceMismatch},
			{"unknown group", dubbo.Route{Group: "nope", Version: "1.0.0", Method: "ping", Types: []string{}}, protocol.CodeServiceMismatch},
			{"unknown method", dubbo.Route{Method: "nope", Types: []string{}}, protocol.CodeServiceMismatch},
			{"unknown overload", dubbo.Route{Method: "ping", Types: []string{"int"}, Args: []any{1}}, protocol.CodeServiceMismatch},
			{"no definition", dubbo.Route{Interface: "com.example.Nope", Method: "ping"}, protocol.CodeNoDefinition},
			{"not in the definition", dubbo.Route{Method: "nope"}, protocol.CodeNoDefinition},
		}
		for _, tt := range tests {
			_, _, err := call(b.route(tt.route), ``)
			e := protocol.AsError(err)
			if e.Status != 502 || e.Code != tt.code {
				t.Errorf("%s: %v", tt.name, err)
			}
			if strings.Contains(e.Message, "\tat ") || strings.Contains(e.Message, "apache") {
				t.Errorf("%s: the client sees %q", tt.name, e.Message)
			}
		}
		if status, got, err := call(b.route(dubbo.Route{Method: "ping"}), ``); status != 200 || got != `"pong"` {
			t.Errorf("after all that: %d %s %v", status, got, err)
		}
	})
}

// TestSizes: what is too long is refused in good time, and the connection survives.
func TestSizes(t *testing.T) {
	each(t, dubbo.ClientConfig{}, func(t *testing.T, b *bed) {
		big, echo := b.route(dubbo.Route{Method: "big"}), b.route(dubbo.Route{Method: "echoString", BodyLimit: 20 << 20})
		if status, got, err := call(big, `1000000`); status != 200 || len(got) != 1000002 {
			t.Errorf("big answer: %d, %d bytes, %v", status, len(got), err)
		}
		if status, _, err := call(big, `9000000`); status != 502 || protocol.AsError(err).Code != protocol.CodeUpstreamProtocol {
			t.Errorf("answer over the provider's limit: %d %v", status, err)
		}
		text := `"` + strings.Repeat("x", 5<<20) + `"`
		if status, got, err := call(echo, text); status != 200 || got != text {
			t.Errorf("big request: %d, %d bytes, %v", status, len(got), err)
		}
		if status, _, err := call(echo, `"`+strings.Repeat("x", 9<<20)+`"`); status != 413 {
			t.Errorf("request over the limit: %d %v", status, err)
		}
		if status, got, err := call(b.route(dubbo.Route{Method: "ping"}), ``); status != 200 || got != `"pong"` {
			t.Errorf("after all that: %d %s %v", status, got, err)
		}
	})
}

// TestTimeout: the provider goes on, so the call ends by this side's clock, and the late answer hurts nobody.
func TestTimeout(t *testing.T) {
	each(t, dubbo.ClientConfig{}, func(t *testing.T, b *bed) {
		slow := b.route(dubbo.Route{Method: "slow", Args: []any{1000}})
		start := time.Now()
		req := &protocol.Request{}
		req.NarrowDeadline(int64(200 * time.Millisecond))
		status, _, err := serve(context.Background(), slow, req)
		if took := time.Since(start); status != 504 || took > 900*time.Millisecond {
			t.Errorf("answer %d %v after %v", status, err, took)
		}
		waitUntil(t, "the late answer came", func() bool { return b.client.Late() == 1 })
		if status, got, err := call(slow, ``); status != 200 || got != `1000` {
			t.Errorf("in time: %d %s %v", status, got, err)
		}
	})
}

// TestPoolFull: a provider has 200 threads; what it refuses did not run and may be tried elsewhere.
func TestPoolFull(t *testing.T) {
	each(t, dubbo.ClientConfig{}, func(t *testing.T, b *bed) {
		slow := b.route(dubbo.Route{Method: "slow", Args: []any{"{body}"}})
		if status, _, err := call(slow, `1`); status != 200 {
			t.Fatal(err)
		}
		var ok, busy atomic.Int32
		var wg sync.WaitGroup
		for range 300 {
			wg.Go(func() {
				status, _, err := call(slow, `1500`)
				switch e := protocol.AsError(err); {
				case err == nil && status == 200:
					ok.Add(1)
				case e.Code == protocol.CodeUpstreamBusy && e.NotSent && e.Status == 503:
					busy.Add(1)
				default:
					t.Errorf("unexpected %d %v", status, err)
				}
			})
		}
		wg.Wait()
		if ok.Load() != 200 || busy.Load() != 100 {
			t.Errorf("%d answered, %d refused", ok.Load(), busy.Load())
		}
	})
}

// TestStop: on SIGTERM the provider says so at once, and goes on serving for a while.
func TestStop(t *testing.T) {
	var drains atomic.Int32
	cfg := dubbo.ClientConfig{OnDrain: func(draining bool) {
		if draining {
			drains.Add(1)
		}
	}}
	b := newBed(t, testbed.ProviderOptions{Name: "us"}, cfg)
	ping := b.route(dubbo.Route{Method: "ping"})
	if status, _, err := call(ping, ``); status != 200 {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		b.provider.Stop()
	}()
	waitUntil(t, "the provider announced its stop", func() bool { return drains.Load() == 1 })
	if status, got, err := call(ping, ``); status != 200 || got != `"pong"` {
		t.Errorf("while it stops: %d %s %v", status, got, err)
	}
	<-stopped
	waitUntil(t, "calls fail as not sent", func() bool {
		_, _, err := call(ping, ``)
		e := protocol.AsError(err)
		return err != nil && e.Code == protocol.CodeUpstreamConnect && e.NotSent
	})
	if n := drains.Load(); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// TestManyCalls mixes calls of all sizes on one connection.
func TestManyCalls(t *testing.T) {
	each(t, dubbo.ClientConfig{}, func(t *testing.T, b *bed) {
		echo, get := b.route(dubbo.Route{Method: "echoString"}), b.route(dubbo.Route{Method: "get"})
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				for j := range 20 {
					text := fmt.Sprintf(`"%d-%d-%s"`, i, j, strings.Repeat("é", i*j))
					if status, got, err := call(echo, text); status != 200 || got != text {
						t.Errorf("echo: %d %.40s %v", status, got, err)
					}
					if status, got, err := call(get, fmt.Sprint(i)); status != 200 || !strings.Contains(got, fmt.Sprintf(`"user-%d"`, i)) {
						t.Errorf("get: %d %.40s %v", status, got, err)
					}
				}
			})
		}
		wg.Wait()
	})
}

func waitUntil(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}
