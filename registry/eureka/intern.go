package eureka

import (
	"strings"
)

const (
	maxInterned = 1 << 17 // texts, and as many metadata: what a huge registry needs, and no more of what garbage wants
	internBelow = 128     // bytes; longer texts seldom repeat
)

// interner keeps one copy of each text that is met often: names, states, zones, metadata. It lives for one full answer and
// the deltas after it, so that it holds nothing for long that is no longer there.
type interner struct {
	texts    map[string]string
	metadata map[string]map[string]string
	key      []byte
}

func newInterner() *interner {
	return &interner{texts: map[string]string{}, metadata: map[string]map[string]string{}}
}

// text is b as a string of valid UTF-8.
func (n *interner) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > internBelow {
		return valid(b)
	}
	if s, ok := n.texts[string(b)]; ok { // the compiler makes no string for this
		return s
	}
	s := valid(b)
	if len(n.texts) < maxInterned {
		n.texts[s] = s
	}
	return s
}

// lower is b in lower case.
func (n *interner) lower(s string) string {
	l := strings.ToLower(s)
	if l == s || len(l) > internBelow {
		return l
	}
	if known, ok := n.texts[l]; ok {
		return known
	}
	if len(n.texts) < maxInterned {
		n.texts[l] = l
	}
	return l
}

// pairs is a map of keys and values, which stand one after the other. The instances of a service mostly share one.
func (n *interner) pairs(kv []string) map[string]string {
	if len(kv) == 0 {
		return nil
	}
	n.key = n.key[:0]
	for _, s := range kv {
		n.key = append(append(n.key, s...), 0xff) // in no valid UTF-8
	}
	known, ok := n.metadata[string(n.key)]
	if ok {
		return known
	}
	m := make(map[string]string, len(kv)/2)
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	if len(n.metadata) < maxInterned {
		n.metadata[string(n.key)] = m
	}
	return m
}

func valid(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }
