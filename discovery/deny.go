package discovery

import (
	"net/netip"
	"strconv"
	"strings"
)

// denied reports whether a host is an address of one of the prefixes. A name cannot be judged, except for those that are
// this machine wherever they are looked up.
func denied(host string, deny []netip.Prefix) bool {
	if len(deny) == 0 {
		return false
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") { // RFC 6761, section 6.3
		return contains(deny, loopback4()) || contains(deny, netip.IPv6Loopback())
	}
	ip, err := netip.ParseAddr(name)
	if err != nil {
		ip = legacyIPv4(name)
	}
	if !ip.IsValid() {
		return false
	}
	ip = ip.Unmap().WithZone("")
	if contains(deny, ip) {
		return true
	}
	// A connection to the unspecified address is one to this machine.
	return ip.IsUnspecified() && (contains(deny, loopback4()) || contains(deny, netip.IPv6Loopback()))
}

func loopback4() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 1}) }

func contains(prefixes []netip.Prefix, ip netip.Addr) bool {
	for _, p := range prefixes {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// legacyIPv4 reads the spellings that inet_aton(3), and so some resolvers, take for addresses: fewer than four parts, of
// which the last fills the rest, each decimal, octal or hexadecimal. It is the zero Addr for anything else.
func legacyIPv4(s string) netip.Addr {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}
	}
	value := uint64(0)
	for i, p := range parts {
		width := 8
		if i == len(parts)-1 {
			width = 8 * (4 - i)
		}
		n, err := parseLegacy(p, width)
		if err != nil {
			return netip.Addr{}
		}
		value = value<<width | n
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)})
}

func parseLegacy(p string, width int) (uint64, error) {
	switch {
	case strings.HasPrefix(p, "0x"):
		return strconv.ParseUint(p[2:], 16, width)
	case len(p) > 1 && p[0] == '0':
		return strconv.ParseUint(p[1:], 8, width)
	}
	return strconv.ParseUint(p, 10, width)
}
