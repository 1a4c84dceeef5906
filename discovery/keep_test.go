package discovery

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// lifetime is one process that keeps its state in a folder.
type lifetime struct {
	*stage
	log *bytes.Buffer
}

func begin(t *testing.T, keep Keep, cfg func(*world) *scriptedConfig, services ...string) *lifetime {
	l := &lifetime{&stage{t: t, net: newNetwork(), world: &world{}, heard: map[string]*heard{}}, &bytes.Buffer{}}
	l.c = newCatalogueIn(t, l.net)
	l.c.logger = slog.New(slog.NewTextHandler(l.log, nil))
	l.c.Keep(keep)
	apply(t, l.c, map[string]registry.Config{"a": cfg(l.world)})
	for _, name := range services {
		h := &heard{}
		l.heard[name] = h
		l.c.Subscribe(key("a", name), h.notify)
	}
	synctest.Wait()
	return l
}

func plain(w *world) *scriptedConfig { return w.config(1) }

func TestStartWithoutTheRegistry(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		keep := Keep{Path: filepath.Join(folder, "state"), MaxAge: time.Hour}
		first := begin(t, keep, plain, "orders", "users", "gone")
		first.world.named("a").opts.Report(registry.Live, nil)
		off := at("10.0.0.3", 80)
		off.Disabled = true
		first.push("orders", at("10.0.0.1", 80), at("10.0.0.2", 80), off)
		first.push("users", at("10.0.0.4", 80))
		first.push("gone", at("10.0.0.5", 80))
		time.Sleep(10 * time.Second)
		known := time.Now()
		first.c.Close()
		if st := first.log.String(); st != "" {
			t.Errorf("log %s", st)
		}

		time.Sleep(10 * time.Minute)
		second := begin(t, keep, plain, "orders", "users", "gone", "new")
		second.heard["orders"].want(t, "silence", 0) // the registry has its chance
		time.Sleep(grace)
		second.heard["orders"].want(t, "[10.0.0.1:80 10.0.0.2:80]", 1)
		second.heard["users"].want(t, "[10.0.0.4:80]", 1)
		second.heard["new"].want(t, "silence", 0)
		e := second.heard["orders"].all[0]
		if !e.Stale || !e.At.Equal(known) || len(e.Excluded) != 1 || e.Excluded[0].Reason != reasonDisabled || e.Usable[0].Source != "a" {
			t.Errorf("%+v, known %v", e, known)
		}
		r := second.c.Registries()[0]
		if r.Answered || !r.Kept.Serving || !r.Kept.LoadedFrom.Equal(known) || r.Counts.Stale != 3 || r.Kept.File == "" {
			t.Errorf("status %+v", r)
		}
		if got := second.c.Waiting(); got != nil {
			t.Errorf("waiting for %q, though traffic can be served", got)
		}
		if n := strings.Count(second.log.String(), "registry does not answer"); n != 1 {
			t.Errorf("log %s", second.log)
		}
		var late heard // one that is subscribed to later
		defer second.c.Subscribe(key("a", "users"), late.notify).Close()
		late.want(t, "[10.0.0.4:80]", 1)

		// The first push replaces, and is believed: what was kept may be of yesterday.
		second.world.named("a").opts.Report(registry.Live, nil)
		second.push("orders")
		second.heard["orders"].want(t, "[]", 2)
		second.push("users", at("10.0.0.4", 80))
		second.heard["users"].want(t, "[10.0.0.4:80]", 2) // no longer stale
		if r := second.c.Registries()[0]; r.Kept.Serving || r.Counts.Stale != 1 {
			t.Errorf("status %+v", r)
		}
		second.push("gone", at("10.0.0.5", 80))
		second.push("new", at("10.0.0.6", 80))
		second.c.Close()

		third := begin(t, keep, plain, "orders", "new")
		third.world.named("a").opts.Report(registry.Connecting, errors.New("connection refused"))
		synctest.Wait() // an error uses the grace up
		third.want("orders", "[]")
		third.want("new", "[10.0.0.6:80]")
		third.c.Close()
	})
}

// The lists and the definitions are kept, too: a Dubbo gateway starts without its registry.
func TestListsAndDefinitionsAreKept(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		defines := func(w *world) *scriptedConfig {
			cfg := w.config(1)
			cfg.Defines = true
			return cfg
		}
		var list atomic.Pointer[registry.ServiceSet]
		var definition atomic.Pointer[Definition]
		subscribe := func(l *lifetime) {
			l.c.SubscribeServices("a", list.Store)
			l.c.SubscribeDefinition(Key{"a", registry.DubboService("com.acme.Users", "", "")}, definition.Store)
			synctest.Wait()
		}
		first := begin(t, Keep{Path: folder}, defines)
		subscribe(first)
		reg := first.world.named("a")
		reg.lists("orders")
		reg.define([]byte("{}"))
		first.c.Close()

		list.Store(nil)
		definition.Store(nil)
		second := begin(t, Keep{Path: folder}, defines)
		subscribe(second)
		time.Sleep(grace)
		settle()
		if l := list.Load(); l == nil || len(l.Services) != 1 || l.Services[0] != registry.App("orders") {
			t.Errorf("list %v", l)
		}
		if d := definition.Load(); d == nil || string(d.JSON) != "{}" {
			t.Errorf("definition %v", d)
		}
		second.c.Close()
	})
}

// A crash loses no more than a few seconds, and a half answer after the start does not destroy what was kept.
func TestWrittenInTime(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(folder, fileName("a"))
		read := func() *kept {
			k, err := readKept(file, "a", "scripted ", 0, time.Now())
			if err != nil {
				return &kept{}
			}
			return k
		}
		s := begin(t, Keep{Path: folder, MaxAge: 20 * time.Minute}, plain, "orders", "users")
		s.world.named("a").opts.Report(registry.Live, nil)
		s.push("orders", at("10.0.0.1", 80))
		time.Sleep(2 * writeEvery)
		if got := len(read().services); got != 0 {
			t.Errorf("%d services were written before all had answered", got)
		}
		s.push("users", at("10.0.0.2", 80))
		time.Sleep(writeEvery + time.Second)
		if got := read(); len(got.services) != 2 {
			t.Errorf("wrote %+v", got)
		}
		first := s.c.Registries()[0].Kept
		if first.Written.IsZero() || first.Size == 0 || first.Error != "" {
			t.Errorf("status %+v", first)
		}
		time.Sleep(2 * time.Minute) // nothing new: nothing is written
		if now := s.c.Registries()[0].Kept; now != first {
			t.Errorf("written again %+v", now)
		}
		time.Sleep(5 * time.Minute) // but its age is kept right
		if now := read(); time.Since(now.at) > 5*time.Minute {
			t.Errorf("of %v, now it is %v", now.at, time.Now())
		}
		lost := time.Now()
		s.world.named("a").opts.Report(registry.Stale, errors.New("gone"))
		s.c.Keep(Keep{Path: filepath.Join(folder, "other"), MaxAge: time.Hour}) // another folder is filled at once
		time.Sleep(writeEvery + time.Second)
		if k, err := readKept(filepath.Join(folder, "other", fileName("a")), "a", "scripted ", 0, time.Now()); err != nil || !k.at.Equal(lost) {
			t.Errorf("%+v, %v: nothing is certain since the registry was lost", k, err)
		}
		left, err := filepath.Glob(filepath.Join(folder, "*.tmp"))
		if err != nil || left != nil {
			t.Errorf("left over %v, %v", left, err)
		}
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	})
}

func TestKeptIsRefused(t *testing.T) {
	write := func(t *testing.T, folder string, change func(*keeping)) {
		s := someState()
		s.name, s.identity, s.at = "a", "scripted ", time.Now()
		change(s)
		if _, err := writeKept(filepath.Join(folder, fileName("a")), s); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		prepare func(t *testing.T, folder string)
		want    string // in the log; "" when it is not refused
	}{
		"good":            {func(t *testing.T, f string) { write(t, f, func(*keeping) {}) }, ""},
		"a little ahead":  {func(t *testing.T, f string) { write(t, f, func(s *keeping) { s.at = s.at.Add(time.Minute) }) }, ""},
		"too old":         {func(t *testing.T, f string) { write(t, f, func(s *keeping) { s.at = s.at.Add(-2 * time.Hour) }) }, "may be 1h0m0s old at most"},
		"from the future": {func(t *testing.T, f string) { write(t, f, func(s *keeping) { s.at = s.at.Add(2 * time.Hour) }) }, "may be 1h0m0s old at most"},
		"other registry":  {func(t *testing.T, f string) { write(t, f, func(s *keeping) { s.identity = "nacos elsewhere" }) }, "nacos elsewhere"},
		"other name":      {func(t *testing.T, f string) { write(t, f, func(s *keeping) { s.name = "A" }) }, "it is of registry"},
		"torn": {func(t *testing.T, f string) {
			write(t, f, func(*keeping) {})
			if err := os.Truncate(filepath.Join(f, fileName("a")), 100); err != nil {
				t.Fatal(err)
			}
		}, "checksum"},
		"a folder": {func(t *testing.T, f string) {
			if err := os.Mkdir(filepath.Join(f, fileName("a")), 0o700); err != nil {
				t.Fatal(err)
			}
		}, "is not a file"},
		"foreign": {func(t *testing.T, f string) {
			if err := os.WriteFile(filepath.Join(f, fileName("a")), []byte("<html>"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not the state of a registry"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				test.prepare(t, folder)
				l := begin(t, Keep{Path: folder, MaxAge: time.Hour}, plain, "orders")
				time.Sleep(2 * grace)
				synctest.Wait()
				usable := l.c.Registries()[0].Counts.Usable
				status := l.c.Registries()[0].Kept.Error
				l.c.Close()
				log := l.log.String()
				if test.want == "" {
					if usable != 1 || status != "" {
						t.Errorf("%d usable, %s", usable, log)
					}
					return
				}
				if usable != 0 || !strings.Contains(log, test.want) || !strings.Contains(log, fileName("a")) || !strings.Contains(status, test.want) {
					t.Errorf("%d usable, status %s, log %s", usable, status, log)
				}
			})
		})
	}
}

// A disk that cannot be written to is reported once, and hurts nobody.
func TestCannotBeWritten(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		l := begin(t, Keep{Path: filepath.Join(folder, "file", "below")}, plain, "orders")
		for n := range 10 {
			l.push("orders", at("h", 1+n))
			time.Sleep(writeEvery)
		}
		synctest.Wait()
		if st := l.c.Registries()[0].Kept; !strings.Contains(st.Error, "not a directory") {
			t.Errorf("status %+v", st)
		}
		l.c.Close()
		if n := strings.Count(l.log.String(), "cannot keep"); n != 1 {
			t.Errorf("%d times: %s", n, l.log)
		}
	})
}

func TestLeftOversAreSwept(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"registry-a.state.1.tmp", "registry-a.state", "other.tmp"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sweepTemporary(folder)
	sweepTemporary(filepath.Join(folder, "absent"))
	left, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestFileNames(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"nacos", "Nacos", "a/b", "../../etc/passwd", ".", "", "a b", "a%20b", "ü", "con", strings.Repeat("x", 300), strings.Repeat("x", 301), "\x00"} {
		file := fileName(name)
		if filepath.Base(file) != file || len(file) > 255 || strings.ContainsAny(file, "/\\: \x00") {
			t.Errorf("%q: %q", name, file)
		}
		if other, twice := seen[strings.ToLower(file)]; twice {
			t.Errorf("%q and %q have one file", name, other)
		}
		seen[strings.ToLower(file)] = name
	}
}
