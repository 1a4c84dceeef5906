package health

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
	"github.com/sluice-gateway/sluice/protocol/dubbo/provider"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// dubboServer runs our own provider.
func dubboServer(t *testing.T) (address string, stop func(drain <-chan struct{})) {
	t.Helper()
	s, err := provider.New(provider.Config{Services: []*provider.Service{{
		Interface: "com.acme.Users",
		Methods: []provider.Method{{Name: "count", Returns: "int", Call: func(context.Context, []json.RawMessage) (any, error) {
			return 1, nil
		}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var tasks sync.WaitGroup
	tasks.Go(func() {
		if err := s.Serve(l); !errors.Is(err, provider.ErrStopped) {
			t.Error(err)
		}
	})
	stop = func(drain <-chan struct{}) {
		if err := s.Shutdown(context.Background(), drain); err != nil {
			t.Error(err)
		}
		tasks.Wait()
	}
	return l.Addr().String(), stop
}

func dubboRule(echo bool) *Rule {
	return NewRule(section("dubbo", func(h *config.HealthCheck) { h.Echo, h.Timeout = echo, 300*time.Millisecond }), nil, nil)
}

func TestDubboHeartbeat(t *testing.T) {
	address, stop := dubboServer(t)
	users := Subject{Address: address, Interface: "com.acme.Users"}
	want(t, "alive", ask(t, dubboRule(false), users), "")
	// Our provider serves generic calls only, which $echo is not.
	want(t, "a refusal is shown", ask(t, dubboRule(true), users), "answered status 40: Fail to decode request due to: only generic calls are served, not $echo")
	stop(nil)
	want(t, "stopped", ask(t, dubboRule(false), users), "connection refused")
}

// reply reads one frame and answers with f's.
func reply(f func(h frame.Header, body []byte) []byte) func(net.Conn, *peer) {
	return func(c net.Conn, _ *peer) {
		in, err := frame.NewReader(c, 1<<20).Next()
		if err != nil {
			return
		}
		_, _ = c.Write(f(in.Header, in.Body))
		_, _ = io.Copy(io.Discard, c)
	}
}

func answer(id uint64, flag, status byte, body ...byte) []byte {
	out := append(frame.AppendHeader(nil, flag|frame.Hessian2, status, id), body...)
	frame.SetLength(out)
	return out
}

func TestEcho(t *testing.T) {
	users := Subject{Interface: "com.acme.Users", Group: "g", Version: "1.0"}
	var texts []string
	p := startPeer(t, reply(func(h frame.Header, body []byte) []byte {
		var d hessian.Decoder
		d.Reset(body, hessian.Options{})
		texts = nil
		for range 6 {
			text, _, err := d.AppendText(nil)
			if err != nil {
				t.Error(err)
			}
			texts = append(texts, string(text))
		}
		attachments, err := d.AppendJSON(nil)
		if err != nil || len(d.Rest()) != 0 {
			t.Errorf("%v, %d bytes more", err, len(d.Rest()))
		}
		texts = append(texts, string(attachments))
		return answer(h.ID, 0, frame.StatusOK, append([]byte{0x94}, hessian.AppendString(nil, "OK")...)...)
	}))
	users.Address = p.address
	want(t, "echo", ask(t, dubboRule(true), users), "")
	got, _ := json.Marshal(texts)
	if string(got) != `["2.0.2","com.acme.Users","1.0","$echo","Ljava/lang/Object;","OK","{\"path\":\"com.acme.Users\",\"interface\":\"com.acme.Users\",\"group\":\"g\",\"version\":\"1.0\"}"]` {
		t.Errorf("asked %s", got)
	}
	users.Path = "users"
	want(t, "path", ask(t, dubboRule(true), users), "")
	if texts[1] != "users" {
		t.Errorf("asked %q", texts)
	}
}

func TestHostileDubbo(t *testing.T) {
	exception := append([]byte{0x90}, hessian.AppendString(nil, "no such thing")...)
	for _, test := range []struct {
		name  string
		echo  bool
		serve func(net.Conn, *peer)
		err   string
	}{
		{"never answers", false, func(c net.Conn, _ *peer) { _, _ = io.Copy(io.Discard, c) }, "deadline exceeded"},
		{"hangs up", false, func(net.Conn, *peer) {}, ""},
		{"says goodbye", false, reply(func(h frame.Header, _ []byte) []byte {
			return append(frame.AppendEvent(nil, 0, frame.ReadOnly), frame.AppendHeartbeatAnswer(nil, frame.Hessian2, h.ID)...)
		}), "says that it is stopping"},
		{"asks back first", false, reply(func(h frame.Header, _ []byte) []byte {
			return append(frame.AppendHeartbeat(nil, 77), frame.AppendHeartbeatAnswer(nil, frame.Hessian2, h.ID)...)
		}), ""},
		{"answers somebody else", false, reply(func(h frame.Header, _ []byte) []byte {
			return frame.AppendHeartbeatAnswer(nil, frame.Hessian2, h.ID+1)
		}), "deadline exceeded"},
		{"another protocol", false, reply(func(frame.Header, []byte) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") }), "magic number"},
		{"a frame without end", false, func(c net.Conn, p *peer) {
			_, _ = c.Write([]byte{0xda, 0xbb, 0x22, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0x0f, 0xff, 0xff, 0xff})
			p.flood(c, "well ")
		}, "unexpected EOF"},
		{"events without end", false, func(c net.Conn, p *peer) { p.flood(c, string(frame.AppendHeartbeat(nil, 9))) }, "EOF"},
		{"is busy", true, reply(func(h frame.Header, _ []byte) []byte {
			return answer(h.ID, 0, frame.StatusThreadPoolExhausted, hessian.AppendString(nil, "pool is exhausted")...)
		}), "answered status 100: pool is exhausted"},
		{"is busy, and says nonsense", true, reply(func(h frame.Header, _ []byte) []byte {
			return answer(h.ID, 0, frame.StatusServerError, 'S', 0xff)
		}), "answered status 80: without a reason"},
		{"throws", true, reply(func(h frame.Header, _ []byte) []byte { return answer(h.ID, 0, frame.StatusOK, exception...) }), "$echo threw : no such thing"},
		{"throws nothing", true, reply(func(h frame.Header, _ []byte) []byte { return answer(h.ID, 0, frame.StatusOK, 0x93) }), "$echo threw an exception"},
		{"answers null", true, reply(func(h frame.Header, _ []byte) []byte { return answer(h.ID, 0, frame.StatusOK, 0x92) }), ""},
		{"answers nonsense", true, reply(func(h frame.Header, _ []byte) []byte { return answer(h.ID, 0, frame.StatusOK, 0x99) }), "of kind 9"},
		{"answers nothing", true, reply(func(h frame.Header, _ []byte) []byte { return answer(h.ID, 0, frame.StatusOK) }), "makes no sense"},
	} {
		p := startPeer(t, test.serve)
		err := ask(t, dubboRule(test.echo), Subject{Address: p.address, Interface: "com.acme.Users"})
		if test.name == "hangs up" {
			if err == nil {
				t.Error("hanging up is no answer")
			}
			continue
		}
		want(t, test.name, err, test.err)
		if n := p.total(); n > 16<<20 {
			t.Errorf("%s: %d MB were taken", test.name, n>>20)
		}
	}
}

// TestJavaProviders asks what these checks are for.
func TestJavaProviders(t *testing.T) {
	if testing.Short() {
		t.Skip("starts ZooKeeper and two Java processes")
	}
	zk := testbed.StartZooKeeper(t)
	for _, version := range []string{"3.3.6", "2.7.23"} {
		p := testbed.StartDubboProvider(t, testbed.ProviderOptions{Version: version, Registry: "zookeeper://" + zk.Addr()})
		const users = "com.example.UserService"
		for name, s := range map[string]Subject{
			"grouped": {Interface: users, Group: "g1", Version: "1.0.0"}, "plain": {Interface: users},
		} {
			s.Address = p.Addr()
			want(t, version+" heartbeat", ask(t, leisurely(false), s), "")
			want(t, version+" echo "+name, ask(t, leisurely(true), s), "")
		}
		want(t, version+" echo of nothing", ask(t, leisurely(true), Subject{Address: p.Addr(), Interface: "com.example.Nothing"}), "answered status ")
		if err := p.Freeze(); err != nil {
			t.Fatal(err)
		}
		want(t, version+" frozen", ask(t, dubboRule(false), Subject{Address: p.Addr(), Interface: users}), "deadline exceeded")
		if err := p.Thaw(); err != nil {
			t.Fatal(err)
		}
	}
}

// leisurely gives a JVM that has just started time to load classes.
func leisurely(echo bool) *Rule {
	return NewRule(section("dubbo", func(h *config.HealthCheck) { h.Echo, h.Timeout = echo, 5*time.Second }), nil, nil)
}
