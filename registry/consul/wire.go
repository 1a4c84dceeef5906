package consul

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/consul/api"
)

const (
	// maxAnswer bounds an answer: 50,000 instances of one service.
	maxAnswer = 64 << 20
	// maxRefusal bounds what is read of an answer that is no success.
	maxRefusal = 4 << 10
)

// wire sends what consul/api asks. It stands below that library so that there is one place which decides what goes out and
// what counts as an answer: the library itself fills fields that are empty from some fifteen environment variables, and
// takes any body of a status 200 that begins like the JSON it expects.
type wire struct {
	config *Config
	token  string
	lanes  *lanes
	guard  bool // over the guard's own connection
	// denies notes that the server's ACLs deny by default: what an anonymous caller sees then says nothing.
	denies atomic.Bool
}

// client is consul/api over this wire.
func (w *wire) client(at endpoint) (*api.Client, error) {
	c, err := api.NewClient(&api.Config{
		Address: at.host, Scheme: at.scheme, PathPrefix: at.prefix,
		// Any token keeps the library from looking for one. RoundTrip puts in the right one.
		Token: "-",
		HttpClient: &http.Client{
			Transport:     w,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make a client of %s: %w", at, err)
	}
	return c, nil
}

// RoundTrip implements http.RoundTripper. The answer that it returns has been read whole.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.WithContext(req.Context()) // a shallow copy: a RoundTripper must not write to the original
	out.Header = req.Header.Clone()
	out.Header.Del("Authorization") // of CONSUL_HTTP_AUTH
	out.Header.Del("X-Consul-Token")
	if w.token != "" {
		out.Header.Set("X-Consul-Token", w.token)
	}
	u := *req.URL
	query := u.Query()
	for key, value := range map[string]string{"dc": w.config.Datacenter, "ns": w.config.Namespace, "partition": w.config.Partition} {
		query.Del(key)
		if value != "" {
			query.Set(key, value)
		}
	}
	u.RawQuery = query.Encode()
	out.URL = &u
	answer, err := w.lanes.do(out, w.guard)
	if err != nil {
		return nil, err
	}
	if answer.Header.Get("X-Consul-Default-ACL-Policy") == "deny" {
		w.denies.Store(true)
	}
	if err := check(req, answer); err != nil {
		return nil, err
	}
	return answer, nil
}

// check reads an answer and refuses what is none.
func check(req *http.Request, answer *http.Response) error {
	limit := int64(maxAnswer)
	if answer.StatusCode != http.StatusOK {
		limit = maxRefusal
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	_ = answer.Body.Close()
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if int64(len(body)) > limit {
		if answer.StatusCode == http.StatusOK {
			return notConsul("the answer is larger than %d bytes", limit)
		}
		body = body[:limit]
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	if answer.StatusCode != http.StatusOK || req.Method != http.MethodGet {
		return nil
	}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	switch {
	case kind != "" && kind != "application/json":
		return notConsul("the answer is %s, not JSON", clean(kind))
	case !json.Valid(body):
		return notConsul("the answer of %d bytes is not whole JSON", len(body))
	case bytes.Equal(bytes.TrimSpace(body), []byte("null")):
		return notConsul("the answer is null")
	case indexed(req.URL) && answer.Header.Get("X-Consul-Index") == "":
		return notConsul("the answer has no X-Consul-Index")
	}
	return nil
}

// indexed says that answers of this kind carry an index.
func indexed(u *url.URL) bool {
	return strings.Contains(u.Path, "/v1/health/") || strings.Contains(u.Path, "/v1/catalog/")
}

// strangeAnswer is an answer that Consul does not give.
type strangeAnswer struct{ text string }

func (e *strangeAnswer) Error() string { return e.text }

func notConsul(format string, args ...any) error {
	return &strangeAnswer{fmt.Sprintf(format, args...)}
}

// allowed asks whether the token may read a service: an anonymous caller cannot tell from an empty answer. Servers that do not
// know the question, which Consul's own UI asks, count as a no.
func (w *wire) allowed(ctx context.Context, at endpoint, service string) (bool, error) {
	question, err := json.Marshal([]map[string]string{{"Resource": "service", "Access": "read", "Segment": service}})
	if err != nil {
		return false, fmt.Errorf("ask for permissions: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String()+"/v1/internal/acl/authorize", bytes.NewReader(question))
	if err != nil {
		return false, fmt.Errorf("ask for permissions: %w", err)
	}
	answer, err := w.RoundTrip(req)
	if err != nil {
		return false, fmt.Errorf("ask for permissions: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return false, nil
	}
	var permissions []struct {
		Allow bool `json:"Allow"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&permissions); err != nil {
		return false, fmt.Errorf("ask for permissions: %w", err)
	}
	return len(permissions) == 1 && permissions[0].Allow, nil
}

// cause takes the URL off an error of net/http: it is long, and the same in all of them.
func cause(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
