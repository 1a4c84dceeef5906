package discovery

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// Save writes what is known, and what is given up after it does not count.
func TestSave(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := begin(t, Keep{Path: folder}, plain, "orders")
		l.push("orders", at("10.0.0.1", 80))
		l.c.Save()
		file := filepath.Join(folder, fileName("a"))
		k, err := readKept(file, "a", "scripted ", time.Hour, time.Now())
		if err != nil || len(k.services[registry.App("orders")].instances) != 1 {
			t.Fatalf("%+v, %v", k, err)
		}
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		l.push("orders")
		time.Sleep(3 * writeEvery)
		l.c.Close()
		after, err := os.ReadFile(file)
		if err != nil || string(after) != string(before) {
			t.Errorf("written after Save: %v", err)
		}
		l.c.Save() // once more hurts nobody
	})
}

// A gateway that keeps nothing, or nothing yet, saves nothing.
func TestSaveWithoutAFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := begin(t, Keep{}, plain, "orders")
		l.push("orders", at("10.0.0.1", 80))
		l.c.Save()
		if st := l.c.Registries()[0].Kept; st != (KeptStatus{}) {
			t.Errorf("status %+v", st)
		}
		l.c.Close()
	})
}

// What was read and has not been confirmed keeps its age when it is written again, so that it does not become younger
// with every restart.
func TestAgeOfWhatIsNotConfirmed(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		keep := Keep{Path: folder, MaxAge: 3 * time.Hour}
		first := begin(t, keep, plain, "orders", "users")
		first.push("orders", at("10.0.0.1", 80))
		first.push("users", at("10.0.0.2", 80))
		known := time.Now()
		first.c.Close()
		time.Sleep(time.Hour)
		second := begin(t, keep, plain, "orders", "users")
		time.Sleep(2 * grace)
		second.world.named("a").opts.Report(registry.Live, nil)
		second.push("orders", at("10.0.0.1", 80)) // and of users nothing
		time.Sleep(2 * syncLimit)
		second.c.Close()
		k, err := readKept(filepath.Join(folder, fileName("a")), "a", "scripted ", 0, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got := k.services[registry.App("users")].at; !got.Equal(known) {
			t.Errorf("users is of %v, it was known at %v", got, known)
		}
		if got := k.services[registry.App("orders")].at; time.Since(got) > time.Minute {
			t.Errorf("orders is of %v", got)
		}
		// Beyond its age it is dropped alone.
		k, err = readKept(filepath.Join(folder, fileName("a")), "a", "scripted ", 30*time.Minute, time.Now())
		if err != nil || len(k.services) != 1 {
			t.Errorf("%+v, %v", k, err)
		}
	})
}

// The folder may change while the gateway runs, and may be given up.
func TestKeepChanges(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := begin(t, Keep{}, plain, "orders")
		l.push("orders", at("10.0.0.1", 80))
		l.c.Keep(Keep{Path: folder})
		time.Sleep(2 * writeEvery)
		synctest.Wait()
		if st := l.c.Registries()[0].Kept; st.File != filepath.Join(folder, fileName("a")) || st.Written.IsZero() {
			t.Errorf("status %+v", st)
		}
		l.c.Keep(Keep{})
		l.push("orders", at("10.0.0.2", 80))
		time.Sleep(2 * writeEvery)
		l.c.Close()
		k, err := readKept(filepath.Join(folder, fileName("a")), "a", "scripted ", 0, time.Now())
		if err != nil || k.services[registry.App("orders")].instances[0].Host != "10.0.0.1" {
			t.Errorf("%+v, %v", k, err)
		}
	})
}
