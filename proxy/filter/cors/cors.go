// Package cors lets scripts of other origins use a route: it answers preflights and adds what browsers ask for to answers
// (the CORS protocol of the Fetch standard, section 3.2).
package cors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/filter/header"
)

// Config is the section of the filter cors.
type Config struct {
	// AllowOrigins are exact origins ("https://shop.example.com"), origins with one "*" for a part of the host
	// ("https://*.example.com"), or "*". Default "*".
	AllowOrigins []string `yaml:"allowOrigins"`
	// AllowMethods that a preflight may ask for. Default GET, HEAD, POST, PUT, PATCH, DELETE.
	AllowMethods []string `yaml:"allowMethods"`
	// AllowHeaders that a preflight may ask for; "*" allows any. Default "*".
	AllowHeaders []string `yaml:"allowHeaders"`
	// ExposeHeaders that scripts may read.
	ExposeHeaders []string `yaml:"exposeHeaders"`
	// AllowCredentials lets browsers send cookies; not together with the origin "*".
	AllowCredentials bool `yaml:"allowCredentials"`
	// MaxAge is how long browsers may remember a preflight. Default 10m.
	MaxAge time.Duration `yaml:"maxAge"`
}

// Default allows what needs no credentials.
func Default() *Config {
	return &Config{
		AllowOrigins: []string{"*"}, AllowMethods: []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"},
		AllowHeaders: []string{"*"}, MaxAge: 10 * time.Minute,
	}
}

// AnswersPreflight implements filter.Preflighter.
func (c *Config) AnswersPreflight() bool { return true }

// Validate implements filter.Config.
func (c *Config) Validate() error {
	var errs []error
	if len(c.AllowOrigins) == 0 {
		errs = append(errs, errors.New("allowOrigins: must not be empty"))
	}
	for _, o := range c.AllowOrigins {
		switch {
		case o == "*" && c.AllowCredentials:
			errs = append(errs, errors.New(`allowCredentials: browsers refuse it together with the origin "*"; list the origins`))
		case o != "*" && (!strings.Contains(o, "://") || strings.Count(o, "*") > 1 || strings.HasSuffix(o, "/") || header.CheckValue(o) != nil):
			errs = append(errs, fmt.Errorf(`allowOrigins: %q is not an origin such as https://shop.example.com or https://*.example.com`, o))
		}
	}
	for _, list := range []struct {
		key    string
		values []string
	}{{"allowMethods", c.AllowMethods}, {"allowHeaders", c.AllowHeaders}, {"exposeHeaders", c.ExposeHeaders}} {
		for _, v := range list.values {
			if !header.Token(v) {
				errs = append(errs, fmt.Errorf("%s: %q is not a name", list.key, v))
			}
		}
	}
	if c.MaxAge < 0 {
		errs = append(errs, errors.New("maxAge: must not be negative"))
	}
	return errors.Join(errs...)
}

// Build implements filter.Config.
func (c *Config) Build() (protocol.Filter, error) {
	f := &cors{
		Config: c, methods: strings.Join(c.AllowMethods, ", "), headers: strings.Join(c.AllowHeaders, ", "),
		expose: strings.Join(c.ExposeHeaders, ", "), maxAge: strconv.FormatInt(int64(c.MaxAge/time.Second), 10),
		anyOrigin: slices.Contains(c.AllowOrigins, "*"), anyHeader: slices.Contains(c.AllowHeaders, "*"),
	}
	return f.filter, nil
}

type cors struct {
	*Config
	methods, headers, expose, maxAge string
	anyOrigin, anyHeader             bool
}

func (f *cors) filter(next protocol.Handler) protocol.Handler {
	return protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		origin := req.Header.Value(protocol.NameOrigin)
		if wanted := req.Header.Get("Access-Control-Request-Method"); req.Method == "OPTIONS" && origin != "" && wanted != "" {
			return f.preflight(req, origin), nil
		}
		resp, err := next.Serve(ctx, req)
		allowed := origin != "" && f.allows(origin)
		if err != nil {
			if !allowed {
				return nil, err
			}
			return nil, f.readable(err, origin)
		}
		// The service's own idea of CORS would contradict ours.
		for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers"} {
			resp.Header.Del(name)
		}
		if allowed {
			f.origin(&resp.Header, origin)
		}
		f.vary(&resp.Header)
		return resp, nil
	})
}

// preflight answers whether the script may ask. A refusal is an answer without the fields that the browser looks for.
func (f *cors) preflight(req *protocol.Request, origin string) *protocol.Response {
	resp := req.NewResponse()
	resp.Status = 204
	h := &resp.Header
	h.Add("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	if !f.allows(origin) {
		return resp
	}
	f.origin(h, origin)
	h.Add("Access-Control-Allow-Methods", f.methods)
	if asked := req.Header.Get("Access-Control-Request-Headers"); f.anyHeader && asked != "" {
		// With credentials "*" is taken literally, so what was asked for is named.
		h.Add("Access-Control-Allow-Headers", asked)
	} else if !f.anyHeader && f.headers != "" {
		h.Add("Access-Control-Allow-Headers", f.headers)
	}
	h.Add("Access-Control-Max-Age", f.maxAge)
	return resp
}

func (f *cors) origin(h *protocol.Header, origin string) {
	if f.anyOrigin {
		origin = "*"
	}
	h.Add("Access-Control-Allow-Origin", origin)
	if f.AllowCredentials {
		h.Add("Access-Control-Allow-Credentials", "true")
	}
	if f.expose != "" {
		h.Add("Access-Control-Expose-Headers", f.expose)
	}
}

// vary tells caches that another origin may get another answer.
func (f *cors) vary(h *protocol.Header) {
	if f.anyOrigin {
		return
	}
	h.AddKnown(protocol.NameVary, "Vary", "Origin")
}

// readable lets the script read an error that the gateway makes: without the fields a browser shows it a network failure.
func (f *cors) readable(err error, origin string) error {
	e := *protocol.AsError(err)
	var h protocol.Header
	f.origin(&h, strings.Clone(origin))
	f.vary(&h)
	fields := slices.Clone(e.Fields)
	for i := range h.Len() {
		fields = append(fields, *h.At(i))
	}
	e.Fields = fields
	return &e
}

func (f *cors) allows(origin string) bool {
	if f.anyOrigin {
		return true
	}
	for _, o := range f.AllowOrigins {
		if protocol.EqualFold(o, origin) {
			return true
		}
		before, after, ok := strings.Cut(o, "*")
		if ok && len(origin) > len(before)+len(after) && protocol.EqualFold(origin[:len(before)], before) &&
			protocol.EqualFold(origin[len(origin)-len(after):], after) &&
			!strings.ContainsAny(origin[len(before):len(origin)-len(after)], "/:@") {
			return true
		}
	}
	return false
}
