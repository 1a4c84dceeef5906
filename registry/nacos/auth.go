package nacos

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	wire "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
)

// The login's paths: that of Nacos 3, and that of Nacos 2, which Nacos 3 may have switched off.
const (
	loginPathV3 = "/v3/auth/user/login"
	loginPathV2 = "/v1/auth/users/login"
)

// A token that is refused for other reasons (no permission) must not become a storm of logins: there is one a renewPause
// at most, and one a deniedPause once a new token was refused as well.
const (
	renewPause  = time.Second
	deniedPause = 30 * time.Second
)

var errTokenNew = errors.New("the token is refused though it is new")

// maxHTTPAnswer bounds what is read of an answer over HTTP: a token, or a list of namespaces.
const maxHTTPAnswer = 1 << 20

// auth keeps the access token and the key that signs requests. With no user name there is no token, and nothing to do.
type auth struct {
	config *Config

	loginMu sync.Mutex // one login at a time

	mu      sync.Mutex
	base    string      // where to log in: the server that we are connected to
	tls     *tls.Config // for it
	signer  *signer     // nil: requests are not signed
	current string
	since   time.Time
	renewAt time.Time
	denied  bool // the last token that a refusal made us get was refused too
}

func newAuth(c *Config) *auth { return &auth{config: c} }

func (a *auth) enabled() bool { return a.config.Username != "" }

// token is the current token, or "".
func (a *auth) token() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current
}

// use logs in below this URL from now on, and now unless the token that we have is good for longer: all servers of a
// cluster take it. It reads the secret key again.
func (a *auth) use(ctx context.Context, base string, secure *tls.Config) error {
	signer, err := newSigner(a.config)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.base, a.tls, a.signer = base, secure, signer
	fresh := a.current != "" && time.Now().Before(a.renewAt)
	a.mu.Unlock()
	if !a.enabled() || fresh {
		return nil
	}
	_, err = a.renew(ctx, a.token())
	return err
}

// tried notes whether a token that was just got is taken.
func (a *auth) tried(denied bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.denied = denied
}

// request makes one HTTP request to the server that we are connected to, and reads its answer.
func (a *auth) request(ctx context.Context, method, target string, form url.Values, token string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		req.Header.Set("accessToken", token)             // Nacos 3
		req.Header.Set("Authorization", "Bearer "+token) // Nacos 2
	}
	a.mu.Lock()
	secure := a.tls
	a.mu.Unlock()
	client := &http.Client{
		Timeout: a.config.Timeouts.Request,
		// No proxy of the environment, no connection kept between logins that are hours apart, and a password that is
		// never carried to where a redirect points.
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: secure},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxHTTPAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("read answer of %s: %w", target, err)
	}
	return res.StatusCode, body, nil
}

// sign adds the access key's headers to a message, if there is an access key.
func (a *auth) sign(m *wire.Metadata, request any) {
	a.mu.Lock()
	s := a.signer
	a.mu.Unlock()
	if s == nil {
		return
	}
	if m.Headers == nil {
		m.Headers = map[string]string{}
	}
	s.sign(m.Headers, request, time.Now())
}

// untilRenewal is how long to wait before the token should be renewed.
func (a *auth) untilRenewal() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Until(a.renewAt)
}

// renew logs in again, unless somebody has already replaced the token that was refused.
func (a *auth) renew(ctx context.Context, refused string) (string, error) {
	a.loginMu.Lock()
	defer a.loginMu.Unlock()
	a.mu.Lock()
	current, since, base, pause := a.current, a.since, a.base, renewPause
	if a.denied && refused != "" {
		pause = deniedPause
	}
	a.mu.Unlock()
	if current != refused {
		return current, nil
	}
	if time.Since(since) < pause {
		return "", errTokenNew
	}
	token, ttl, err := a.login(ctx, base)
	if err != nil {
		return "", fmt.Errorf("log in: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.current, a.since = token, time.Now()
	a.renewAt = a.since.Add(ttl - ttl/5)
	return token, nil
}

func (a *auth) login(ctx context.Context, base string) (token string, ttl time.Duration, err error) {
	password, err := secretOf("passwordFile", a.config.Password, a.config.PasswordFile)
	if err != nil {
		return "", 0, err
	}
	form := url.Values{"username": {a.config.Username}, "password": {password}}
	for _, path := range []string{loginPathV3, loginPathV2} {
		var known bool
		if token, ttl, known, err = a.loginAt(ctx, base+path, form); known {
			return token, ttl, err
		}
	}
	return "", 0, advised(err, "contextPath is not the server's, or it has no login")
}

// loginAt reports known false when the server has no such path.
func (a *auth) loginAt(ctx context.Context, target string, form url.Values) (token string, ttl time.Duration, known bool, err error) {
	status, body, err := a.request(ctx, http.MethodPost, target, form, "")
	if err != nil {
		return "", 0, true, err
	}
	if status != http.StatusOK {
		err := fmt.Errorf("%s answers %d %s: %s", target, status, http.StatusText(status), clip(strings.TrimSpace(string(body))))
		switch status {
		case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone, http.StatusNotImplemented:
			return "", 0, false, err
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusInternalServerError: // Nacos 3 has the last for them too
			err = advised(err, "check username and password")
		}
		return "", 0, true, err
	}
	token, ttl, err = readToken(body)
	if err != nil {
		err = fmt.Errorf("read answer of %s: %w", target, err)
	}
	return token, ttl, true, err
}

// readToken reads a login's answer; Nacos 3 may wrap it in data.
func readToken(body []byte) (string, time.Duration, error) {
	type login struct {
		AccessToken string `json:"accessToken"`
		TokenTTL    int64  `json:"tokenTtl"` // seconds
	}
	var got struct {
		login
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return "", 0, err
	}
	if got.AccessToken == "" && len(got.Data) > 0 {
		if err := json.Unmarshal(got.Data, &got.login); err != nil {
			return "", 0, err
		}
	}
	if got.AccessToken == "" {
		return "", 0, errors.New("no accessToken in it")
	}
	ttl := time.Duration(got.TokenTTL) * time.Second
	if got.TokenTTL < 1 || got.TokenTTL > 10*365*24*3600 {
		ttl = time.Hour // a server that does not say: ask often enough
	}
	return got.AccessToken, ttl, nil
}
