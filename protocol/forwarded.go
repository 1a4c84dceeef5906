package protocol

import (
	"net/netip"
	"strings"
)

// Forward decides who the caller is and what it asked for, and writes down for the upstream what this hop knows. Peer, TLS,
// Authority and Header must be set; Scheme, Client and, from trusted peers, Authority are set by it.
//
// From a peer that is no trusted proxy, X-Forwarded-For, -Proto, -Host, -Port, X-Real-IP and Forwarded are dropped. From a
// trusted one they are believed: the client is the first address from the right that is no trusted proxy. Upstream go
// X-Forwarded-For with the peer's address appended, X-Forwarded-Proto and X-Forwarded-Host; Forwarded is never passed on,
// because a backend that reads both kinds could find two stories.
func (r *Request) Forward(trusted []netip.Prefix) {
	r.Scheme = "http"
	if r.TLS != nil {
		r.Scheme = "https"
	}
	peer := r.Peer.Addr()
	r.Client = peer
	chain := ""
	if hasForwarded(&r.Header) {
		believed := within(trusted, peer)
		if believed {
			chain = r.believe(trusted, peer)
		}
		dropForwarded(&r.Header, !believed)
	}
	if peer.IsValid() {
		var text [48]byte
		address := r.Arena.String(peer.AppendTo(text[:0]))
		if chain != "" {
			address = r.Arena.Concat(chain, ", ", address)
		}
		r.Header.AddKnown(NameXForwardedFor, "X-Forwarded-For", address)
	}
	r.Header.AddKnown(NameXForwardedProto, "X-Forwarded-Proto", r.Scheme)
	if r.Authority != "" {
		r.Header.AddKnown(NameXForwardedHost, "X-Forwarded-Host", r.Authority)
	}
}

func within(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func hasForwarded(h *Header) bool {
	for i := range h.Len() {
		if isForwarded(h.At(i).ID()) || h.At(i).ID() == NameXRealIP {
			return true
		}
	}
	return false
}

func isForwarded(id Name) bool {
	switch id {
	case NameForwarded, NameXForwardedFor, NameXForwardedHost, NameXForwardedPort,
		NameXForwardedProto:
		return true
	}
	return false
}

// dropForwarded removes all of them; X-Real-IP, which names one address only, stays when a trusted proxy sent it.
func dropForwarded(h *Header, realIP bool) {
	for i := h.Len() - 1; i >= 0; i-- {
		if id := h.At(i).ID(); isForwarded(id) || realIP && id == NameXRealIP {
			h.DelAt(i)
		}
	}
}

// believe reads the fields of a trusted peer into the request and returns the addresses before it, as one list.
func (r *Request) believe(trusted []netip.Prefix, peer netip.Addr) (chain string) {
	chain = joined(&r.Arena, &r.Header, NameXForwardedFor)
	proto := joined(&r.Arena, &r.Header, NameXForwardedProto)
	host := joined(&r.Arena, &r.Header, NameXForwardedHost)
	port := joined(&r.Arena, &r.Header, NameXForwardedPort)
	if chain == "" && proto == "" && host == "" {
		chain, proto, host = readForwarded(&r.Arena, joined(&r.Arena, &r.Header, NameForwarded))
	}
	client, hops := peer, 0
	for rest := chain; rest != "" && within(trusted, client); {
		var last string
		rest, last = cutLast(rest)
		a, ok := parseNode(last)
		if !ok {
			break
		}
		client = a
		hops++
	}
	r.Client = client
	switch p := fromRight(proto, hops); {
	case EqualFold(p, "https") || EqualFold(p, "wss"):
		r.Scheme = "https"
	case EqualFold(p, "http") || EqualFold(p, "ws"):
		r.Scheme = "http"
	}
	if h := fromRight(host, hops); ValidAuthority(h) {
		r.Authority = h
		if p := fromRight(port, hops); validPort(p) && !hasPort(h) && !defaultPort(r.Scheme, p) {
			r.Authority = r.Arena.Concat(h, ":", p)
		}
	}
	return chain
}

// joined is the list of all values of a field.
func joined(a *Arena, h *Header, id Name) string {
	list := ""
	for i := range h.Len() {
		f := h.At(i)
		switch {
		case f.ID() != id || f.Value == "":
		case list == "":
			list = f.Value
		default:
			list = a.Concat(list, ", ", f.Value)
		}
	}
	return list
}

// cutLast splits the last element off a comma separated list.
func cutLast(list string) (rest, last string) {
	if i := strings.LastIndexByte(list, ','); i >= 0 {
		rest, list = list[:i], list[i+1:]
	}
	return rest, strings.Trim(list, " \t")
}

// fromRight picks the element that the proxy hops away from us has written, if each one between appended its own, and else
// the leftmost of what the trusted ones can have written.
func fromRight(list string, hops int) string {
	last := ""
	for i := 0; list != "" && i < max(hops, 1); i++ {
		list, last = cutLast(list)
	}
	return last
}

// parseNode reads an address with or without port, and brackets around IPv6.
func parseNode(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

func hasPort(authority string) bool {
	i := strings.LastIndexByte(authority, ':')
	return i >= 0 && i > strings.LastIndexByte(authority, ']')
}

func defaultPort(scheme, port string) bool {
	return scheme == "http" && port == "80" || scheme == "https" && port == "443"
}

// readForwarded turns "for=a;proto=https;host=h, for=b" (RFC 7239) into the three lists of X-Forwarded-*. Elements that say
// nothing about one of them are left out of that list.
func readForwarded(a *Arena, list string) (nodes, protos, hosts string) {
	add := func(to *string, value string) {
		if *to == "" {
			*to = value
		} else {
			*to = a.Concat(*to, ", ", value)
		}
	}
	for element := ""; list != ""; {
		element, list = cutFirst(list)
		for element != "" {
			var pair string
			pair, element, _ = strings.Cut(element, ";")
			name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			value = strings.Trim(value, `"`)
			switch {
			case value == "":
			case EqualFold(name, "for"):
				add(&nodes, value)
			case EqualFold(name, "proto"):
				add(&protos, value)
			case EqualFold(name, "host"):
				add(&hosts, value)
			}
		}
	}
	return nodes, protos, hosts
}

// cutFirst splits the first element off a comma separated list.
func cutFirst(list string) (first, rest string) {
	first, rest, _ = strings.Cut(list, ",")
	return strings.Trim(first, " \t"), strings.TrimLeft(rest, " \t")
}
