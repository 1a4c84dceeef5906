package dns

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/sluice-gateway/sluice/registry"
)

// TestIPv6: a resolver that is reached by IPv6, and names of which only IPv6 is wanted.
func TestIPv6(t *testing.T) {
	s := serveAt(t, "[::1]:0")
	s.set("x.test.", dns.TypeA, a("x.test.", 0, "10.0.0.1"))
	s.set("x.test.", dns.TypeAAAA, aaaa("x.test.", 0, "2001:db8::1"), aaaa("x.test.", 0, "::ffff:10.0.0.1"))
	c := section(s.addr)
	c.Family = "ipv6"
	run(t, c).watch("x.test:80").shows("[2001:db8::1]:80", "10.0.0.1:80") // mapped is the same machine
	if n := s.count("udp", dns.TypeA); n != 0 {
		t.Errorf("asked for A %d times", n)
	}
}

// TestAliasElsewhere: a server that answers only with the alias is asked for what it leads to.
func TestAliasElsewhere(t *testing.T) {
	s := serve(t)
	s.set("y.test.", dns.TypeA, a("y.test.", 0, "10.0.0.1"))
	s.answerBy(func(w dns.ResponseWriter, q *dns.Msg) bool {
		if q.Question[0].Name != "x.test." {
			return false
		}
		m := new(dns.Msg).SetReply(q)
		rr, _ := dns.NewRR(cname("x.test.", "Y.Test."))
		m.Answer = append(m.Answer, rr)
		_ = w.WriteMsg(m)
		return true
	})
	run(t, section(s.addr)).watch("x.test:80").shows("10.0.0.1:80")
}

// TestSRVTargetFails: of an SRV answer whose targets cannot be asked for nothing is known.
func TestSRVTargetFails(t *testing.T) {
	s := serve(t)
	s.set("_x._tcp.test.", dns.TypeSRV, srv("_x._tcp.test.", "1 1 80 a.test."), srv("_x._tcp.test.", "1 1 80 b.test."))
	s.set("a.test.", dns.TypeA, a("a.test.", 0, "10.0.0.1"))
	s.set("b.test.", dns.TypeA, a("b.test.", 0, "10.0.0.2"))
	r := run(t, section(s.addr))
	w := r.watch("_x._tcp.test")
	w.shows("10.0.0.1:80", "10.0.0.2:80")
	s.answerBy(func(w dns.ResponseWriter, q *dns.Msg) bool {
		if q.Question[0].Name == "b.test." {
			rcode(dns.RcodeServerFailure)(w, q)
			return true
		}
		return false
	})
	r.complained("b.test.")
	if n := w.count(); n != 1 {
		t.Errorf("half an answer was pushed: %+v", w.all)
	}
}

// TestOneFamilyFails: A is answered and AAAA is not.
func TestOneFamilyFails(t *testing.T) {
	s := serve(t)
	s.set("x.test.", dns.TypeA, a("x.test.", 0, "10.0.0.1"))
	s.answerBy(func(w dns.ResponseWriter, q *dns.Msg) bool {
		if q.Question[0].Qtype == dns.TypeAAAA {
			rcode(dns.RcodeNotImplemented)(w, q)
			return true
		}
		return false
	})
	r := run(t, section(s.addr))
	w := r.watch("x.test:80")
	r.complained("family: ipv4 does not ask for it")
	if w.count() != 0 {
		t.Error("half an answer was pushed")
	}
	c := section(s.addr)
	c.Family = "ipv4"
	run(t, c).watch("x.test:80").shows("10.0.0.1:80")
}

// TestManyNames: 500 names at once, over a bounded number of sockets.
func TestManyNames(t *testing.T) {
	s := serve(t)
	c := section(s.addr)
	c.Timeout, c.Family = 5*time.Second, "ipv4"
	r := run(t, c)
	var all []*pushes
	for i := range 500 {
		name := fmt.Sprintf("n%d.test.", i)
		s.set(name, dns.TypeA, a(name, 60, "10.0.0.1"))
	}
	for i := range 500 {
		all = append(all, r.watch(fmt.Sprintf("n%d.test:80", i)))
	}
	for _, w := range all {
		w.shows("10.0.0.1:80")
	}
}

// TestBeforeRun: a watch that begins before Run waits, and ends when it is told to.
func TestBeforeRun(t *testing.T) {
	r := newResolver(section("127.0.0.1:1"), registry.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := r.Watch(ctx, registry.App("x.test:80"), func(registry.Snapshot) { t.Error("pushed") }); err != nil {
			t.Error(err)
		}
	})
	cancel()
	done.Wait()
}
