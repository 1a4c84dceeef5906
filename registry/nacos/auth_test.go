package nacos

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// door is the HTTP side of a fake: its login.
type door struct {
	mu       sync.Mutex
	status   int    // other than 200: every login fails
	token    string // what a login gives
	ttl      int    // seconds
	logins   int
	password string            // of the last login
	pages    map[string]string // what it answers at other paths; 403 without
	web      *httptest.Server
}

func newDoor(t *testing.T) *door {
	d := &door{status: http.StatusOK, token: "t1", ttl: 3600}
	d.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if page, ok := d.pages[r.URL.Path]; ok {
			_, _ = io.WriteString(w, page)
			return
		}
		if r.Method == http.MethodGet {
			http.Error(w, "go away", http.StatusForbidden)
			return
		}
		d.logins++
		d.password = r.FormValue("password")
		if d.status != http.StatusOK || r.URL.Path != "/nacos"+loginPathV3 {
			http.Error(w, "go away", d.status)
			return
		}
		fmt.Fprintf(w, `{"code":0,"data":{"accessToken":%q,"tokenTtl":%d}}`, d.token, d.ttl)
	}))
	t.Cleanup(d.web.Close)
	return d
}

func (d *door) with(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *door) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.logins
}

// behind makes a rig log in at the door, and speak to the fake.
func (d *door) behind(f *fake) func(*Config, *registry.Options) {
	port := func(address string) int {
		_, p, _ := net.SplitHostPort(address)
		n, _ := strconv.Atoi(p)
		return n
	}
	address := strings.TrimPrefix(d.web.URL, "http://")
	return func(c *Config, _ *registry.Options) {
		c.Addresses, c.GRPCPortOffset = []string{address}, port(f.address)-port(address)
		c.Username, c.Password = "u", "p"
	}
}

func TestTokenIsRenewedInTime(t *testing.T) {
	f, d := startFake(t), newDoor(t)
	f.with(func() { f.token = "t1" })
	d.with(func() { d.ttl = 2 }) // renewed after 1.6 s
	r := f.rig(d.behind(f))
	r.Watch(registry.App("a")).Until("an answer", registrytest.Has())
	f.with(func() { f.token = "" }) // the server takes both for a while
	d.with(func() { d.status = http.StatusInternalServerError })
	registrytest.Within(t, "a failed renewal", func() bool { return r.SawError("renew token") })
	if got := r.reg.auth.token(); got != "t1" {
		t.Errorf("the failed renewal has cost the token: %q", got)
	}
	if s := r.State(); s != registry.Live {
		t.Errorf("the state is %v", s)
	}
	d.with(func() { d.status, d.token, d.ttl = http.StatusOK, "t2", 3600 })
	registrytest.Within(t, "the next try", func() bool { return r.reg.auth.token() == "t2" })
	f.with(func() { f.token = "t2" })
	r.Watch(registry.App("b")).Until("an answer with the new token", registrytest.Has())
}

func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	f, d := startFake(t), newDoor(t)
	f.with(func() { f.token = "t1" })
	r := f.rig(d.behind(f))
	r.Watch(registry.App("a")).Until("an answer", registrytest.Has())
	// The secret that signs tokens has changed.
	f.with(func() { f.token = "t2" })
	d.with(func() { d.token = "t2" })
	r.reg.auth.mu.Lock()
	r.reg.auth.since = r.reg.auth.since.Add(-time.Minute)
	r.reg.auth.mu.Unlock()
	var all []*registrytest.Pushes[registry.Snapshot]
	for n := range 50 {
		all = append(all, r.Watch(registry.App(fmt.Sprintf("b%d", n))))
	}
	for _, p := range all {
		p.Until("an answer", registrytest.Has())
	}
	if n := d.count(); n != 2 {
		t.Errorf("%d logins for one change of the token", n)
	}
	r.NoErrors()
}

// TestPasswordFile: the file is read at each login, so that a password can be changed while we run.
func TestPasswordFile(t *testing.T) {
	f, d := startFake(t), newDoor(t)
	file := filepath.Join(t.TempDir(), "password")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	r := f.rig(d.behind(f), func(c *Config, _ *registry.Options) {
		c.Password, c.PasswordFile = "", filepath.Base(file)
		c.Resolve(filepath.Dir(file))
	})
	r.Await(registry.Live)
	write(" second \r\n")
	f.with(func() { f.token = "t2" })
	d.with(func() {
		if d.password != "first" {
			t.Errorf("the password is %q", d.password)
		}
		d.token = "t2"
	})
	r.Watch(registry.App("a")).Until("an answer with a new token", registrytest.Has())
	d.with(func() {
		if d.password != " second " {
			t.Errorf("the password is %q", d.password)
		}
	})
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	q := f.rig(d.behind(f), func(c *Config, _ *registry.Options) { c.Password, c.PasswordFile = "", file })
	registrytest.Within(t, "the missing file's error", func() bool { return q.SawError("log in: passwordFile: open " + file) })
}

// TestNoRightIsNoStormOfLogins: a user whose right was taken costs no login for each request that is refused.
func TestNoRightIsNoStormOfLogins(t *testing.T) {
	f, d := startFake(t), newDoor(t)
	f.with(func() {
		f.answer = func(kind string, _ map[string]any) (any, bool) {
			return refused(403, "no right"), kind == typeSubscribe
		}
	})
	r := f.rig(d.behind(f))
	r.Await(registry.Live)
	r.reg.auth.mu.Lock()
	r.reg.auth.since = time.Time{}
	r.reg.auth.mu.Unlock()
	for n := range 100 {
		r.Watch(registry.App(fmt.Sprint("s", n)))
	}
	registrytest.Within(t, "several tries of each", func() bool { return f.count(typeSubscribe+" s99") >= 3 && f.count(typeSubscribe+" s0") >= 3 })
	time.Sleep(renewPause + 200*time.Millisecond)
	registrytest.Within(t, "one more", func() bool { return f.count(typeSubscribe+" s99") >= 4 })
	if n := d.count(); n != 2 {
		t.Errorf("%d logins", n)
	}
	if !r.SawError("service DEFAULT_GROUP@@s0: SubscribeServiceRequest refused: 403 no right (user \"u\" may not read in namespace \"public\"") {
		t.Error("it was not said what to do")
	}
}

func TestFailedLoginIsNoConnection(t *testing.T) {
	f, d := startFake(t), newDoor(t)
	d.with(func() { d.status = http.StatusForbidden })
	r := f.rig(d.behind(f))
	p := r.Watch(registry.App("a"))
	registrytest.Within(t, "the error", func() bool {
		return r.SawError("log in: " + d.web.URL + "/nacos" + loginPathV3 + " answers 403 Forbidden: go away")
	})
	if s := r.State(); s != registry.Connecting || len(p.All()) != 0 {
		t.Errorf("state %v, %d pushes", s, len(p.All()))
	}
	d.with(func() { d.status = http.StatusOK })
	p.Until("an answer when the password is right", registrytest.Has())
}

func TestReadToken(t *testing.T) {
	for body, want := range map[string]string{
		`{"accessToken":"a","tokenTtl":18000,"globalAdmin":true,"username":"nacos"}`: "a 5h0m0s",
		`{"code":0,"message":"success","data":{"accessToken":"b","tokenTtl":60}}`:    "b 1m0s",
		`{"accessToken":"c"}`:                 "c 1h0m0s",
		`{"accessToken":"d","tokenTtl":-4}`:   "d 1h0m0s",
		`{"accessToken":"e","tokenTtl":1e30}`: "",
		`{"data":"x"}`:                        "",
		`{}`:                                  "",
		`<html>`:                              "",
	} {
		token, ttl, err := readToken([]byte(body))
		if got := fmt.Sprint(token, " ", ttl); (err == nil) != (want != "") || (err == nil && got != want) {
			t.Errorf("%s: %s %v, want %s", body, got, err, want)
		}
	}
}

func TestLoginOfOlderServer(t *testing.T) {
	var mu sync.Mutex
	paths, ttl := []string{}, 1
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		paths = append(paths, r.URL.Path)
		switch {
		case r.URL.Path != "/nacos"+loginPathV2:
			http.NotFound(w, r)
		case r.FormValue("username") != "u" || r.FormValue("password") != "p&=":
			http.Error(w, "unknown user!", http.StatusForbidden)
		default:
			fmt.Fprintf(w, `{"accessToken":"token-%d","tokenTtl":%d,"globalAdmin":false}`, len(paths), ttl)
		}
	}))
	defer web.Close()
	c := Default()
	c.Username, c.Password = "u", "p&="
	a := newAuth(c)
	if err := a.use(t.Context(), web.URL+"/nacos", nil); err != nil {
		t.Fatal(err)
	}
	if a.token() != "token-2" || len(paths) != 2 {
		t.Errorf("token %q after %v", a.token(), paths)
	}
	if d := a.untilRenewal(); d > time.Second {
		t.Errorf("renewed only after %v", d)
	}
	if got, err := a.renew(t.Context(), "older"); got != "token-2" || err != nil {
		t.Errorf("a token that somebody else has replaced: %q %v", got, err)
	}
	if _, err := a.renew(t.Context(), "token-2"); err == nil {
		t.Error("a new token that is refused is replaced at once")
	}
	c.Password = "wrong"
	a.since = time.Time{}
	if _, err := a.renew(t.Context(), "token-2"); err == nil || !strings.Contains(err.Error(), "403 Forbidden: unknown user!") {
		t.Errorf("wrong password: %v", err)
	}
	if a.token() != "token-2" {
		t.Errorf("a failed login has cost the token: %q", a.token())
	}
}
