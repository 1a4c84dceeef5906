package eureka

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// apps of a registry with two services, whose changes a test scripts.
func ordersAndUsers(ordersPort int) string {
	return appsOf("UP_2_",
		appOf("ORDERS", instanceOf("ORDERS", "o", "10.0.0.1", ordersPort, "UP", "ADDED")),
		appOf("USERS", instanceOf("USERS", "u", "10.0.0.2", 80, "UP", "ADDED")))
}

// TestDelta applies each kind of change, and tells only who it concerns.
func TestDelta(t *testing.T) {
	s := newScript(t)
	s.say(asJSON(ordersAndUsers(80)), asJSON(appsOf("UP_2_")))
	r := newRig(t, s.URL)
	orders, users, nobody, list := r.watch("orders"), r.watch("USERS"), r.watch("nobody"), r.watchServices()
	orders.until("orders", has("10.0.0.1:80"))
	users.until("users", has("10.0.0.2:80"))
	nobody.until("nobody", has())
	list.until("both", func(s registry.ServiceSet) bool { return fmt.Sprint(s.Services) == "[orders users]" })

	s.say(nil, asJSON(appsOf("UP_2_", appOf("ORDERS", instanceOf("ORDERS", "o", "10.0.0.1", 81, "UP", "MODIFIED")))))
	orders.until("modified", has("10.0.0.1:81"))
	s.say(nil, asJSON(appsOf("DOWN_1_UP_2_", appOf("ORDERS",
		instanceOf("ORDERS", "o", "10.0.0.1", 81, "UP", "MODIFIED"), instanceOf("ORDERS", "p", "10.0.0.3", 81, "DOWN", "ADDED")))))
	orders.until("added", has("10.0.0.1:81", "10.0.0.3:81 unhealthy"))
	s.say(nil, asJSON(appsOf("DOWN_1_UP_1_", appOf("ORDERS",
		instanceOf("ORDERS", "o", "10.0.0.1", 81, "UP", "DELETED"), instanceOf("ORDERS", "p", "10.0.0.3", 81, "DOWN", "ADDED")))))
	orders.until("one deleted", has("10.0.0.3:81 unhealthy"))
	s.say(nil, asJSON(appsOf("UP_1_", appOf("ORDERS",
		instanceOf("ORDERS", "p", "10.0.0.3", 81, "UP", "ADDED"), instanceOf("ORDERS", "p", "10.0.0.3", 81, "UP", "DELETED")))))
	orders.until("the last word counts", has())
	list.until("users only", func(s registry.ServiceSet) bool { return fmt.Sprint(s.Services) == "[users]" })
	if n := s.count("full"); n != 1 {
		t.Errorf("everything was read %d times", n)
	}
	if a, b, c, d := len(orders.seen()), len(users.seen()), len(nobody.seen()), len(list.seen()); a != 5 || b != 1 || c != 1 || d != 2 {
		t.Errorf("%d pushes of orders, %d of users, %d of nobody, %d of the list; want 5, 1, 1, 2", a, b, c, d)
	}
	r.noErrors()
}

// TestHashMismatch reads everything when changes lead elsewhere, once; and nothing in between is pushed.
func TestHashMismatch(t *testing.T) {
	s := newScript(t)
	s.say(asJSON(ordersAndUsers(80)), asJSON(appsOf("UP_2_")))
	r := newRig(t, s.URL)
	orders := r.watch("orders")
	orders.until("orders", has("10.0.0.1:80"))
	// A delta that claims what it does not lead to, beside a full answer that has something else.
	s.say(asJSON(ordersAndUsers(99)), asJSON(appsOf("UP_7_", appOf("ORDERS", instanceOf("ORDERS", "o", "10.0.0.1", 1, "UP", "DELETED")))))
	orders.until("the full answer", has("10.0.0.1:99"))
	asked := s.count("delta")
	within(t, "more polls", func() bool { return s.count("delta") > asked+5 })
	if n := s.count("full"); n != 2 {
		t.Errorf("everything was read %d times for one mismatch that stays", n)
	}
	if n := len(orders.seen()); n != 2 {
		t.Errorf("%d pushes: %+v", n, orders.seen())
	}
	// Another one is another reason.
	s.say(nil, asJSON(appsOf("UP_8_")))
	within(t, "everything again", func() bool { return s.count("full") == 3 })
	r.noErrors()
	r.await(registry.Live)
}

// TestFullContradicts has a server whose hash is never that of its list: it is asked twice, believed, and reported.
func TestFullContradicts(t *testing.T) {
	s := newScript(t)
	s.say(asJSON(strings.Replace(two, "UP_2_", "UP_3_", 1)), asJSON(unchanged))
	r := newRig(t, s.URL)
	r.watch("orders").until("believed", has("10.0.0.1:80", "10.0.0.2:80"))
	r.awaitError(`lists "UP_2_" and calls it "UP_3_"`)
	r.await(registry.Live)
	if n := s.count("full"); n != 2 {
		t.Errorf("everything was read %d times", n)
	}
}

// TestBadDelta reads everything when the list of changes cannot be read; the registry stays live all the time.
func TestBadDelta(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"garbage": asJSON("garbage"), "HTML": answerOf(200, "text/html", "<html>"), "half": asJSON(two[:200]),
		"disabled": answerOf(403, "text/plain", ""), "unknown": answerOf(404, "text/plain", ""),
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.say(asJSON(ordersAndUsers(80)), answer)
			r := newRig(t, s.URL)
			orders := r.watch("orders")
			orders.until("orders", has("10.0.0.1:80"))
			s.say(asJSON(ordersAndUsers(81)), nil)
			orders.until("changed", has("10.0.0.1:81"))
			r.noErrors()
		})
	}
}

// TestDeltaMissed reads everything after a pause that is longer than the server remembers changes, and regularly.
func TestDeltaMissed(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"regularly":     func(c *Config) { c.FullInterval = time.Second },
		"after a pause": func(c *Config) { c.DeltaRetention, c.Interval = time.Second, 600*time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.say(asJSON(ordersAndUsers(80)), asJSON(appsOf("UP_2_")))
			r := newRig(t, s.URL, change)
			orders := r.watch("orders")
			orders.until("orders", has("10.0.0.1:80"))
			// One replaced by another, which no count shows.
			s.say(asJSON(ordersAndUsers(81)), nil)
			orders.until("changed", has("10.0.0.1:81"))
			if n := len(orders.seen()); n != 2 {
				t.Errorf("%d pushes", n)
			}
			r.noErrors()
		})
	}
}

// TestStaleAnswerAfterAChange: a server that keeps an old list of changes, with its old hash, is found out by reading
// everything a while after the last change.
func TestStaleAnswerAfterAChange(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	t.Parallel()
	s := newScript(t)
	s.say(asJSON(ordersAndUsers(80)), asJSON(appsOf("UP_2_")))
	r := newRig(t, s.URL)
	orders := r.watch("orders")
	orders.until("orders", has("10.0.0.1:80"))
	s.say(nil, asJSON(ordersAndUsers(81))) // a change, by which the list of changes goes on
	orders.until("changed", has("10.0.0.1:81"))
	// Another one, which only the whole list shows.
	s.say(asJSON(appsOf("UP_3_",
		appOf("ORDERS", instanceOf("ORDERS", "o", "10.0.0.1", 81, "UP", "ADDED"), instanceOf("ORDERS", "p", "10.0.0.3", 80, "UP", "ADDED")),
		appOf("USERS", instanceOf("USERS", "u", "10.0.0.2", 80, "UP", "ADDED")))), nil)
	orders.until("found out", has("10.0.0.1:81", "10.0.0.3:80"))
	asked := s.count("delta")
	within(t, "more polls", func() bool { return s.count("delta") > asked+5 })
	if last := orders.seen()[len(orders.seen())-1]; len(last.Instances) != 2 {
		t.Errorf("the old list of changes took it back: %+v", last)
	}
	r.noErrors()
}

// TestFailover has a dead server in front: nobody notices. One that fails later is left at once.
func TestFailover(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	a, b := newScript(t), newScript(t)
	a.say(asJSON(ordersAndUsers(80)), asJSON(appsOf("UP_2_")))
	b.say(asJSON(ordersAndUsers(81)), asJSON(appsOf("UP_2_")))
	r := newRig(t, dead.URL, func(c *Config) { c.URLs = append(c.URLs, a.URL, b.URL) })
	orders := r.watch("orders")
	orders.until("from a", has("10.0.0.1:80"))
	within(t, "it stays with a", func() bool { return a.count("delta") > 5 })
	if a.count("full") != 1 || b.count("full") != 0 {
		t.Errorf("a was asked %v, b %v", a.asked, b.asked)
	}
	a.say(answerOf(500, "text/plain", ""), answerOf(500, "text/plain", ""))
	orders.until("from b", has("10.0.0.1:81"))
	within(t, "it stays with b", func() bool { return b.count("delta") > 5 })
	b.say(answerOf(500, "text/plain", ""), answerOf(500, "text/plain", ""))
	r.await(registry.Stale)
	r.awaitError(dead.URL+": ", "refused", a.URL+": 500", b.URL+": 500")
	a.say(asJSON(ordersAndUsers(82)), asJSON(appsOf("UP_2_")))
	orders.until("from a again", has("10.0.0.1:82"))
	r.await(registry.Live)
}
