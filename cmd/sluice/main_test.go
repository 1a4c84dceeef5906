package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain makes the test binary the command itself when a script runs "sluice".
func TestMain(m *testing.M) {
	testscript.Main(runner(func() (code int) {
		// testscript ends the process, and tidies up before it.
		goleak.VerifyTestMain(m, goleak.Cleanup(func(c int) { code = c }))
		return code
	}), map[string]func(){"sluice": main})
}

// runner is what testscript asks for instead of a testing.M.
type runner func() int

// Run runs the tests.
func (r runner) Run() int { return r() }
