package discovery

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/file"
	"github.com/sluice-gateway/sluice/registry/static"
)

func TestCheck(t *testing.T) {
	refused := errors.New("dial 10.0.0.1:8848: connection refused: is the server running?")
	for name, test := range map[string]struct {
		change func(*scriptedConfig)
		talk   func(*scripted) // once it runs
		want   string
		takes  time.Duration
	}{
		"live and listed":   {nil, func(s *scripted) { s.opts.Report(registry.Live, nil); s.lists("orders") }, "", 0},
		"listed is live":    {nil, func(s *scripted) { s.lists() }, "", 0},
		"live, but no list": {nil, func(s *scripted) { s.opts.Report(registry.Live, nil) }, "it is connected, but has not listed its services in time", 5 * time.Second},
		"silent":            {nil, func(*scripted) {}, "it has not answered in time", 5 * time.Second},
		"refused":           {nil, func(s *scripted) { s.opts.Report(registry.Connecting, refused) }, refused.Error(), 5 * time.Second},
		"the last error counts": {nil, func(s *scripted) {
			s.opts.Report(registry.Stale, errors.New("x"))
			s.opts.Report(registry.Stale, refused)
		}, refused.Error(), 5 * time.Second},
		"late":                   {nil, func(s *scripted) { s.opts.Report(registry.Connecting, refused); time.Sleep(time.Second); s.lists("x") }, "", time.Second},
		"cannot list":            {func(c *scriptedConfig) { c.ListErr = registry.ErrNotListable }, func(s *scripted) { s.opts.Report(registry.Live, nil) }, "", 0},
		"cannot list, not there": {func(c *scriptedConfig) { c.ListErr = registry.ErrNotListable }, func(*scripted) {}, "it has not answered in time", 5 * time.Second},
		"list fails":             {func(c *scriptedConfig) { c.ListErr = errors.New("no such namespace") }, func(*scripted) {}, "list services: no such namespace", 0},
		"cannot run":             {func(c *scriptedConfig) { c.Ends = errors.New("no key for this server") }, func(*scripted) {}, "no key for this server", 0},
		"cannot be built":        {func(c *scriptedConfig) { c.Fails = true }, nil, "build: no such certificate", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{}
				cfg := w.config(1)
				if test.change != nil {
					test.change(cfg)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				began := time.Now()
				result := make(chan error, 1)
				go func() { result <- Check(ctx, discard(), Spec{Config: cfg}, nil) }()
				synctest.Wait()
				if w.count() > 0 {
					test.talk(w.last())
				}
				err := <-result
				if got := errText(err); got != test.want || time.Since(began) != test.takes {
					t.Errorf("%q after %v, want %q after %v", got, time.Since(began), test.want, test.takes)
				}
				if w.count() > 0 {
					if running, _, open := w.last().watching(); running || open != 0 {
						t.Error("something of it still runs")
					}
				}
			})
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestCheckRealRegistries(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := Check(ctx, discard(), Spec{Config: static.Default()}, nil); err != nil {
		t.Error(err)
	}
	if err := Check(ctx, discard(), Spec{Members: []string{"a"}}, nil); err != nil {
		t.Error(err)
	}
	if err := Check(ctx, discard(), Spec{}, nil); err == nil {
		t.Error("nothing is a registry")
	}
	absent := filepath.Join(t.TempDir(), "absent")
	if err := Check(ctx, discard(), Spec{Config: &file.Config{Path: absent}}, nil); err == nil || !strings.Contains(err.Error(), absent) {
		t.Errorf("a folder that is not there: %v", err)
	}
}
