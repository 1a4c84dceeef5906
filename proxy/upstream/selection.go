package upstream

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
)

// selection is what of a request decides on its instance. It is nil for a service where nothing does.
type selection struct {
	hash   []Extract
	sticky *config.Sticky
}

func newSelection(b *config.Balance) (*selection, error) {
	if len(b.Hash) == 0 && b.Sticky == nil {
		return nil, nil
	}
	s := &selection{sticky: b.Sticky}
	for i, text := range b.Hash {
		e, err := ParseExtract(text)
		if err != nil {
			return nil, fmt.Errorf("balance.hash[%d]: %w", i, err)
		}
		s.hash = append(s.hash, e)
	}
	return s, nil
}

// choose picks an instance for the request.
func (s *state) choose(now int64, req *protocol.Request, tried []*balance.Load) *instance {
	c := balance.Choice{Now: now, Tried: tried}
	if by := s.instances[0].service.selection; by != nil {
		if len(tried) == 0 {
			if i := by.stuck(s, req); i != nil {
				return i
			}
		}
		c.Key, c.Keyed = by.key(req)
	}
	return s.instances[s.picker.Pick(c)]
}

// key hashes the first of what the service hashes that the request has.
func (b *selection) key(req *protocol.Request) (uint64, bool) {
	for i := range b.hash {
		if v, ok := b.hash[i].of(req); ok && v != "" {
			return balance.Hash(v), true
		}
	}
	return 0, false
}

// stuck is the instance that the request's cookie names, as long as it is there and there is no reason to avoid it.
func (b *selection) stuck(s *state, req *protocol.Request) *instance {
	if b.sticky == nil {
		return nil
	}
	token, ok := req.Header.Cookie(b.sticky.Cookie)
	if !ok {
		return nil
	}
	i := s.tokens(b.sticky.Cookie).instance[token]
	if i == nil || i.load.Flags()&^i.service.pool.Ignored() != 0 {
		return nil
	}
	return i
}

// stick tells the client which instance it has, unless it knows.
func (b *selection) stick(s *state, i *instance, req *protocol.Request, resp *protocol.Response) {
	if b.sticky == nil {
		return
	}
	token := s.tokens(b.sticky.Cookie).of[i]
	if sent, ok := req.Header.Cookie(b.sticky.Cookie); token == "" || (ok && sent == token) {
		return
	}
	cookie := b.sticky.Cookie + "=" + token + "; Path=/; HttpOnly; SameSite=Lax"
	if b.sticky.TTL > 0 {
		cookie += "; Max-Age=" + strconv.Itoa(int(b.sticky.TTL/time.Second))
	}
	if req.Scheme == "https" {
		cookie += "; Secure"
	}
	resp.Header.Add("Set-Cookie", cookie)
}

// tokens are what cookies name instances by: the same after a restart and in all gateways, and not readable.
type tokens struct {
	of       map[*instance]string
	instance map[string]*instance
}

func (s *state) tokens(cookie string) *tokens {
	if t := s.sticky.Load(); t != nil {
		return t
	}
	t := &tokens{make(map[*instance]string, len(s.instances)), make(map[string]*instance, len(s.instances))}
	for _, i := range s.instances {
		sum := sha256.Sum256([]byte(strings.Join([]string{cookie, s.service, i.endpoint.ID}, sep)))
		token := base64.RawURLEncoding.EncodeToString(sum[:12])
		t.of[i] = token
		if t.instance[token] == nil {
			t.instance[token] = i
		}
	}
	s.sticky.CompareAndSwap(nil, t)
	return s.sticky.Load()
}

// target is the instance as a picker sees it.
func (i *instance) target() balance.Target {
	e := i.endpoint
	t := balance.Target{Load: i.load, Weight: e.Weight, ID: e.ID, Zone: e.Zone, Since: i.joined}
	if p, err := strconv.Atoi(e.Metadata["priority"]); err == nil {
		t.Priority = p
	}
	// A Dubbo provider says itself how long it warms up, in milliseconds, and since when it is there.
	if ms, err := strconv.Atoi(e.Metadata["warmup"]); err == nil && ms > 0 {
		t.Warmup = time.Duration(ms) * time.Millisecond
		if began, err := strconv.ParseInt(e.Metadata["timestamp"], 10, 64); err == nil {
			age := time.Since(time.UnixMilli(began))
			t.Since = protocol.Now() - int64(max(age, 0))
		}
	}
	return t
}
