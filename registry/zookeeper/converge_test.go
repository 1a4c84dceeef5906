package zookeeper

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// The list of services looks only at what has changed. After many changes at random it is what somebody sees who begins
// anew, and nothing is followed that nobody needs.
func TestServicesConverge(t *testing.T) {
	a := &asker{}
	for rev := range 5 {
		a.answer("app", fmt.Sprint("r", rev), metadataInfo("app", fmt.Sprint("r", rev), fmt.Sprintf("a.T%d:dubbo=20880", rev), "a.Common:dubbo=20880"))
	}
	r := newRig(t, shared.get(t), withAsker(a))
	p := r.WatchServices()
	p.Last()
	there := make(map[string]bool)
	toggle := func(path, data string) {
		if there[path] = !there[path]; there[path] {
			r.writer.put(path, data)
		} else {
			r.writer.remove(path)
		}
	}
	for range 400 {
		n, host := rand.N(4), fmt.Sprintf("192.0.2.%d", rand.N(3)+1)
		switch rand.N(5) {
		case 0, 1:
			iface := fmt.Sprintf("a.S%d", n)
			more := []string{"", "&group=g", "&version=1.0"}[rand.N(3)]
			toggle(r.rdubbo(iface, "providers", encode(java33("dubbo", host+":20880", iface, more))), "")
		case 2:
			toggle(r.rservices(fmt.Sprintf("web%d", n), host), spring(host, `"port":8080`, ""))
		case 3: // rolled from one revision to the next
			path := r.rservices("app", host)
			there[path] = true
			r.writer.put(path, java33Node("app", host, 20880, fmt.Sprint("r", rand.N(5)), localTri))
		case 4:
			if path := r.rservices("app", host); there[path] {
				r.writer.remove(path)
				there[path] = false
			}
		}
		time.Sleep(time.Duration(rand.N(4)) * time.Millisecond)
	}
	end := r.rservices("the-end/1") // once it is seen, everything is
	r.writer.put(end, spring("192.0.2.9", `"port":8080`, ""))
	p.Until("the end", func(s registry.ServiceSet) bool { return slices.Contains(s.Services, registry.App("the-end")) })
	fresh := r.WatchServices()
	want := fresh.Until("all known", func(s registry.ServiceSet) bool { return slices.Contains(s.Services, registry.App("the-end")) })
	p.Until("the same as one that begins now", func(s registry.ServiceSet) bool { return slices.Equal(s.Services, want.Services) })
	if len(want.Services) < 3 {
		t.Errorf("only %v: nothing was tried", want.Services)
	}
	p.Stop()
	fresh.Stop()
	r.reg.tree.mu.Lock()
	defer r.reg.tree.mu.Unlock()
	if n := len(r.reg.tree.nodes); n != 0 {
		t.Errorf("%d nodes stay", n)
	}
}

// An answer that is too large is asked for in smaller parts the next time.
func TestTooLarge(t *testing.T) {
	server := shared.get(t)
	z, _ := idle(t)
	s, err := open(t.Context(), at(server.Addr()), testSettings(), 0, ignore)
	must(t, err)
	s.close()
	z.learnFrom(s)
	if z.set.batch != batchOf {
		t.Errorf("%d after an ordinary end", z.set.batch)
	}
	hello := append(frame(0), make([]byte, 37)...)
	hello[3] = 37
	hello[10], hello[11] = 0x0f, 0xa0 // a timeout of 4 s
	hello[23] = 16                    // bytes of password
	address := rude(t, func(c net.Conn) {
		_, _ = c.Write(hello)
		_, _ = c.Write([]byte{0x04, 0, 0, 1}) // one more than 64 MB
	})
	for _, want := range []int{batchOf / 16, batchOf / 256, 1} {
		set := z.set
		set.roots, set.connectTimeout, set.sessionTimeout = nil, time.Second, 4*time.Second
		s, err := open(t.Context(), at(address), set, 0, ignore)
		must(t, err)
		<-s.lost
		z.learnFrom(s)
		s.close()
		if z.set.batch != want {
			t.Errorf("%d reads in a request, want %d", z.set.batch, want)
		}
	}
}
