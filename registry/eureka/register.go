package eureka

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// step bounds one request of a registration, and its withdrawal.
const step = registry.WithdrawTimeout / 2

// Register announces r as Java clients announce themselves, and sends heartbeats. One that the server does not know (it has
// restarted, or somebody ended an override of the status and left it UNKNOWN) is announced anew.
func (c *client) Register(ctx context.Context, r registry.Registration, report func(error)) error {
	if err := checkRegistration(r); err != nil {
		return err
	}
	t, err := newTransport(c.config)
	if err != nil {
		return err
	}
	defer t.close()
	a := &announcement{transport: t, servers: c.servers, what: r, app: strings.ToUpper(r.Service.Name)}
	defer a.withdraw(ctx)
	for failures := 0; ; {
		accepted, err := a.renew(ctx)
		if ctx.Err() != nil {
			return nil
		}
		pause := c.config.Heartbeat
		switch {
		case err != nil:
			pause = min(pause, firstRetry<<min(failures, 10))
			failures++
			report(fmt.Errorf("register in Eureka: %w", err))
		case accepted || failures > 0:
			failures = 0
			report(nil)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

func checkRegistration(r registry.Registration) error {
	switch {
	case r.Service.Kind != registry.Plain || r.Service.Group != "":
		return fmt.Errorf("register %s in Eureka: it holds applications without groups", r.Service)
	case r.Service.Name == "" || strings.ContainsFunc(r.Service.Name, unfitForPath):
		return fmt.Errorf("register in Eureka: service name %q: must not be empty, nor hold / \\ %% ; or control characters", r.Service.Name)
	case r.ID == "" || strings.ContainsFunc(r.ID, unfitForPath):
		return fmt.Errorf("register in Eureka: id %q: must not be empty, nor hold / \\ %% ; or control characters", r.ID)
	}
	if err := r.Instance.Validate(); err != nil {
		return fmt.Errorf("register in Eureka: %w", err)
	}
	return nil
}

// unfitForPath is what servers refuse in a path even when it is escaped.
func unfitForPath(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`/\%;`, r) }

// announcement is one registration in the course of its life.
type announcement struct {
	*transport
	servers []*server
	at      int // the server that took it last
	what    registry.Registration
	app     string
	tried   bool   // some server may know us
	dirty   string // the time of what we announced, in milliseconds; "" before
}

// renew sends a heartbeat, or announces; accepted is true of the latter.
func (a *announcement) renew(ctx context.Context) (accepted bool, err error) {
	var errs []error
	for range a.servers {
		s := a.servers[a.at]
		if accepted, err = a.renewAt(ctx, s); err == nil {
			return accepted, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		if ctx.Err() != nil {
			break
		}
		a.at = (a.at + 1) % len(a.servers)
	}
	return false, errors.Join(errs...)
}

func (a *announcement) renewAt(ctx context.Context, s *server) (accepted bool, err error) {
	if a.dirty != "" {
		known, err := a.call(ctx, s, http.MethodPut, a.path()+"?status=UP&lastDirtyTimestamp="+a.dirty, nil)
		if known || err != nil || ctx.Err() != nil {
			return false, err
		}
	}
	// A server believes what it has when that claims to be newer, so each announcement is of now.
	dirty := strconv.FormatInt(time.Now().UnixMilli(), 10)
	document, err := a.document(dirty)
	if err != nil {
		return false, err
	}
	a.tried = true
	// It runs to its end also when the registration ends meanwhile: a server that got a cancelled one late would list us after
	// we have withdrawn.
	known, err := a.call(context.WithoutCancel(ctx), s, http.MethodPost, "/apps/"+url.PathEscape(a.app), document)
	if err == nil && !known {
		err = &statusError{status: http.StatusNotFound, text: textNotFound}
	}
	if err != nil {
		return false, err
	}
	a.dirty = dirty
	return true, nil
}

// withdraw takes the registration back, in what is left of WithdrawTimeout.
func (a *announcement) withdraw(ctx context.Context) {
	if !a.tried {
		return
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), step)
	defer cancel()
	for range a.servers {
		if _, err := a.call(limit, a.servers[a.at], http.MethodDelete, a.path(), nil); err == nil || limit.Err() != nil {
			return
		}
		a.at = (a.at + 1) % len(a.servers)
	}
}

func (a *announcement) path() string {
	return "/apps/" + url.PathEscape(a.app) + "/" + url.PathEscape(a.what.ID)
}

// call sends a request; known is false when the server answers that it knows no such instance.
func (a *announcement) call(ctx context.Context, s *server, method, path string, body []byte) (known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, min(step, a.config.Timeout))
	defer cancel()
	resp, err := a.send(ctx, s, method, path, body)
	if err != nil {
		return false, advise(err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNoContent:
		return true, nil
	case http.StatusNotFound:
		return false, nil
	default:
		return false, refusal(resp)
	}
}
