package consul

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// scripted is a server that answers as Consul does where nothing is registered, but for what a test wants otherwise.
type scripted struct {
	addr string

	mu     sync.Mutex
	all    []*http.Request
	health http.HandlerFunc // instead of the answer about a service
}

func newScripted(t testing.TB) *scripted {
	t.Helper()
	s := &scripted{}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.addr = server.Listener.Addr().String()
	return s
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.all = append(s.all, r)
	health := s.health
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/v1/status/leader"):
		_, _ = w.Write([]byte(`"127.0.0.1:8300"`))
	case strings.HasSuffix(r.URL.Path, "/v1/acl/token/self"):
		w.WriteHeader(http.StatusUnauthorized)
	case health != nil:
		health(w, r)
	default:
		answer(w, r, 7, "[]")
	}
}

// answer waits like a blocking query whose index is the newest, for as long as a test may take at most.
func answer(w http.ResponseWriter, r *http.Request, index uint64, body string) {
	if r.URL.Query().Get("index") == fmt.Sprint(index) {
		select {
		case <-r.Context().Done():
			return
		case <-time.After(5 * time.Second):
		}
	}
	w.Header().Set("X-Consul-Index", fmt.Sprint(index))
	w.Header().Set("X-Consul-LastContact", "0")
	w.Header().Set("X-Consul-KnownLeader", "true")
	_, _ = w.Write([]byte(body))
}

// asked are the requests so far.
func (s *scripted) asked() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.all...)
}

func (s *scripted) answerHealth(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health = h
}

const oneInstance = `[{"Node":{"Node":"n","Address":"192.0.2.9"},"Service":{"ID":"a","Service":"web","Address":"192.0.2.1","Port":80,"Weights":{"Passing":1,"Warning":1}},"Checks":[]}]`

// Whatever comes instead of an answer is reported, with something to do about it, and never taken for "no instances".
func TestHostileAnswers(t *testing.T) {
	plain := func(code int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("X-Consul-Index", "9")
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, c := range map[string]struct {
		health http.HandlerFunc
		want   string
	}{
		"HTML 200":     {plain(200, "text/html", "<html>login</html>"), "text/html, not JSON"},
		"HTML as JSON": {plain(200, "application/json", "<html>"), "not whole JSON"},
		"empty":        {plain(200, "application/json", ""), "0 bytes is not whole JSON"},
		"half JSON":    {plain(200, "application/json", oneInstance[:40]), "not whole JSON"},
		"two values":   {plain(200, "application/json", "[]<html>"), "not whole JSON"},
		"null":         {plain(200, "application/json", "null"), "the answer is null"},
		"another type": {plain(200, "application/json", `{"errors":[]}`), "cannot unmarshal"},
		"5 MB":         {plain(200, "application/json", strings.Repeat("x", 5<<20)), "not whole JSON"},
		"5 MB refusal": {plain(500, "text/plain", strings.Repeat("x", 5<<20)), "it answers 500: xxx"},
		"500":          {plain(500, "text/plain", "rpc error:\x1b[2J oh\r\nno"), "it answers 500: rpc error: [2J oh  no"},
		"502":          {plain(502, "text/html", "<html>"), "it answers 502"},
		"403":          {plain(403, "text/plain", "Permission denied: token lacks permission"), "set token or tokenFile"},
		"429":          {plain(429, "text/plain", "Your IP is issuing too many concurrent connections"), "lower maxPolls"},
		"429, rate":    {plain(429, "text/plain", "rate limit exceeded, try again later"), "request_limits"},
		"404":          {plain(404, "text/plain", "404 page not found"), "is this Consul's HTTP API?"},
		"400":          {plain(400, "text/plain", "bad"), "it answers 400: bad"},
		"204":          {plain(204, "", ""), "it answers 204"},
		"redirect":     {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, "it answers 302"},
		"no index":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[]")) }, "no X-Consul-Index"},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("[]"))
		}, "read answer"},
		"filtered": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Consul-Results-Filtered-By-ACLs", "true")
			answer(w, r, 9, "[]")
		}, "the ACLs hide a part"},
		"reset":   {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"silence": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScripted(t)
			s.answerHealth(func(w http.ResponseWriter, r *http.Request) { answer(w, r, 7, oneInstance) })
			r := newRig(t, s.addr, func(c *Config) { c.Timeouts.Request = 500 * time.Millisecond; c.Wait = time.Second })
			w := r.Watch(registry.App("web"))
			w.Until("one", has("192.0.2.1:80"))
			fresh := r.Watch(registry.App("other"))
			fresh.Last()
			s.answerHealth(c.health)
			fresh.Stop()
			late := r.Watch(registry.App("late")) // begins while nothing sensible is said
			r.AwaitError(c.want, "service late")
			if late.Count() != 0 {
				t.Errorf("it was taken for %v", late.Last())
			}
			if !has("192.0.2.1:80")(w.Last()) {
				t.Errorf("what was known became %v", addresses(w.Last()))
			}
			s.answerHealth(nil)
			late.Until("the truth", has())
		})
	}
}

// An index that goes back, or is 0, begins anew with a plain read.
func TestIndexRules(t *testing.T) {
	s := newScripted(t)
	steps := make(chan uint64, 10)
	for _, index := range []uint64{9, 12, 4, 0, 6} {
		steps <- index
	}
	var mu sync.Mutex
	var asked []string
	s.answerHealth(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Query().Get("index"))
		mu.Unlock()
		select {
		case index := <-steps:
			answer(w, r, index, "[]")
		case <-r.Context().Done():
		}
	})
	r := newRig(t, s.addr)
	r.Watch(registry.App("web"))
	want := "[ 9 12   6]"
	registrytest.Within(t, "the questions", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(asked) == 6
	})
	mu.Lock()
	defer mu.Unlock()
	if got := fmt.Sprint(asked); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A wait that ended without news is no push.
func TestUnchangedIndexIsNoChange(t *testing.T) {
	s := newScripted(t)
	s.answerHealth(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Consul-Index", "7")
		_, _ = w.Write([]byte(oneInstance))
	})
	r := newRig(t, s.addr)
	w := r.Watch(registry.App("web"))
	w.Until("one", has("192.0.2.1:80"))
	registrytest.Within(t, "more questions", func() bool { return len(s.asked()) > 10 })
	if n := w.Count(); n != 1 {
		t.Errorf("%d pushes", n)
	}
}
