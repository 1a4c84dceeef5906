package dubbo

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/sluice-gateway/sluice/registry"
)

// maxURL bounds a URL. The methods of a large interface take some kilobytes.
const maxURL = 64 << 10

// URL is what Dubbo writes of a provider, of a rule, of a MetadataService: protocol://host:port/path?parameters
// (org.apache.dubbo.common.URL).
type URL struct {
	// Protocol is in lower case.
	Protocol string
	// Host has no brackets; Port is 0 if there is none.
	Host string
	Port int
	// Path has no leading slash.
	Path string
	// Params is never nil.
	Params map[string]string
}

// ParseEscaped reads a URL that is a name in a registry: Java escapes the whole URL once; dubbo-go has escaped the
// parameters before that.
func ParseEscaped(name string) (*URL, error) {
	if len(name) > maxURL {
		return nil, fmt.Errorf("longer than %d bytes", maxURL)
	}
	text, err := url.QueryUnescape(name)
	if err != nil {
		return nil, errors.New("not an escaped URL")
	}
	return ParseURL(text)
}

// ParseURL reads a URL that is written plainly (Java's URL.toFullString escapes nothing), or whose parameters are escaped.
func ParseURL(text string) (*URL, error) {
	if len(text) > maxURL {
		return nil, fmt.Errorf("longer than %d bytes", maxURL)
	}
	u := &URL{}
	rest, ok := "", false
	if u.Protocol, rest, ok = strings.Cut(text, "://"); !ok || u.Protocol == "" {
		return nil, errors.New("not a URL")
	}
	u.Protocol = strings.ToLower(u.Protocol)
	rest, query, _ := strings.Cut(rest, "?")
	address, path, _ := strings.Cut(rest, "/")
	u.Path = path
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		address = address[at+1:]
	}
	if err := u.SetAddress(address); err != nil {
		return nil, err
	}
	u.Params = make(map[string]string, strings.Count(query, "&")+1)
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name = Unescape(name); name != "" {
			u.Params[name] = Unescape(value)
		}
	}
	return u, nil
}

// SetAddress reads host:port. It splits at the last colon: Java writes IPv6 hosts with and without brackets.
func (u *URL) SetAddress(address string) error {
	u.Host, u.Port = address, 0
	if colon := strings.LastIndexByte(address, ':'); colon >= 0 && !strings.HasSuffix(address, "]") {
		port, err := strconv.ParseUint(address[colon+1:], 10, 16)
		if err != nil {
			return fmt.Errorf("port %q is not in 1-65535", clip(address[colon+1:]))
		}
		u.Host, u.Port = address[:colon], int(port)
	}
	u.Host = Unbracket(u.Host)
	return nil
}

// Param is a parameter of the provider, or of the defaults that Dubbo before 2.7 put beside it.
func (u *URL) Param(name string) string {
	if v, ok := u.Params[name]; ok {
		return v
	}
	return u.Params["default."+name]
}

// Unbracket takes the brackets off an IPv6 host.
func Unbracket(host string) string {
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		return host[1 : len(host)-1]
	}
	return host
}

// Unescape undoes an escaping, if there is one. A plus stays: in Java's single escaping it is one.
func Unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// Readable is an escaped URL as a person would write it, without parameters; what would disturb a line stays escaped.
func Readable(name string) string {
	if u, err := ParseEscaped(name); err == nil && strings.IndexFunc(u.Protocol+u.Host, unicode.IsControl) < 0 {
		i := registry.Instance{Host: u.Host, Port: u.Port}
		return u.Protocol + "://" + i.Address()
	}
	return name
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
