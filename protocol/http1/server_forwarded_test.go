package http1

import (
	"net/netip"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

func TestForwarded(t *testing.T) {
	type fields = [][2]string
	for name, tc := range map[string]struct {
		peer                                     string
		header                                   fields
		client, scheme, authority, chain, realIP string
	}{
		"no proxy": {peer: "9.9.9.9",
			client: "9.9.9.9", scheme: "http", authority: "a", chain: "9.9.9.9"},
		"lies of a stranger": {peer: "9.9.9.9",
			header: fields{{"X-Forwarded-For", "1.1.1.1"}, {"X-Forwarded-Proto", "https"}, {"X-Forwarded-Host", "evil"}, {"Forwarded", "for=2.2.2.2"}, {"X-Real-IP", "3.3.3.3"}},
			client: "9.9.9.9", scheme: "http", authority: "a", chain: "9.9.9.9"},
		"one proxy": {peer: "10.0.0.1",
			header: fields{{"X-Forwarded-For", "1.1.1.1"}, {"X-Forwarded-Proto", "https"}, {"X-Forwarded-Host", "shop"}, {"X-Real-IP", "1.1.1.1"}},
			client: "1.1.1.1", scheme: "https", authority: "shop", chain: "1.1.1.1, 10.0.0.1", realIP: "1.1.1.1"},
		"from the right": {peer: "10.0.0.1",
			header: fields{{"X-Forwarded-For", "6.6.6.6, 1.1.1.1"}, {"X-Forwarded-For", "10.0.0.2"}},
			client: "1.1.1.1", scheme: "http", authority: "a", chain: "6.6.6.6, 1.1.1.1, 10.0.0.2, 10.0.0.1"},
		"all trusted": {peer: "10.0.0.1",
			header: fields{{"X-Forwarded-For", "10.0.0.3,10.0.0.2"}},
			client: "10.0.0.3", scheme: "http", authority: "a", chain: "10.0.0.3,10.0.0.2, 10.0.0.1"},
		"rubbish stops the walk": {peer: "10.0.0.1",
			header: fields{{"X-Forwarded-For", "1.1.1.1, unknown, 10.0.0.2"}},
			client: "10.0.0.2", scheme: "http", authority: "a", chain: "1.1.1.1, unknown, 10.0.0.2, 10.0.0.1"},
		"rubbish host and scheme": {peer: "10.0.0.1",
			header: fields{{"X-Forwarded-For", "1.1.1.1"}, {"X-Forwarded-Proto", "gopher"}, {"X-Forwarded-Host", "a/b"}},
			client: "1.1.1.1", scheme: "http", authority: "a", chain: "1.1.1.1, 10.0.0.1"},
		"each hop adds its own": {peer: "10.0.0.1",
			header: fields{{"X-Forwarded-For", "1.1.1.1, 10.0.0.2"}, {"X-Forwarded-Proto", "gopher, https, http"}, {"X-Forwarded-Host", "evil, shop, inner"}},
			client: "1.1.1.1", scheme: "https", authority: "shop", chain: "1.1.1.1, 10.0.0.2, 10.0.0.1"},
		"port": {peer: "10.0.0.1",
			header: fields{{"X-Forwarded-For", "1.1.1.1"}, {"X-Forwarded-Host", "shop"}, {"X-Forwarded-Port", "8443"}, {"X-Forwarded-Proto", "https"}},
			client: "1.1.1.1", scheme: "https", authority: "shop:8443", chain: "1.1.1.1, 10.0.0.1"},
		"default port": {peer: "10.0.0.1",
			header: fields{{"X-Forwarded-Host", "shop"}, {"X-Forwarded-Port", "443"}, {"X-Forwarded-Proto", "https"}},
			client: "10.0.0.1", scheme: "https", authority: "shop", chain: "10.0.0.1"},
		"Forwarded": {peer: "10.0.0.1",
			header: fields{{"Forwarded", `for="[2001:db8::1]:4711";proto=https;host="shop:444", for=10.0.0.2`}},
			client: "2001:db8::1", scheme: "https", authority: "shop:444", chain: `[2001:db8::1]:4711, 10.0.0.2, 10.0.0.1`},
		"IPv6 peer": {peer: "fd00::1",
			header: fields{{"X-Forwarded-For", "2001:db8::2"}},
			client: "2001:db8::2", scheme: "http", authority: "a", chain: "2001:db8::2, fd00::1"},
	} {
		t.Run(name, func(t *testing.T) {
			x := &serverExchange{cfg: &ServerConfig{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
			x.req.Peer, x.req.Authority = netip.AddrPortFrom(netip.MustParseAddr(tc.peer), 1), "a"
			for _, f := range tc.header {
				x.req.Header.Add(f[0], f[1])
			}
			x.req.Forward(x.cfg.TrustedProxies)
			h := &x.req.Header
			if x.req.Client.String() != tc.client || x.req.Scheme != tc.scheme || x.req.Authority != tc.authority {
				t.Errorf("client %v, scheme %s, authority %s", x.req.Client, x.req.Scheme, x.req.Authority)
			}
			if got := h.Get("X-Forwarded-For"); got != tc.chain || h.Count(protocol.NameXForwardedFor) != 1 {
				t.Errorf("X-Forwarded-For %q, want %q", got, tc.chain)
			}
			if h.Get("X-Forwarded-Proto") != tc.scheme || h.Get("X-Forwarded-Host") != tc.authority || h.Get("Forwarded") != "" || h.Get("X-Forwarded-Port") != "" {
				t.Errorf("upstream would get %v", h)
			}
			if h.Get("X-Real-IP") != tc.realIP {
				t.Errorf("X-Real-IP %q", h.Get("X-Real-IP"))
			}
		})
	}
}
