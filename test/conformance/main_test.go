// Package conformance holds every registry to the same promises, over real servers.
//
// The first part drives a registry through its interface: what it pushes and what it reports while its server is killed,
// wiped, frozen, slow or cut off. The second part runs the sluice binary under constant load while instances come and go
// and the same things happen to its registry, and counts requests that failed although a living instance could have
// served them. Whatever is in a registry was written there by clients that are not ours.
//
// A kind of registry is one file that begins a server and opens a client for it; the scenarios are the same for all.
// Without SLUICE_CONFORMANCE=full the slow scenarios are left out, or shorter. With -update the measured table is written
// into the guide.
package conformance

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/test/testbed"
)

var update = flag.Bool("update", false, "write what was measured into docs/guide/registries.md")

// full says whether everything is to be run.
func full() bool { return os.Getenv("SLUICE_CONFORMANCE") == "full" }

// onlyFull skips what would make the short form long.
func onlyFull(t testing.TB) {
	t.Helper()
	if !full() {
		t.Skip("only with SLUICE_CONFORMANCE=full")
	}
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(providersEnv); dir != "" {
		provideNacos(os.Stdin, os.Stdout, dir)
		os.Exit(0)
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "5"); err != nil { // the kinds, side by side: tests mostly wait for their servers
		panic(err)
	}
	goleak.VerifyTestMain(testbed.After(m, shared.stop, publish))
}

// publish writes the guide's tables, when that was asked for.
func publish() {
	if !*update {
		return
	}
	if err := results.write(guide); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
