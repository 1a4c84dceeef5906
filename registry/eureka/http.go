package eureka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// transport carries requests to any of the servers, and does not believe what comes back before it has looked.
type transport struct {
	config *Config
	http   *http.Client
	base   *http.Transport
}

func newTransport(c *Config) (*transport, error) {
	tlsConfig, err := c.TLS.Config()
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	base := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: c.ConnectTimeout}).DialContext,
		TLSClientConfig:       tlsConfig,
		TLSHandshakeTimeout:   c.ConnectTimeout,
		ResponseHeaderTimeout: c.Timeout,
		// HTTP/1.1 also over TLS: there is one question at a time, and its connection goes with it when it is not answered,
		// where one of HTTP/2 would be used again.
		Protocols:           protocols,
		MaxIdleConnsPerHost: 1,
		IdleConnTimeout:     90 * time.Second,
	}
	return &transport{config: c, base: base, http: &http.Client{
		Transport: base,
		// A redirect mostly leads to a page where somebody is to log in. It is no answer, and its text says where it leads.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (t *transport) close() { t.base.CloseIdleConnections() }

// send sends one request. path is escaped already. The body of the answer must be closed.
func (t *transport) send(ctx context.Context, s *server, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.name+path, strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Sluice")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if s.username != "" {
		req.SetBasicAuth(s.username, s.password)
	}
	return t.http.Do(req)
}

// get asks for one of the lists, and has read decode it as it comes.
func (t *transport) get(ctx context.Context, s *server, path string, read func(io.Reader) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	total := time.AfterFunc(10*t.config.Timeout, func() {
		cancel(fmt.Errorf("the answer took longer than %v", 10*t.config.Timeout))
	})
	defer total.Stop()
	resp, err := t.send(ctx, s, http.MethodGet, path, nil)
	if err != nil {
		return because(ctx, advise(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusal(resp)
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return fmt.Errorf("%w: it answers %q, beginning %.60q: is that a Eureka server?", errAnswer, resp.Header.Get("Content-Type"), start(resp.Body))
	}
	silence := time.AfterFunc(t.config.Timeout, func() { cancel(fmt.Errorf("the answer stood still for %v", t.config.Timeout)) })
	defer silence.Stop()
	limit := int64(t.config.MaxBodyMB) << 20
	err = read(&body{src: resp.Body, left: limit, limit: t.config.MaxBodyMB, progress: func() { silence.Reset(t.config.Timeout) }})
	if err == nil || ctx.Err() != nil {
		return because(ctx, err)
	}
	return fmt.Errorf("%w: %w", errAnswer, err)
}

// advise adds what to do about an error of the connection.
func advise(err error) error {
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err // the URL is told once already
	}
	var (
		name      x509.HostnameError
		authority x509.UnknownAuthorityError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &name):
		return fmt.Errorf("%w (is it the right server? if so, tls.serverName says which name to expect)", err)
	case errors.As(err, &authority):
		return fmt.Errorf("%w (tls.ca names the file of the authority)", err)
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response"):
		return fmt.Errorf("%w (it speaks no TLS: write http:// in the URL)", err)
	}
	return err
}

// because puts the reason for which a request was cancelled in the place of "context canceled".
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// body is an answer's body: bounded, and watched for progress.
type body struct {
	src      io.Reader
	left     int64
	limit    int
	progress func()
}

func (b *body) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.src.Read(p)
	if n > 0 {
		b.progress()
	}
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("longer than %d MB (see maxBodyMB)", b.limit)
	}
	return n, err
}

// start is the beginning of an answer that nobody expected, for the error message.
func start(r io.Reader) string {
	b, _ := io.ReadAll(io.LimitReader(r, 200))
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(b), "?")), " ")
}

var (
	// errAnswer marks an answer that came, but is not one.
	errAnswer    = errors.New("not an answer of Eureka")
	errNotEureka = errors.New(`there is no "applications" in it`)
	errNoList    = errors.New(`"applications" holds no list or no hash`)
)

const textNotFound = "404: there is no Eureka at this path: is the context path right? (Spring Cloud: /eureka, Netflix: /eureka/v2)"

// statusError is an answer other than 200.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

// refusal explains an answer other than 200 to who has to mend it.
func refusal(resp *http.Response) error {
	e := &statusError{status: resp.StatusCode}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		e.text = "401: it wants a user: set username and password"
		if user, _, ok := resp.Request.BasicAuth(); ok {
			e.text = fmt.Sprintf("401: it does not take the password of %q: check username and password", user)
		}
	case http.StatusForbidden:
		e.text = "403: the user may not read the registry, or the server has just started without a peer to copy from and serves nobody yet" +
			" (eureka.server.wait-time-in-ms-when-sync-empty, 5 minutes by default)"
	case http.StatusNotFound:
		e.text = textNotFound
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		e.text = fmt.Sprintf("%d: it sends to %.200q: if that is the server, give its address; if it is a page to log in, set username and password",
			resp.StatusCode, resp.Header.Get("Location"))
	default:
		e.text = fmt.Sprintf("%s: %.100q", resp.Status, start(resp.Body))
	}
	return e
}
