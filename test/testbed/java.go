package testbed

import (
	"errors"
	"fmt"
	"os/exec"
)

// install is the command that a missing program or jar is answered with.
const install = "go run ./test/testbed/prepare"

// errNotPrepared marks everything that the prepare command puts right.
var errNotPrepared = errors.New("run: " + install)

func findJava() (string, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return "", fmt.Errorf("find Java 17: %w (%w, or apt-get install -y --no-install-recommends openjdk-17-jre-headless)", err, errNotPrepared)
	}
	return java, nil
}

// jvmFlags start a JVM fast and small; what a server answers is the same.
func jvmFlags(extra ...string) []string {
	return append([]string{
		"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true",
	}, extra...)
}
