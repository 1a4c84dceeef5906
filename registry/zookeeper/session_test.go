package zookeeper

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/registry/zookeeper/wire"
)

func testSettings() settings {
	return settings{sessionTimeout: 2 * time.Second, connectTimeout: 300 * time.Millisecond, batch: batchOf, shelf: newShelf(), roots: []string{"/"}}
}

func ignore(*session, wire.Event) {}

func at(address string) target {
	host, _, _ := net.SplitHostPort(address)
	return target{host: host, address: address}
}

// rude is a server that treats every connection as told.
func rude(t *testing.T, treat func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			treat(c)
			t.Cleanup(func() { _ = c.Close() })
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

func TestOpenFails(t *testing.T) {
	for name, c := range map[string]struct {
		treat func(net.Conn)
		want  string
	}{
		"silent":         {func(net.Conn) {}, "no answer within 300ms"},
		"closes at once": {func(c net.Conn) { _ = c.Close() }, "closed the connection at the handshake"},
		"speaks HTTP":    {func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400\r\n\r\n")) }, "not a ZooKeeper server"},
		"half an answer": {func(c net.Conn) { _, _ = c.Write([]byte{0, 0, 0, 37, 0}) }, "no answer within 300ms"},
		"no session":     {func(c net.Conn) { _, _ = c.Write(frame(37)) }, "session expired"},
		"garbage":        {func(c net.Conn) { _, _ = c.Write(frame(16)) }, "answer is cut short"},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			s, err := open(t.Context(), at(rude(t, c.treat)), testSettings(), 0, ignore)
			if err == nil {
				s.close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if d := time.Since(began); d > 3*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
	if _, err := open(t.Context(), at("127.0.0.1:1"), testSettings(), 0, ignore); err == nil || !strings.Contains(err.Error(), "connect to 127.0.0.1:1: ") {
		t.Errorf("%v", err)
	}
}

func TestOpenIsCancelled(t *testing.T) {
	address := rude(t, func(net.Conn) {})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	set := testSettings()
	set.connectTimeout = time.Minute
	began := time.Now()
	if _, err := open(ctx, at(address), set, 0, ignore); err == nil || time.Since(began) > 3*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// frame is an answer of n zero bytes.
func frame(n int) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(n)), make([]byte, n)...)
}

// readNow reads one node and waits for it.
func (s *session) readNow(k key, old *value) (v *value, err error) {
	done := make(chan struct{})
	if !s.submit([]order{{key: k, old: old, done: func(got *value, e error) { v, err = got, e; close(done) }}}) {
		return nil, errLost
	}
	<-done
	return v, err
}

// What a reading finds of nodes that are there, are not, or may not be named, in the way of new servers and of old ones.
func TestRead(t *testing.T) {
	for name, old := range map[string]bool{"new": false, "old": true} {
		t.Run(name, func(t *testing.T) { testRead(t, old) })
	}
}

func testRead(t *testing.T, old bool) {
	server := shared.get(t)
	w := newWriter(t, server.Addr())
	root := fmt.Sprintf("/%s-%d", strings.ReplaceAll(t.Name(), "/", "-"), time.Now().UnixNano())
	w.put(root+"/a/x", "1")
	w.put(root+"/a/b", "2")
	w.put(root+"/i", spring("192.0.2.1", `"port":80`, ""))
	to := at(server.Addr())
	to.old = old
	s, err := open(t.Context(), to, testSettings(), 0, ignore)
	must(t, err)
	read := func(k kind, path string, old *value) *value {
		t.Helper()
		v, err := s.readNow(key{k, path}, old)
		must(t, err)
		return v
	}
	if v := read(children, root+"/a", nil); !v.found || !v.armed || strings.Join(v.names, " ") != "b x" {
		t.Errorf("%+v", v)
	}
	if v := read(content, root+"/a/x", nil); !v.found || !v.armed || string(v.data) != "1" {
		t.Errorf("%+v", v)
	}
	for _, k := range []kind{children, content, providers, instance} {
		if v := read(k, root+"/none/of/it", nil); v.found || !v.armed || v.err != nil {
			t.Errorf("absent, and its coming is watched: %+v", v)
		}
	}
	first := read(instance, root+"/i", nil)
	if again := read(instance, root+"/i", first); again.node != first.node {
		t.Error("what has not changed was parsed again")
	}
	w.put(root+"/i", spring("192.0.2.1", `"port":81`, ""))
	if changed := read(instance, root+"/i", first); changed.node.port != 81 {
		t.Errorf("%+v", changed.node)
	}
	w.remove(root + "/i")
	w.put(root+"/i", spring("192.0.2.1", `"port":82`, "")) // made anew: version 0 again, but another node
	if changed := read(instance, root+"/i", first); changed.node.port != 82 {
		t.Errorf("%+v", changed.node)
	}
	if data, err := s.peek(t.Context(), root+"/none"); data != nil || err != nil {
		t.Errorf("%q %v", data, err)
	}
	if data, err := s.newest(t.Context(), root+"/none", "x"); data != nil || err != nil {
		t.Errorf("%q %v", data, err)
	}
	if data, err := s.newest(t.Context(), root+"/a", "x"); string(data) != "1" && string(data) != "2" || err != nil {
		t.Errorf("%q %v", data, err)
	}
	s.close()
	if _, err := s.readNow(key{children, root + "/a"}, nil); !errors.Is(err, errLost) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := s.peek(t.Context(), root+"/a"); !errors.Is(err, errLost) {
		t.Errorf("after the end: %v", err)
	}
}

// A node that is unknown to the tree is read once, however many ask for it at the same time.
func TestTreeReadsOnce(t *testing.T) {
	server := shared.get(t)
	w := newWriter(t, server.Addr())
	root := fmt.Sprintf("/%s-%d", t.Name(), time.Now().UnixNano())
	var paths []string
	for n := range 200 {
		paths = append(paths, fmt.Sprintf("%s/%d", root, n))
		w.put(paths[n], fmt.Sprint(n))
	}
	tr := newTree()
	s, err := open(t.Context(), at(server.Addr()), testSettings(), 0, tr.changed)
	must(t, err)
	defer s.close()
	tr.attach(s)
	const followers = 8
	answers := make(chan error, followers)
	var joined []*follower
	var wakes []bell
	for range followers {
		wake := newBell()
		f := tr.join(wake.ring)
		joined, wakes = append(joined, f), append(wakes, wake)
		go func() {
			v := &view{ctx: t.Context(), tree: tr, follower: f}
			values, err := v.get(all(content, paths)...)
			for n, found := range values {
				if string(found.data) != fmt.Sprint(n) {
					err = fmt.Errorf("%d is %q", n, found.data)
				}
			}
			answers <- err
		}()
	}
	for range followers {
		must(t, <-answers)
	}
	reads := uint32(0)
	for _, n := range tr.nodes {
		reads += n.reads
	}
	if reads != uint32(len(paths)) {
		t.Errorf("%d readings of %d nodes", reads, len(paths))
	}
	// One changes: all are woken, and only that one is read again.
	for _, wake := range wakes {
		select {
		case <-wake: // of the session's beginning
		default:
		}
	}
	w.put(paths[7], "new")
	for _, wake := range wakes {
		select {
		case <-wake:
		case <-time.After(registrytest.Deadline):
			t.Fatal("not woken")
		}
	}
	values, err := (&view{ctx: t.Context(), tree: tr, follower: joined[0]}).get(all(content, paths)...)
	must(t, err)
	if string(values[7].data) != "new" || tr.nodes[key{content, paths[7]}].reads != 2 || tr.nodes[key{content, paths[8]}].reads != 1 {
		t.Error("not exactly the changed one was read again")
	}
	// Those who leave take nothing with them that others use; what nobody uses goes.
	for i, f := range joined {
		if want := len(paths); len(tr.nodes) != want {
			t.Errorf("%d nodes while %d use them", len(tr.nodes), len(joined)-i)
		}
		tr.leave(f)
	}
	if len(tr.nodes) != 0 {
		t.Errorf("%d nodes stay", len(tr.nodes))
	}
}
