package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain makes the test binary the command itself when a script runs "sluice".
func TestMain(m *testing.M) { testscript.Main(leakChecked{m}, map[string]func(){"sluice": main}) }

// leakChecked is goleak.VerifyTestMain in the shape that testscript asks for.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "leaked goroutines:", err)
		return 1
	}
	return 0
}
