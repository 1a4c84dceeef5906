package dns

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/sluice-gateway/sluice/registry"
)

// TestTroubleKeepsTheState: what is no answer changes nothing, is said, and is proved to be over.
func TestTroubleKeepsTheState(t *testing.T) {
	for what, c := range map[string]struct {
		answer func(w dns.ResponseWriter, q *dns.Msg)
		says   string
	}{
		"SERVFAIL": {rcode(dns.RcodeServerFailure), "SERVFAIL"},
		"REFUSED":  {rcode(dns.RcodeRefused), "does not serve this name"},
		"strange":  {rcode(12), "code 12"},
		"silence":  {func(dns.ResponseWriter, *dns.Msg) {}, "no answer within"},
		"garbage": {func(w dns.ResponseWriter, _ *dns.Msg) {
			_, _ = w.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		}, "ignored"},
		"cut off": {func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg).SetReply(q)
			rr, _ := dns.NewRR(a(q.Question[0].Name, 1, "10.6.6.6"))
			m.Answer = append(m.Answer, rr)
			text, _ := m.Pack()
			_, _ = w.Write(text[:len(text)-3])
		}, "not a DNS message"},
		"another id": {func(w dns.ResponseWriter, q *dns.Msg) {
			m := forged(q)
			m.Id++
			_ = w.WriteMsg(m)
		}, "another id"},
		"another question": {func(w dns.ResponseWriter, q *dns.Msg) {
			m := forged(q)
			m.Question[0].Name = "other.test."
			_ = w.WriteMsg(m)
		}, "another question"},
		"a question": {func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(q) }, "a question instead"},
		"circle": {func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg).SetReply(q)
			for _, l := range []string{cname("x.test.", "y.test."), cname("y.test.", "x.test.")} {
				rr, _ := dns.NewRR(l)
				m.Answer = append(m.Answer, rr)
			}
			_ = w.WriteMsg(m)
		}, "run in circles"},
		"endless": {func(w dns.ResponseWriter, q *dns.Msg) { // each answer leads to another zone
			m := new(dns.Msg).SetReply(q)
			rr, _ := dns.NewRR(cname(q.Question[0].Name, "a."+q.Question[0].Name))
			m.Answer = append(m.Answer, rr)
			_ = w.WriteMsg(m)
		}, "run in circles"},
		"referral": {func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg).SetReply(q)
			rr, _ := dns.NewRR("test. 1 IN NS ns.test.")
			m.Ns = append(m.Ns, rr)
			_ = w.WriteMsg(m)
		}, "a referral"},
		"truncated": {func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg).SetReply(q)
			m.Truncated = true
			_ = w.WriteMsg(m)
		}, "truncated over TCP too"},
	} {
		t.Run(what, func(t *testing.T) {
			s := serve(t)
			s.set("x.test.", dns.TypeA, a("x.test.", 0, "10.0.0.1"))
			r := run(t, section(s.addr))
			w := r.watch("x.test:80")
			w.shows("10.0.0.1:80")
			s.answerBy(func(w dns.ResponseWriter, q *dns.Msg) bool { c.answer(w, q); return true })
			r.until(registry.Stale)
			r.complained(c.says)
			if what != "endless" { // not the fault of one server
				r.complained(s.addr)
			}
			if n := w.count(); n != 1 {
				t.Errorf("%d pushes: %+v", n, w.all)
			}
			s.answerBy(nil)
			r.until(registry.Live)
			within(t, "a push as proof", func() bool { return w.count() == 2 })
			w.shows("10.0.0.1:80")
		})
	}
}

func rcode(code int) func(dns.ResponseWriter, *dns.Msg) {
	return func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(new(dns.Msg).SetRcode(q, code)) }
}

func forged(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	rr, _ := dns.NewRR(a(q.Question[0].Name, 1, "10.6.6.6"))
	m.Answer = append(m.Answer, rr)
	return m
}

// TestForgery: what does not fit is passed over, and the answer behind it is taken.
func TestForgery(t *testing.T) {
	s := serve(t)
	s.set("x.test.", dns.TypeA, a("x.test.", 0, "10.0.0.1"))
	s.answerBy(func(w dns.ResponseWriter, q *dns.Msg) bool {
		bad := forged(q)
		bad.Id ^= 1
		_ = w.WriteMsg(bad)
		_, _ = w.Write([]byte{1, 2, 3})
		return false
	})
	run(t, section(s.addr)).watch("x.test:80").shows("10.0.0.1:80")
}

// TestForeignRecords: an answer's records of other names, classes and types are nobody's instances.
func TestForeignRecords(t *testing.T) {
	s := serve(t)
	s.answerBy(func(w dns.ResponseWriter, q *dns.Msg) bool {
		m := new(dns.Msg).SetReply(q)
		for _, l := range []string{
			a("other.test.", 1, "10.6.6.6"), "x.test. 1 CH A 10.6.6.7", "x.test. 1 IN TXT \"10.6.6.8\"",
			"x.test. 1 IN MX 1 evil.test.", a("x.test.", 1, "10.0.0.1"), a("x.test.", 1, "10.0.0.1"),
		} {
			if rr, err := dns.NewRR(l); err == nil {
				m.Answer = append(m.Answer, rr)
			}
		}
		_ = w.WriteMsg(m)
		return true
	})
	c := section(s.addr)
	c.Family = "ipv4"
	run(t, c).watch("x.test:80").shows("10.0.0.1:80")
}

// TestOldServer: one that does not know EDNS says FORMERR, or leaves the question out.
func TestOldServer(t *testing.T) {
	s := serve(t)
	s.set("x.test.", dns.TypeA, a("x.test.", 0, "10.0.0.1"))
	s.answerBy(func(w dns.ResponseWriter, q *dns.Msg) bool {
		if q.IsEdns0() == nil {
			return false
		}
		m := new(dns.Msg).SetRcode(q, dns.RcodeFormatError)
		m.Question = nil
		_ = w.WriteMsg(m)
		return true
	})
	run(t, section(s.addr)).watch("x.test:80").shows("10.0.0.1:80")
}

// TestOneFails: a name that makes trouble does not make the others stale.
func TestOneFails(t *testing.T) {
	s := serve(t)
	s.set("x.test.", dns.TypeA, a("x.test.", 0, "10.0.0.1"))
	r := run(t, section(s.addr))
	x := r.watch("x.test:80")
	x.shows("10.0.0.1:80")
	s.answerBy(func(w dns.ResponseWriter, q *dns.Msg) bool {
		if q.Question[0].Name == "bad.test." {
			rcode(dns.RcodeServerFailure)(w, q)
			return true
		}
		return false
	})
	bad := r.watch("bad.test:80")
	r.complained("bad.test")
	s.set("x.test.", dns.TypeA, a("x.test.", 0, "10.0.0.2"))
	x.shows("10.0.0.2:80")
	r.until(registry.Live)
	if bad.count() > 0 {
		t.Error("a failure was pushed")
	}
}

// TestCancelled: at any moment, also in the midst of a question, everything ends at once.
func TestCancelled(t *testing.T) {
	s := serve(t)
	s.answerBy(func(dns.ResponseWriter, *dns.Msg) bool { return true }) // silence
	c := section(s.addr)
	c.Timeout = time.Minute
	for i := range 20 {
		r := run(t, c)
		w := r.watch("x.test:80")
		time.Sleep(time.Duration(i) * time.Millisecond)
		start := time.Now()
		w.stop()
		if took := time.Since(start); took > time.Second {
			t.Fatalf("it took %v to end", took)
		}
	}
}
