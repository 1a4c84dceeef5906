// Package testbed starts the real servers that tests talk to: ZooKeeper, Nacos, Consul, Eureka and Java Dubbo providers.
//
// Every server is a child process on loopback with its own folder and its own ports. It dies with the test: at
// the test's cleanup, or, should the test binary crash, by the kernel (PR_SET_PDEATHSIG). What it printed is in a
// file, whose end is shown when the test fails.
//
// A private server (StartZooKeeper, StartNacos, StartDubboProvider) belongs to one test, which may kill, freeze,
// restart or wipe it. A shared one (SharedZooKeeper, ...) is started by a package's TestMain for the tests that
// only use it; those tests keep apart by their names of services:
//
//	func TestMain(m *testing.M) {
//		zk, stop, err := testbed.SharedZooKeeper()
//		...
//		goleak.VerifyTestMain(testbed.After(m, stop))
//	}
//
// What takes minutes to build (the Nacos server, the providers) is built once into a cache folder; run
// `go run ./test/testbed/prepare` before `go test`, which has a time limit of its own. A missing server fails the
// test and names the command that installs it: it never skips.
package testbed
