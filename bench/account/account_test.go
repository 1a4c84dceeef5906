package account

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// busy starts a shell that leads a group of its own and lets a child of it work.
func busy(t *testing.T) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "(while :; do :; done) & wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

func TestGroupCountsChildren(t *testing.T) {
	pid := busy(t)
	deadline := time.Now().Add(20 * time.Second)
	for {
		g, err := Of(pid)
		if err != nil {
			t.Fatal(err)
		}
		cpu, err := CPU(pid)
		if err != nil {
			t.Fatal(err)
		}
		if g.Processes == 2 && g.CPU >= 50*time.Millisecond && g.RSS > 0 && cpu >= g.CPU {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after 20 s the group has %+v", g)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestNoSuchGroup(t *testing.T) {
	if g, err := Of(1 << 30); err == nil {
		t.Errorf("a group that cannot be has %+v", g)
	}
}

func TestFieldsBehindAName(t *testing.T) {
	f := fields([]byte("42 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0"))
	if f[0] != "S" || f[2] != "7" {
		t.Fatalf("fields %q", f)
	}
	if cpu, err := cpuTime(f); err != nil || cpu != 2*time.Second {
		t.Errorf("CPU time %v, %v, want 2s", cpu, err)
	}
}

func TestSizeOf(t *testing.T) {
	text := []byte("00400000-7ffd000 ---p 00000000 00:00 0   [rollup]\nRss:     2048 kB\nPss:     1024 kB\nPss_Dirty:  1 kB\n")
	if n, err := sizeOf(text, "Pss:"); err != nil || n != 1<<20 {
		t.Errorf("Pss %d, %v, want 1 MB", n, err)
	}
	if _, err := sizeOf(text, "Swap:"); err == nil {
		t.Error("found what is not there")
	}
}

func TestMachine(t *testing.T) {
	m, err := parseMachine("cpu  100 0 50 800 30 5 5 10 0 0\ncpu0 1 2 3\n")
	if err != nil || m.Busy != 1700*time.Millisecond || m.All != 10*time.Second {
		t.Errorf("%+v, %v, want 1.7s of 10s", m, err)
	}
	for _, bad := range []string{"", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 2 3", "cpu 1 2 x 4 5 6 7 8"} {
		if _, err := parseMachine(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	if _, err := Whole(); err != nil {
		t.Error(err)
	}
}

func TestStrangers(t *testing.T) {
	before := Machine{}
	after := Machine{Busy: 3 * time.Second, All: 4 * time.Second}
	for ours, want := range map[time.Duration]float64{time.Second: 0.5, 3 * time.Second: 0, 9 * time.Second: 0} {
		if got := Strangers(before, after, ours); got != want {
			t.Errorf("with %v of ours strangers had %v, want %v", ours, got, want)
		}
	}
	if got := Strangers(after, after, 0); got != 0 {
		t.Errorf("in no time strangers had %v", got)
	}
}

func TestDescribe(t *testing.T) {
	if s := Describe(); s == "" {
		t.Error("nothing to say of this machine")
	}
}
