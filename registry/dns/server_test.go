package dns

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/sluice-gateway/sluice/registry"
)

// TestAddresses: both families, changes, and an empty state that somebody said.
func TestAddresses(t *testing.T) {
	s := serve(t)
	s.set("orders.test.", dns.TypeA, a("orders.test.", 0, "10.0.0.1"), a("orders.test.", 0, "10.0.0.2"))
	s.set("orders.test.", dns.TypeAAAA, aaaa("orders.test.", 0, "2001:db8::1"))
	r := run(t, section(s.addr))
	w, none := r.watch("orders.test:8080"), r.watch("nowhere.test:80")
	w.shows("10.0.0.1:8080", "10.0.0.2:8080", "[2001:db8::1]:8080")
	none.shows()
	r.until(registry.Live)
	s.set("orders.test.", dns.TypeA, a("Orders.TEST.", 0, "10.0.0.3"))
	w.shows("10.0.0.3:8080", "[2001:db8::1]:8080")
	s.set("orders.test.", dns.TypeAAAA)
	w.shows("10.0.0.3:8080")
	s.set("orders.test.", dns.TypeA)
	w.shows()
	if n := none.count(); n != 1 {
		t.Errorf("what does not change was pushed %d times", n)
	}
}

// TestTTL: an answer is believed as long as it says, within bounds.
func TestTTL(t *testing.T) {
	s := serve(t)
	s.set("long.test.", dns.TypeA, a("long.test.", 3600, "10.0.0.1"))
	s.set("short.test.", dns.TypeA, a("short.test.", 0, "10.0.0.1"))
	c := section(s.addr)
	c.Family, c.MinTTL, c.MaxTTL, c.Port = "ipv4", 100*time.Millisecond, time.Hour, 80
	r := run(t, c)
	r.watch("long.test").shows("10.0.0.1:80")
	time.Sleep(500 * time.Millisecond)
	if n := s.count("udp", dns.TypeA); n != 1 {
		t.Errorf("asked %d times within half a second of an hour", n)
	}
	r.watch("short.test").shows("10.0.0.1:80")
	time.Sleep(1100 * time.Millisecond)
	if n := s.count("udp", dns.TypeA); n < 6 || n > 13 {
		t.Errorf("asked %d times within 1.1 s, each good for 100 ms", n-1)
	}
}

// TestSRV: ports, weights and priorities, with addresses that come along or are asked for.
func TestSRV(t *testing.T) {
	s := serve(t)
	s.set("_http._tcp.shop.test.", dns.TypeSRV,
		srv("_http._tcp.shop.test.", "10 60 8080 a.test."), srv("_http._tcp.shop.test.", "10 0 8081 b.test."),
		srv("_http._tcp.shop.test.", "20 5 8082 c.test."), srv("_http._tcp.shop.test.", "10 1 1 gone.test."))
	s.set("a.test.", dns.TypeA, a("a.test.", 1, "10.0.0.1"), a("a.test.", 1, "10.0.0.2"))
	s.set("b.test.", dns.TypeCNAME, cname("b.test.", "b2.test."))
	s.set("b2.test.", dns.TypeA, a("b2.test.", 1, "10.0.0.3"))
	s.set("c.test.", dns.TypeA, a("c.test.", 1, "10.0.0.4"))
	w := run(t, section(s.addr)).watch("_http._tcp.shop.test")
	got := w.shows("10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8081", "10.0.0.4:8082")
	for _, i := range got.Instances {
		weight := map[int]float64{8080: 30, 8081: 0.1, 8082: 5}[i.Port]
		if i.Weight != weight || i.Disabled != (i.Port == 8082) || i.Protocol != "http" {
			t.Errorf("%+v", i)
		}
	}
	if got.SkippedCount != 1 || got.Skipped[0].Entry != "gone.test.:1" {
		t.Errorf("skipped %+v", got.Skipped)
	}
	s.set("_http._tcp.shop.test.", dns.TypeSRV, srv("_http._tcp.shop.test.", "20 0 8082 c.test."))
	if i := w.shows("10.0.0.4:8082").Instances[0]; i.Disabled || i.Weight != 1 {
		t.Errorf("%+v", i)
	}
	s.set("_http._tcp.shop.test.", dns.TypeSRV, srv("_http._tcp.shop.test.", "0 0 0 ."))
	w.shows()
}

// TestCarried: addresses that come with an SRV answer spare a question, if they are all of them.
func TestCarried(t *testing.T) {
	s := serve(t)
	s.answerBy(func(w dns.ResponseWriter, q *dns.Msg) bool {
		if q.Question[0].Qtype != dns.TypeSRV {
			return false
		}
		m := new(dns.Msg).SetReply(q)
		for _, l := range []string{srv("_grpc._tcp.x.test.", "1 1 50051 a.test."), a("a.test.", 1, "10.0.0.1"), a("other.test.", 1, "10.6.6.6")} {
			rr, _ := dns.NewRR(l)
			if rr.Header().Rrtype == dns.TypeSRV {
				m.Answer = append(m.Answer, rr)
			} else {
				m.Extra = append(m.Extra, rr)
			}
		}
		_ = w.WriteMsg(m)
		return true
	})
	s.set("a.test.", dns.TypeAAAA, aaaa("a.test.", 1, "2001:db8::1"))
	c := section(s.addr)
	c.Family = "ipv4"
	run(t, c).watch("_grpc._tcp.x.test").shows("10.0.0.1:50051")
	if n := s.count("udp", dns.TypeA); n != 0 {
		t.Errorf("asked %d times for what had come along", n)
	}
	s.set("a.test.", dns.TypeA, a("a.test.", 1, "10.0.0.1"))
	run(t, section(s.addr)).watch("_grpc._tcp.x.test").shows("10.0.0.1:50051", "[2001:db8::1]:50051")
}

// TestTCP: 1,000 addresses fit no datagram.
func TestTCP(t *testing.T) {
	s := serve(t)
	var lines, want []string
	for i := range 1000 {
		ip := fmt.Sprintf("10.1.%d.%d", i/250, i%250)
		lines, want = append(lines, a("big.test.", 1, ip)), append(want, ip+":80")
	}
	s.set("big.test.", dns.TypeA, lines...)
	run(t, section(s.addr)).watch("big.test:80").shows(want...)
	if s.count("tcp", dns.TypeA) == 0 {
		t.Error("not over TCP")
	}
}

// TestServers: the dead ones are passed over, and resolv.conf is read again.
func TestServers(t *testing.T) {
	s, other, dead := serve(t), serve(t), serve(t)
	dead.stop()
	s.set("x.test.", dns.TypeA, a("x.test.", 0, "10.0.0.1"))
	other.set("x.test.", dns.TypeA, a("x.test.", 0, "10.0.0.2"))
	run(t, section(dead.addr, s.addr)).watch("x.test:80").shows("10.0.0.1:80")

	file := filepath.Join(t.TempDir(), "resolv.conf")
	c := section()
	c.ResolvConf = file
	r := run(t, c)
	w := r.watch("x.test:80")
	r.complained(file)
	if err := os.WriteFile(file, []byte("search test\noptions ndots:5\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.complained("names no nameserver")
	for i, server := range []*server{s, other} {
		text := "nameserver " + server.addr + "\n"
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(time.Duration(i-10) * time.Second)
		if err := os.Chtimes(file, when, when); err != nil {
			t.Fatal(err)
		}
		w.shows(fmt.Sprintf("10.0.0.%d:80", i+1))
	}
}

// TestProbe: without a service to watch the servers are asked for a sign of life.
func TestProbe(t *testing.T) {
	s := serve(t)
	run(t, section(s.addr)).until(registry.Live)
	s.stop()
	r := run(t, section(s.addr))
	r.complained(s.addr)
	r.until(registry.Connecting)
}
