package http1

import (
	"net/netip"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// forward decides who the caller is and what it asked for, and writes down for the upstream what this hop knows.
//
// From a peer that is no trusted proxy, X-Forwarded-For, -Proto, -Host, -Port, X-Real-IP and Forwarded are dropped. From a
// trusted one they are believed: the client is the first address from the right that is no trusted proxy. Upstream go
// X-Forwarded-For with the peer's address appended, X-Forwarded-Proto and X-Forwarded-Host; Forwarded is never passed on,
// because a backend that reads both kinds could find two stories.
func (x *serverExchange) forward() {
	req := &x.req
	req.Scheme = "http"
	if req.TLS != nil {
		req.Scheme = "https"
	}
	peer := req.Peer.Addr()
	req.Client = peer
	chain := ""
	if hasForwarded(&req.Header) {
		trusted := x.trusted(peer)
		if trusted {
			chain = x.believe(peer)
		}
		dropForwarded(&req.Header, !trusted)
	}
	if peer.IsValid() {
		var text [48]byte
		address := req.Arena.String(peer.AppendTo(text[:0]))
		if chain != "" {
			address = req.Arena.Concat(chain, ", ", address)
		}
		req.Header.AddKnown(protocol.NameXForwardedFor, "X-Forwarded-For", address)
	}
	req.Header.AddKnown(protocol.NameXForwardedProto, "X-Forwarded-Proto", req.Scheme)
	if req.Authority != "" {
		req.Header.AddKnown(protocol.NameXForwardedHost, "X-Forwarded-Host", req.Authority)
	}
}

func (x *serverExchange) trusted(a netip.Addr) bool {
	for _, p := range x.cfg.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func hasForwarded(h *protocol.Header) bool {
	for i := range h.Len() {
		if isForwarded(h.At(i).ID()) || h.At(i).ID() == protocol.NameXRealIP {
			return true
		}
	}
	return false
}

func isForwarded(id protocol.Name) bool {
	switch id {
	case protocol.NameForwarded, protocol.NameXForwardedFor, protocol.NameXForwardedHost, protocol.NameXForwardedPort,
		protocol.NameXForwardedProto:
		return true
	}
	return false
}

// dropForwarded removes all of them; X-Real-IP, which names one address only, stays when a trusted proxy sent it.
func dropForwarded(h *protocol.Header, realIP bool) {
	for i := h.Len() - 1; i >= 0; i-- {
		if id := h.At(i).ID(); isForwarded(id) || realIP && id == protocol.NameXRealIP {
			h.DelAt(i)
		}
	}
}

// believe reads the fields of a trusted peer into the request and returns the addresses before it, as one list.
func (x *serverExchange) believe(peer netip.Addr) (chain string) {
	req := &x.req
	chain = joined(&req.Arena, &req.Header, protocol.NameXForwardedFor)
	proto := joined(&req.Arena, &req.Header, protocol.NameXForwardedProto)
	host := joined(&req.Arena, &req.Header, protocol.NameXForwardedHost)
	port := joined(&req.Arena, &req.Header, protocol.NameXForwardedPort)
	if chain == "" && proto == "" && host == "" {
		chain, proto, host = readForwarded(&req.Arena, joined(&req.Arena, &req.Header, protocol.NameForwarded))
	}
	client, hops := peer, 0
	for rest := chain; rest != "" && x.trusted(client); {
		var last string
		rest, last = cutLast(rest)
		a, ok := parseNode(last)
		if !ok {
			break
		}
		client = a
		hops++
	}
	req.Client = client
	switch p := fromRight(proto, hops); {
	case protocol.EqualFold(p, "https") || protocol.EqualFold(p, "wss"):
		req.Scheme = "https"
	case protocol.EqualFold(p, "http") || protocol.EqualFold(p, "ws"):
		req.Scheme = "http"
	}
	if h := fromRight(host, hops); validAuthority(h) {
		req.Authority = h
		if p := fromRight(port, hops); validPort(p) && !hasPort(h) && !defaultPort(req.Scheme, p) {
			req.Authority = req.Arena.Concat(h, ":", p)
		}
	}
	return chain
}

// joined is the list of all values of a field.
func joined(a *protocol.Arena, h *protocol.Header, id protocol.Name) string {
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
func readForwarded(a *protocol.Arena, list string) (nodes, protos, hosts string) {
	add := func(to *string, value string) {
		if *to == "" {
			*to = value
		} else {
			*to = a.Concat(*to, ", ", value)
		}
	}
	for element := ""; list != ""; {
		element, list = nextToken(list)
		for element != "" {
			var pair string
			pair, element, _ = strings.Cut(element, ";")
			name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			value = strings.Trim(value, `"`)
			switch {
			case value == "":
			case protocol.EqualFold(name, "for"):
				add(&nodes, value)
			case protocol.EqualFold(name, "proto"):
				add(&protos, value)
			case protocol.EqualFold(name, "host"):
				add(&hosts, value)
			}
		}
	}
	return nodes, protos, hosts
}
