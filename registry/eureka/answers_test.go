package eureka

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// TestNoAnswer has a server that worked say everything that is no answer: each time the registry is stale, says why, and keeps
// what it pushed; when the server is well again, everything is pushed anew.
func TestNoAnswer(t *testing.T) {
	html := "<!DOCTYPE html><html><body>Please log in</body></html>"
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		says   string // part of the error
	}{
		"HTML":                     {answerOf(200, "text/html; charset=utf-8", html), "is that a Eureka server?"},
		"HTML as JSON":             {asJSON(html), "'<' where '{' should be"},
		"nothing":                  {asJSON(""), "unexpected EOF"},
		"nothing, no type":         {answerOf(200, "", ""), "is that a Eureka server?"},
		"space":                    {asJSON(" \r\n\t "), "unexpected EOF"},
		"half":                     {asJSON(two[:len(two)/2]), "unexpected EOF"},
		"almost all":               {asJSON(two[:len(two)-1]), "unexpected EOF"},
		"more than all":            {asJSON(two + "}"), "after the end"},
		"twice":                    {asJSON(two + two), "after the end"},
		"garbage of 5 MB":          {asJSON(strings.Repeat("garbage ", 5<<17)), "'g' where '{' should be"},
		"space of 5 MB":            {asJSON(strings.Repeat(" ", 5<<20)), "unexpected EOF"},
		"brackets of 5 MB":         {asJSON(strings.Repeat("[", 5<<20)), "where '{' should be"},
		"deep":                     {asJSON(`{"applications":` + strings.Repeat(`{"a":`, 5<<17)), "nested deeper"},
		"null":                     {asJSON("null"), "where '{' should be"},
		"empty object":             {asJSON("{}"), `no "applications"`},
		"applications null":        {asJSON(`{"applications":null}`), `no "applications"`},
		"applications empty":       {asJSON(`{"applications":{}}`), "no list or no hash"},
		"applications a list":      {asJSON(`{"applications":[]}`), `no "applications"`},
		"no hash":                  {asJSON(`{"applications":{"application":[]}}`), "no list or no hash"},
		"hash is an object":        {asJSON(`{"applications":{"apps__hashcode":{},"application":[]}}`), "no list or no hash"},
		"no list":                  {asJSON(`{"applications":{"apps__hashcode":""}}`), "no list or no hash"},
		"list null":                {asJSON(`{"applications":{"apps__hashcode":"","application":null}}`), "no list or no hash"},
		"empty list, full hash":    {asJSON(appsOf("UP_2_")), `calls it "UP_2_"`},
		"error with status 200":    {asJSON(`{"timestamp":1,"status":500,"error":"Internal Server Error","path":"/eureka/apps"}`), `no "applications"`},
		"XML":                      {answerOf(200, "application/xml", "<applications></applications>"), "is that a Eureka server?"},
		"too long":                 {asJSON(strings.TrimSuffix(two, "}") + strings.Repeat(" ", 9<<20) + "}"), "maxBodyMB"},
		"bomb":                     {bomb, "maxBodyMB"},
		"wrong user":               {answerOf(401, "application/json", ""), "set username and password"},
		"forbidden":                {answerOf(403, "text/plain", ""), "wait-time-in-ms-when-sync-empty"},
		"wrong path":               {answerOf(404, "text/html", html), "is the context path right?"},
		"redirect":                 {http.RedirectHandler("/login", http.StatusFound).ServeHTTP, "page to log in"},
		"JSON 500":                 {answerOf(500, "application/json", `{"status":500}`), "500 Internal Server Error"},
		"HTML 503":                 {answerOf(503, "text/html", html), "Please log in"},
		"nothing with 204":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "204 No Content"},
		"cut":                      {cut, "EOF"},
		"stands still":             {standStill, "stood still"},
		"does not begin":           {func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }, "awaiting response headers"},
		"drips without end":        {drip, "took longer"},
		"control character":        {asJSON(strings.Replace(two, "ORDERS", "OR\x01DERS", 1)), "control character"},
		"unknown escape":           {asJSON(strings.Replace(two, "ORDERS", `OR\qDERS`, 1)), "unknown escape"},
		"a number is broken":       {asJSON(strings.Replace(two, `"countryId":1`, `"countryId":01`, 1)), "should be"},
		"a comma too many":         {asJSON(strings.Replace(two, `"countryId":1,`, `"countryId":1,,`, 1)), "a key is missing"},
		"a status is not a status": {answerOf(299, "application/json", two), "299"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.say(asJSON(two), asJSON(unchanged))
			r := newRig(t, s.URL+"/eureka", func(config *Config) {
				config.MaxBodyMB = 8
				if c.says == "took longer" || strings.HasPrefix(name, "does not") || strings.HasPrefix(name, "stands") {
					config.Timeout = 200 * time.Millisecond
				}
			})
			w, l := r.watch("orders"), r.watchServices()
			w.until("two", has("10.0.0.1:80", "10.0.0.2:80"))
			l.until("listed", func(registry.ServiceSet) bool { return true })
			before := len(w.seen())
			s.say(c.answer, c.answer)
			if strings.HasPrefix(name, "empty list") {
				s.say(nil, answerOf(200, "text/html", html)) // of changes it would be an answer: none
			}
			r.await(registry.Stale)
			r.awaitError(s.URL+"/eureka: ", c.says)
			late := r.watch("Nobody") // a watch that begins now gets no answer that nobody gave
			time.Sleep(2 * r.config.Interval)
			if n := len(w.seen()); n != before {
				t.Errorf("%d pushes while there was no answer: %+v", n-before, w.seen())
			}
			if len(late.seen()) != 0 {
				t.Errorf("pushed without an answer: %+v", late.seen())
			}
			s.say(asJSON(two), asJSON(unchanged))
			r.await(registry.Live)
			within(t, "pushed again", func() bool { return len(w.seen()) == before+1 && len(l.seen()) == before+1 })
			late.until("no such service, by the server's word", has())
		})
	}
}

// bomb is a small answer that unpacks to 64 MB.
func bomb(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = w.Write(packed())
}

var packed = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	for range 64 {
		_, _ = z.Write(chunk)
	}
	_ = z.Close()
	return b.Bytes()
})

// cut ends the connection in the middle.
func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(len(two)))
	fmt.Fprint(w, two[:len(two)/2])
}

// standStill begins to answer, and says no more.
func standStill(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, two[:99])
	w.(http.Flusher).Flush()
	<-req.Context().Done()
}

// drip sends a byte now and then.
func drip(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	for req.Context().Err() == nil {
		fmt.Fprint(w, " ")
		w.(http.Flusher).Flush()
		time.Sleep(50 * time.Millisecond)
	}
}

// TestFirstAnswerMissing is the same before anything is known: connecting, and no push at all.
func TestFirstAnswerMissing(t *testing.T) {
	s := newScript(t)
	s.say(asJSON(appsOf("UP_1_")), asJSON(unchanged))
	r := newRig(t, s.URL)
	w, l := r.watch("orders"), r.watchServices()
	r.awaitError(`lists "nothing"`)
	time.Sleep(3 * r.config.Interval)
	if r.state() != registry.Connecting || len(w.seen())+len(l.seen()) != 0 {
		t.Errorf("%v, %v, %v", r.state(), w.seen(), l.seen())
	}
	s.say(asJSON(appsOf("")), asJSON(appsOf("")))
	w.until("empty by the server's word", has())
	l.until("empty", func(s registry.ServiceSet) bool { return len(s.Services) == 0 })
	r.await(registry.Live)
}

// TestQuirks reads what else counts as an answer: other writers of the same lists, and entries that are of no use.
func TestQuirks(t *testing.T) {
	object := `{"applications":{"application":{"name":"Orders","instance":{"ipAddr":"10.0.0.1","port":8080,"status":"up","metadata":"","hostName":"a"}},"apps__hashcode":"UP_1_"}}`
	text := `{"a":[1,2,{"b":null}],"applications":{"apps__hashcode":"UP_1_","application":[{"name":"ORDERS","instance":[` +
		`{"hostName":"10.0.0.1","port":"8080","status":"UP","metadata":{"@class":"java.util.Collections$EmptyMap","no":null,"n":7,"yes":true},"vipAddress":null}]}]}}`
	odd := appsOf("DOWN_1_UNKNOWN_2_UP_4_WEIRD_1_", appOf("ORDERS",
		`{"instanceId":"ok","ipAddr":"10.0.0.1","port":{"$":"8080","@enabled":true},"status":"UP"}`,
		`{"instanceId":"weird","ipAddr":"10.0.0.2","port":{"$":8080,"@enabled":"true"},"status":"WEIRD"}`,
		`{"instanceId":"no status","ipAddr":"10.0.0.3","port":{"$":8080,"@enabled":"true"}}`,
		`{"instanceId":"override","ipAddr":"10.0.0.4","port":{"$":8080,"@enabled":"true"},"status":"UP","overriddenstatus":"OUT_OF_SERVICE"}`,
		`{"instanceId":"no port","ipAddr":"10.0.0.5","status":"UP"}`,
		`{"instanceId":"port","ipAddr":"10.0.0.6","port":{"$":"x"},"status":"DOWN"}`,
		`{"instanceId":{},"ipAddr":[],"hostName":"","port":{"$":1},"status":{}}`,
		`{"instanceId":"host","ipAddr":"a b\n","port":{"$":80},"status":"UP"}`,
	), `7`, `{"name":"NONE"}`, `{"name":"NULL","instance":null}`)
	for name, c := range map[string]struct {
		document string
		want     []string
		skipped  []string
	}{
		"objects for lists": {object, []string{"10.0.0.1:8080"}, nil},
		"texts for numbers": {text, []string{"10.0.0.1:8080"}, nil},
		"odd ones": {odd, []string{
			"10.0.0.1:8080", "10.0.0.2:8080 unhealthy", "10.0.0.3:8080 unhealthy", "10.0.0.4:8080 disabled",
		}, []string{"", "host", "no port", "port"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.say(asJSON(c.document), asJSON(c.document))
			r := newRig(t, s.URL)
			got := r.watch("orders").until("the instances", has(c.want...))
			var skipped []string
			for _, k := range got.Skipped {
				skipped = append(skipped, k.Entry)
			}
			slices.Sort(skipped)
			if !slices.Equal(skipped, c.skipped) {
				t.Errorf("skipped %+v", got.Skipped)
			}
			within(t, "the changes are applied too", func() bool { return s.count("delta") > 3 })
			r.noErrors()
			if n := s.count("full"); n != 1 {
				t.Errorf("everything was read %d times", n)
			}
		})
	}
}
