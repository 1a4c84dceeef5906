// Command prepare installs and builds what the tests need: Java, Maven, ZooKeeper and a C compiler from Debian's packages, the
// Nacos and Eureka servers and both Dubbo providers from Maven Central. It does nothing when all is there. Run it before `go test`, whose
// time limit a cold build may break:
//
//	go run ./test/testbed/prepare
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/sluice-gateway/sluice/test/testbed"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := prepare(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "prepare:", err)
		os.Exit(1)
	}
}

func prepare(ctx context.Context) error {
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"packages", installMissing},
		{"etcd", testbed.BuildEtcd},
		{"toxiproxy", testbed.BuildToxiproxy},
		{"Nacos", testbed.BuildNacos},
		{"Eureka", testbed.BuildEureka},
		{"Consul", testbed.BuildConsul},
		{"Dubbo provider 3.3.6", func(ctx context.Context) error { return testbed.BuildDubboProvider(ctx, "3.3.6") }},
		{"Dubbo provider 2.7.23", func(ctx context.Context) error { return testbed.BuildDubboProvider(ctx, "2.7.23") }},
	}
	for _, s := range steps {
		start := time.Now()
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Printf("prepare: %-22s ready (%.1f s)\n", s.name, time.Since(start).Seconds())
	}
	return nil
}

// packages are what Debian has, each with a file that shows that it is installed.
var packages = []struct{ name, proof string }{
	{"openjdk-17-jdk-headless", "/usr/bin/javac"},
	{"maven", "/usr/bin/mvn"},
	{"libzookeeper-java", "/usr/share/java/zookeeper.jar"},
	{"libslf4j-java", "/usr/share/java/slf4j-simple.jar"},
	// The race detector needs a C compiler.
	{"gcc", "/usr/bin/gcc"},
	{"libc6-dev", "/usr/include/stdio.h"},
	{"curl", "/usr/bin/curl"}, // for .ci/shell
}

// installMissing asks apt for what is not there; only root may.
func installMissing(ctx context.Context) error {
	missing := []string{}
	for _, p := range packages {
		if _, err := os.Stat(p.proof); err != nil {
			missing = append(missing, p.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	install := append([]string{"apt-get", "-o", "DPkg::Lock::Timeout=240", "install", "-y", "--no-install-recommends"}, missing...)
	if os.Geteuid() != 0 {
		return fmt.Errorf("not root; run: sudo %v", install)
	}
	if err := apt(ctx, "apt-get", "-o", "DPkg::Lock::Timeout=240", "update"); err != nil {
		return err
	}
	return apt(ctx, install...)
}

func apt(ctx context.Context, command ...string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run %v: %w\n%s", command, err, out)
	}
	return nil
}
