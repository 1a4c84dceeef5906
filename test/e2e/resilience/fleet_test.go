package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// size is how many instances there are.
const size = 20

// workers is how many requests each of them works on at once. With two the same load takes half as long to pass.
func workers() int { return either(2, 4) }

// fleet is twenty processes that serve the same.
type fleet struct {
	all    []*member
	folder string // of the registry of type file that tells of them
	client *http.Client
}

// member is one instance.
type member struct {
	*testbed.Program
	address string
}

func startFleet(t testing.TB) *fleet {
	t.Helper()
	path := must[string](t)(programs.instance())
	transport := &http.Transport{DisableKeepAlives: true}
	f := &fleet{folder: filepath.Join(t.TempDir(), "services"), client: &http.Client{Transport: transport, Timeout: 5 * time.Second}}
	for n := range size {
		m := &member{address: fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(t))}
		m.Program = testbed.StartProgram(t, fmt.Sprintf("instance-%d", n), func(ctx context.Context) error {
			_, err := f.control(ctx, m, "")
			return err
		}, path, "-listen", m.address, "-workers", fmt.Sprint(workers()))
		f.all = append(f.all, m)
	}
	if err := os.Mkdir(f.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	f.reset(t)
	return f
}

// control tells an instance how to behave, by a query, and returns how many requests it has had.
func (f *fleet) control(ctx context.Context, m *member, query string) (uint64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.address+"/control?"+query, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var seen struct{ Received uint64 }
	return seen.Received, json.NewDecoder(resp.Body).Decode(&seen)
}

// reset makes all instances well again, and registers them.
func (f *fleet) reset(t testing.TB) {
	t.Helper()
	for _, m := range f.all {
		if err := m.Thaw(); err == nil {
			if _, err = f.control(t.Context(), m, "mode=&slow=1"); err == nil {
				continue
			}
		}
		if err := m.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.register(f.all); err != nil {
		t.Fatal(err)
	}
}

// received is how many requests all instances have had since they were started.
func (f *fleet) received(t testing.TB) (sum uint64) {
	t.Helper()
	for _, m := range f.all {
		sum += must[uint64](t)(f.control(t.Context(), m, ""))
	}
	return sum
}

// register makes these the instances that the registry knows.
func (f *fleet) register(members []*member) error {
	var b strings.Builder
	b.WriteString("services:\n")
	for _, service := range []string{"work", "turns"} {
		fmt.Fprintf(&b, "  %s:\n", service)
		for _, m := range members {
			fmt.Fprintf(&b, "    - %s\n", m.address)
		}
	}
	fresh := filepath.Join(f.folder, ".services.new")
	if err := os.WriteFile(fresh, []byte(b.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, filepath.Join(f.folder, "services.yaml"))
}

// without are the instances but one.
func (f *fleet) without(m *member) []*member {
	var rest []*member
	for _, other := range f.all {
		if other != m {
			rest = append(rest, other)
		}
	}
	return rest
}

// frozen freezes an instance in the middle of the traffic.
func frozen(m *member, after time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		if !pause(ctx, after) {
			return errors.New("the traffic ended before the instance was frozen")
		}
		return m.Freeze()
	}
}

// killed kills an instance again and again, another one every time, and lets it come back on its port.
func (f *fleet) killed(every, away time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		for n := 0; pause(ctx, every-away); n++ {
			m := f.all[n*7%size]
			m.Kill()
			pause(ctx, away)
			if err := m.Restart(); err != nil {
				return err
			}
		}
		return nil
	}
}

// rolled restarts one instance after the other, politely. Whoever takes instances out of the registry before passes out and
// in, which see to it that the word has got round.
func (f *fleet) rolled(out, in func(context.Context, *member) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for n, m := range f.all {
			if err := out(ctx, m); err != nil {
				return err
			}
			if err := m.Restart(); err != nil {
				return err
			}
			if err := in(ctx, m); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return fmt.Errorf("the traffic ended when only %d of %d instances were restarted", n, size)
			}
		}
		return nil
	}
}

// unsaid leaves the registry as it is, and gives an instance some time to be found again.
func (f *fleet) unsaid() func(context.Context) error {
	nothing := func(context.Context, *member) error { return nil }
	return f.rolled(nothing, func(ctx context.Context, _ *member) error {
		pause(ctx, either[time.Duration](50, 500)*time.Millisecond)
		return nil
	})
}

// said takes an instance out of the registry, waits until the gateway no longer has it, and puts it back.
func (f *fleet) said(s *sluice) func(context.Context) error {
	has := func(ctx context.Context, m *member, want bool) error {
		for pause(ctx, 10*time.Millisecond) {
			text, err := s.ask(ctx, "/api/v1/services/work")
			if err != nil {
				return err
			}
			if strings.Contains(string(text), m.address) == want {
				return nil
			}
		}
		return ctx.Err()
	}
	out := func(ctx context.Context, m *member) error {
		if err := f.register(f.without(m)); err != nil {
			return err
		}
		defer pause(ctx, 50*time.Millisecond) // who picked it before may have to dial yet
		return has(ctx, m, false)
	}
	in := func(ctx context.Context, m *member) error {
		if err := f.register(f.all); err != nil {
			return err
		}
		return has(ctx, m, true)
	}
	return f.rolled(out, in)
}

// pause reports whether there is traffic still.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
