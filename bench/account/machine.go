package account

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Machine is how busy all CPUs together have been since the machine's start.
type Machine struct {
	Busy time.Duration // by anybody, hypervisor's theft included
	All  time.Duration // busy or idle
}

// Whole reads the machine's accounts.
func Whole() (Machine, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Machine{}, fmt.Errorf("read the machine's accounts: %w", err)
	}
	return parseMachine(string(data))
}

// parseMachine reads "cpu user nice system idle iowait irq softirq steal ...", in ticks.
func parseMachine(text string) (Machine, error) {
	line, _, _ := strings.Cut(text, "\n")
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return Machine{}, errors.New("read the machine's accounts: no line of all CPUs")
	}
	var m Machine
	for i, s := range f[1:9] {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return Machine{}, fmt.Errorf("read the machine's accounts: %w", err)
		}
		m.All += time.Duration(n) * tick
		if idle := i == 3 || i == 4; !idle {
			m.Busy += time.Duration(n) * tick
		}
	}
	return m, nil
}

// Strangers is the share of the machine's CPU time between two readings that neither was idle nor belonged to us, who
// used ours of it. It is 0 to 1.
func Strangers(before, after Machine, ours time.Duration) float64 {
	all := after.All - before.All
	if all <= 0 {
		return 0
	}
	return min(1, max(0, float64(after.Busy-before.Busy-ours)/float64(all)))
}

// Describe says what machine this is, in a line.
func Describe() string {
	return fmt.Sprintf("%d cores, %s, Linux %s, %s", runtime.NumCPU(), model(), release(), runtime.Version())
}

func model() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func release() string {
	data, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(data))
}
