package dns

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const deadline = 20 * time.Second

// server is a real name server on loopback, UDP and TCP on one port, for the records of a test.
type server struct {
	t    testing.TB
	addr string
	stop func()

	mu      sync.Mutex
	records map[string][]dns.RR // by lower-case name and type
	special func(w dns.ResponseWriter, q *dns.Msg) bool
	asked   map[string]int // by network and type
}

func serve(t testing.TB) *server {
	t.Helper()
	return serveAt(t, "127.0.0.1:0")
}

// serveAt serves at an address; the port is the same for both networks.
func serveAt(t testing.TB, addr string) *server {
	t.Helper()
	s := &server{t: t, records: map[string][]dns.RR{}, asked: map[string]int{}}
	var tcp net.Listener
	var udp net.PacketConn
	within(t, "a port for both networks", func() (ok bool) {
		var err error
		if tcp, err = net.Listen("tcp", addr); err != nil {
			return false
		}
		if udp, err = net.ListenPacket("udp", tcp.Addr().String()); err != nil {
			_ = tcp.Close()
		}
		return err == nil
	})
	s.addr = tcp.Addr().String()
	servers := []*dns.Server{{Listener: tcp, Handler: s}, {PacketConn: udp, Handler: s}}
	var done sync.WaitGroup
	for _, d := range servers {
		up := make(chan struct{})
		d.NotifyStartedFunc = func() { close(up) }
		done.Go(func() { _ = d.ActivateAndServe() })
		<-up
	}
	s.stop = sync.OnceFunc(func() {
		for _, d := range servers {
			_ = d.Shutdown()
		}
		done.Wait()
	})
	t.Cleanup(s.stop)
	return s
}

func key(name string, kind uint16) string {
	return strings.ToLower(name) + " " + dns.TypeToString[kind]
}

// set replaces the records of a name and type; lines are of a zone file.
func (s *server) set(name string, kind uint16, lines ...string) {
	s.t.Helper()
	var all []dns.RR
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, rr)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[key(name, kind)] = all
}

// answerBy answers in its own way what it says true to.
func (s *server) answerBy(special func(w dns.ResponseWriter, q *dns.Msg) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.special = special
}

func (s *server) count(network string, kind uint16) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[key(network, kind)]
}

// ServeDNS implements dns.Handler, as a recursive resolver does: the chain of aliases is in the answer.
func (s *server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	kind, name := q.Question[0].Qtype, q.Question[0].Name
	s.asked[key(w.RemoteAddr().Network(), kind)]++
	special := s.special
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	for range 5 {
		m.Answer = append(m.Answer, s.records[key(name, kind)]...)
		alias := s.records[key(name, dns.TypeCNAME)]
		if len(alias) == 0 {
			break
		}
		m.Answer = append(m.Answer, alias...)
		name = alias[0].(*dns.CNAME).Target
	}
	known := false
	for k := range s.records {
		known = known || strings.HasPrefix(k, strings.ToLower(name)+" ")
	}
	s.mu.Unlock()
	if special != nil && special(w, q) {
		return
	}
	if len(m.Answer) == 0 {
		if !known {
			m.Rcode = dns.RcodeNameError
		}
		soa, _ := dns.NewRR("test. 1 IN SOA ns.test. root.test. 1 2 3 4 1")
		m.Ns = append(m.Ns, soa)
	}
	size := dns.MinMsgSize
	if opt := q.IsEdns0(); opt != nil {
		size = int(opt.UDPSize())
		m.SetEdns0(4096, false)
	}
	if w.RemoteAddr().Network() == "udp" {
		m.Truncate(size)
	}
	_ = w.WriteMsg(m)
}

func within(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", deadline, what)
		}
	}
}

// rig is a registry under test that runs, and what it reported.
type rig struct {
	t   testing.TB
	reg *resolver

	mu     sync.Mutex
	states []registry.State
	errs   []error
}

func section(servers ...string) *Config {
	c := Default()
	c.Servers, c.MinTTL, c.Timeout = servers, 100*time.Millisecond, 200*time.Millisecond
	c.MaxTTL = time.Second
	return c
}

func run(t testing.TB, c *Config) *rig {
	t.Helper()
	r := &rig{t: t}
	reg, err := c.Build(registry.Options{Name: "test", Logger: slog.New(slog.DiscardHandler), Report: r.report})
	if err != nil {
		t.Fatal(err)
	}
	r.reg = reg.(*resolver)
	r.background(reg.Run)
	return r
}

func (r *rig) report(s registry.State, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states = append(r.states, s)
	if err != nil {
		r.errs = append(r.errs, err)
	}
}

func (r *rig) until(want registry.State) {
	r.t.Helper()
	within(r.t, want.String(), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.states) > 0 && r.states[len(r.states)-1] == want
	})
}

func (r *rig) complained(part string) {
	r.t.Helper()
	defer func() {
		if r.t.Failed() {
			r.t.Logf("errors: %v", r.errs)
		}
	}()
	within(r.t, "an error with "+part, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return slices.ContainsFunc(r.errs, func(err error) bool { return strings.Contains(err.Error(), part) })
	})
}

func (r *rig) background(task func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := task(ctx); err != nil {
			r.t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(deadline):
			r.t.Error("did not end when its context did")
		}
	})
	r.t.Cleanup(stop)
	return stop
}

type pushes struct {
	t    testing.TB
	stop func()
	mu   sync.Mutex
	all  []registry.Snapshot
}

func (r *rig) watch(name string) *pushes {
	p := &pushes{t: r.t}
	p.stop = r.background(func(ctx context.Context) error {
		return r.reg.Watch(ctx, registry.App(name), func(s registry.Snapshot) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.all = append(p.all, s)
		})
	})
	return p
}

func (p *pushes) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all)
}

// shows waits until the newest push holds exactly these instances.
func (p *pushes) shows(want ...string) registry.Snapshot {
	p.t.Helper()
	slices.Sort(want)
	var got registry.Snapshot
	for end := time.Now().Add(deadline); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		n := len(p.all)
		if n > 0 {
			got = p.all[n-1]
		}
		p.mu.Unlock()
		all := []string{}
		for i := range got.Instances {
			all = append(all, got.Instances[i].Address())
		}
		slices.Sort(all)
		if n > 0 && slices.Equal(all, want) {
			return got
		}
		if time.Now().After(end) {
			p.t.Fatalf("not within %v: %v; the newest of %d pushes is %+v", deadline, want, n, got)
		}
	}
}

func a(name string, ttl int, ip string) string { return fmt.Sprintf("%s %d IN A %s", name, ttl, ip) }
func cname(name, target string) string         { return name + " 1 IN CNAME " + target }
func srv(name string, rest string) string      { return name + " 1 IN SRV " + rest }
func aaaa(name string, ttl int, ip string) string {
	return fmt.Sprintf("%s %d IN AAAA %s", name, ttl, ip)
}
