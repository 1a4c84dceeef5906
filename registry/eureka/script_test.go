package eureka

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// script is a server that answers what a test tells it to.
type script struct {
	*httptest.Server
	mu          sync.Mutex
	full, delta http.HandlerFunc
	asked       []string // "full" or "delta"
}

func newScript(t testing.TB) *script {
	s := &script{}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s
}

func (s *script) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.mu.Lock()
	answer, kind := s.full, "full"
	if strings.HasSuffix(req.URL.Path, "/apps/delta") {
		answer, kind = s.delta, "delta"
	}
	s.asked = append(s.asked, kind)
	s.mu.Unlock()
	answer(w, req)
}

// say sets the answers; nil leaves one as it is.
func (s *script) say(full, delta http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if full != nil {
		s.full = full
	}
	if delta != nil {
		s.delta = delta
	}
}

// count is how often a list was asked for.
func (s *script) count(kind string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.asked {
		if k == kind {
			n++
		}
	}
	return n
}

// json answers with a document.
func asJSON(document string) http.HandlerFunc { return answerOf(200, "application/json", document) }

func answerOf(status int, kind, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	}
}

// apps is a document of applications.
func appsOf(hash string, applications ...string) string {
	return fmt.Sprintf(`{"applications":{"versions__delta":"1","apps__hashcode":%q,"application":[%s]}}`, hash, strings.Join(applications, ","))
}

func appOf(name string, instances ...string) string {
	return fmt.Sprintf(`{"name":%q,"instance":[%s]}`, name, strings.Join(instances, ","))
}

// instanceOf is one as Spring Cloud's server writes it.
func instanceOf(app, id, ip string, port int, status, action string) string {
	return fmt.Sprintf(`{"instanceId":%q,"hostName":%q,"app":%q,"ipAddr":%q,"status":%q,"overriddenStatus":"UNKNOWN",`+
		`"port":{"$":%d,"@enabled":"true"},"securePort":{"$":443,"@enabled":"false"},"countryId":1,`+
		`"dataCenterInfo":{"@class":"com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo","name":"MyOwn"},`+
		`"leaseInfo":{"renewalIntervalInSecs":30,"durationInSecs":90,"registrationTimestamp":1795523322629,"lastRenewalTimestamp":1795523322629,"evictionTimestamp":0,"serviceUpTimestamp":1795523322629},`+
		`"metadata":{"management.port":"8081"},"homePageUrl":"http://%s:%d/","statusPageUrl":"http://%s:%d/actuator/info","healthCheckUrl":"http://%s:%d/actuator/health",`+
		`"vipAddress":%q,"secureVipAddress":%q,"isCoordinatingDiscoveryServer":"false","lastUpdatedTimestamp":"1795523322629","lastDirtyTimestamp":"1795523322622","actionType":%q}`,
		id, ip, app, ip, status, port, ip, port, ip, port, ip, port, strings.ToLower(app), strings.ToLower(app), action)
}

// two is a registry of one application with two instances.
var two = appsOf("UP_2_", appOf("ORDERS", instanceOf("ORDERS", "1", "10.0.0.1", 80, "UP", "ADDED"), instanceOf("ORDERS", "2", "10.0.0.2", 80, "UP", "ADDED")))

// unchanged is the list of changes that goes with it.
var unchanged = appsOf("UP_2_")
