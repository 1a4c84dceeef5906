// Package account reads what the kernel has booked on processes: CPU time and memory, from /proc.
package account

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc (USER_HZ), the same on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// Group is what all processes of one process group have used together.
type Group struct {
	// CPU is user and system time. The kernel counts it in nanoseconds and shows it in ticks of 10 ms.
	CPU time.Duration
	// RSS is resident memory in bytes; pages that processes share count once, by their proportional share.
	RSS int64
	// Processes that are alive.
	Processes int
}

// Of reads the accounts of the process group that pid leads. A process that ends meanwhile is left out.
func Of(pid int) (Group, error) {
	var g Group
	err := members(pid, func(stat []string, dir string) error {
		cpu, err := cpuTime(stat)
		if err != nil {
			return err
		}
		rss, err := proportional(dir)
		if err != nil {
			return err
		}
		g.CPU += cpu
		g.RSS += rss
		g.Processes++
		return nil
	})
	return g, err
}

// CPU is Of without the memory, which takes the kernel much longer to sum up.
func CPU(pid int) (time.Duration, error) {
	var sum time.Duration
	err := members(pid, func(stat []string, _ string) error {
		cpu, err := cpuTime(stat)
		sum += cpu
		return err
	})
	return sum, err
}

// members calls visit for every process of a group, with its stat from the third field on and its folder.
func members(pid int, visit func(stat []string, dir string) error) error {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	want, found := strconv.Itoa(pid), false
	for _, dir := range dirs {
		data, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue // it has ended
		}
		stat := fields(data)
		if len(stat) < 13 || stat[2] != want {
			continue
		}
		if err := visit(stat, dir); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return fmt.Errorf("read accounts of %s: %w", dir, err)
		}
		found = true
	}
	if !found {
		return fmt.Errorf("read accounts: no process is left in group %d", pid)
	}
	return nil
}

// fields splits a stat line behind the process's name, which may hold spaces and brackets: the state is first.
func fields(stat []byte) []string {
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
}

// cpuTime is utime plus stime: fields 14 and 15 of a whole line.
func cpuTime(stat []string) (time.Duration, error) {
	user, err1 := strconv.ParseInt(stat[11], 10, 64)
	system, err2 := strconv.ParseInt(stat[12], 10, 64)
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// proportional reads Pss of a process, in bytes.
func proportional(dir string) (int64, error) {
	data, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
	if err != nil {
		return 0, err
	}
	return sizeOf(data, "Pss:")
}

// sizeOf finds "KEY  N kB" in a text and returns bytes.
func sizeOf(text []byte, key string) (int64, error) {
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == key && f[2] == "kB" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in it", key)
}
