package nacos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// The login's paths: that of Nacos 3, and that of Nacos 2, which Nacos 3 may have switched off.
const (
	loginPathV3 = "/v3/auth/user/login"
	loginPathV2 = "/v1/auth/users/login"
)

// renewPause keeps a token that is refused for other reasons (no permission) from becoming a storm of logins.
const renewPause = time.Second

// auth keeps the access token. With no user name there is none, and nothing to do.
type auth struct {
	username, password string
	contextPath        string
	http               *http.Client

	loginMu sync.Mutex // one login at a time

	mu      sync.Mutex
	base    string // where to log in: the server that we are connected to
	current string
	since   time.Time
	renewAt time.Time
}

func newAuth(c *Config) *auth {
	path := "/" + strings.Trim(c.ContextPath, "/")
	return &auth{
		username: c.Username, password: c.Password, contextPath: strings.TrimSuffix(path, "/"),
		http: &http.Client{
			Timeout: c.Timeouts.Request,
			// No proxy of the environment, no connection kept between logins that are hours apart, and a password that is
			// never carried to where a redirect points.
			Transport: &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
	}
}

func (a *auth) enabled() bool { return a.username != "" }

// token is the current token, or "".
func (a *auth) token() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current
}

// use logs in at this server from now on, and now unless the token that we have is good for longer: all servers of a
// cluster take it.
func (a *auth) use(ctx context.Context, address string) error {
	a.mu.Lock()
	a.base = "http://" + address + a.contextPath
	fresh := a.current != "" && time.Now().Before(a.renewAt)
	a.mu.Unlock()
	if !a.enabled() || fresh {
		return nil
	}
	_, err := a.renew(ctx, a.token())
	return err
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
	current, since, base := a.current, a.since, a.base
	a.mu.Unlock()
	if current != refused {
		return current, nil
	}
	if time.Since(since) < renewPause {
		return "", errors.New("the token is refused though it is new")
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
	for _, path := range []string{loginPathV3, loginPathV2} {
		var known bool
		if token, ttl, known, err = a.loginAt(ctx, base+path); known {
			return token, ttl, err
		}
	}
	return "", 0, err
}

// loginAt reports known false when the server has no such path.
func (a *auth) loginAt(ctx context.Context, target string) (token string, ttl time.Duration, known bool, err error) {
	form := url.Values{"username": {a.username}, "password": {a.password}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, true, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := a.http.Do(req)
	if err != nil {
		return "", 0, true, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	switch {
	case err != nil:
		return "", 0, true, fmt.Errorf("read answer of %s: %w", target, err)
	case res.StatusCode == http.StatusNotFound, res.StatusCode == http.StatusMethodNotAllowed,
		res.StatusCode == http.StatusGone, res.StatusCode == http.StatusNotImplemented:
		return "", 0, false, fmt.Errorf("%s answers %s", target, res.Status)
	case res.StatusCode != http.StatusOK:
		return "", 0, true, fmt.Errorf("%s answers %s: %s", target, res.Status, clip(strings.TrimSpace(string(body))))
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
