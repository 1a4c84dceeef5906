package dns

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// maxAliases bounds a chain of CNAMEs.
const maxAliases = 16

// answer is what one message says of one name and type.
type answer struct {
	records []dns.RR // of the type asked for, under the name or what it is an alias of
	// alias is where the name leads if the message does not go on from there; "" else.
	alias string
	ttl   time.Duration // until which it is good
	extra []dns.RR      // addresses that came with it
}

// read takes a message apart. Only a message that answers is one: an error means that nothing is known.
func read(m *dns.Msg, name string, kind uint16) (answer, error) {
	switch m.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError:
	case dns.RcodeRefused:
		return answer{}, errors.New("REFUSED: it does not serve this name, or not us")
	default:
		code, ok := dns.RcodeToString[m.Rcode]
		if !ok {
			code = fmt.Sprintf("code %d", m.Rcode)
		}
		return answer{}, errors.New(code)
	}
	a := answer{ttl: -1, extra: m.Extra}
	at := dns.CanonicalName(name)
	for range maxAliases {
		next := ""
		for _, rr := range m.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || dns.CanonicalName(h.Name) != at {
				continue
			}
			switch c, isAlias := rr.(*dns.CNAME); {
			case h.Rrtype == kind:
				a.records = append(a.records, rr)
			case isAlias && next == "":
				next = dns.CanonicalName(c.Target)
			default:
				continue
			}
			a.believe(h.Ttl)
		}
		switch {
		case len(a.records) > 0:
			return a, nil
		case next == "":
			return a.empty(m, name, at)
		}
		at = next
	}
	return answer{}, errors.New("its aliases (CNAME) run in circles")
}

// empty is the end of a chain without a record: there is none (RFC 2308), or the message does not know.
func (a *answer) empty(m *dns.Msg, name, at string) (answer, error) {
	soa, referral := false, false
	for _, rr := range m.Ns {
		switch rr := rr.(type) {
		case *dns.SOA:
			soa = true
			a.believe(min(rr.Hdr.Ttl, rr.Minttl))
		case *dns.NS:
			referral = true
		}
	}
	switch {
	case m.Rcode == dns.RcodeNameError || soa:
	case at != dns.CanonicalName(name):
		a.alias = at // of another zone: ask there
	case referral && !m.Authoritative:
		return answer{}, errors.New("a referral to other servers: it is no resolver that asks them itself")
	}
	return *a, nil
}

// believe shortens how long the answer is good.
func (a *answer) believe(seconds uint32) {
	if seconds > 1<<31-1 { // RFC 2181, section 8
		seconds = 0
	}
	if d := time.Duration(seconds) * time.Second; a.ttl < 0 || d < a.ttl {
		a.ttl = d
	}
}

// protocolOf is what the name of an SRV record says its service speaks: _http._tcp.name.
func protocolOf(name string) string {
	label, _, _ := strings.Cut(name, ".")
	switch p := strings.ToLower(strings.TrimPrefix(label, "_")); p {
	case "http", "https", "grpc", "dubbo", "tri":
		return p
	}
	return ""
}
