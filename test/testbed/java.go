package testbed

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// javaSources are the two Maven projects: the Nacos server and the Dubbo provider.
//
//go:embed java
var javaSources embed.FS

// install is the command that a missing program or jar is answered with.
const install = "go run ./test/testbed/prepare"

// errNotPrepared marks everything that the prepare command puts right.
var errNotPrepared = errors.New("run: " + install)

func findJava() (string, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return "", fmt.Errorf("find Java 17: %w (%w, or apt-get install -y --no-install-recommends openjdk-17-jdk-headless)", err, errNotPrepared)
	}
	return java, nil
}

// javaVersion is what a class archive depends on: the exact build of the JVM.
func javaVersion(java string) (string, error) {
	if target, err := filepath.EvalSymlinks(java); err == nil {
		// bin/java stands beside the file "release", which saves the half second of asking.
		if text, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(target)), "release")); err == nil {
			return string(text), nil
		}
	}
	out, err := exec.Command(java, "-version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ask Java for its version: %w", err)
	}
	return string(out), nil
}

// jvmFlags start a JVM fast and small; what a server answers is the same.
func jvmFlags(extra ...string) []string {
	return append([]string{
		"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true",
	}, extra...)
}

// mavenProject builds java/NAME with the given pom and returns its target folder in the cache.
func mavenProject(ctx context.Context, name, pom, label string, finish func(target string) error) (string, error) {
	java, err := findJava()
	if err != nil {
		return "", err
	}
	version, err := javaVersion(java)
	if err != nil {
		return "", err
	}
	root := "java/" + name
	key := []byte(version)
	if key, err = contents(key, javaSources, root+"/src"); err != nil {
		return "", err
	}
	if key, err = contents(key, javaSources, root+"/"+pom); err != nil {
		return "", err
	}
	return cached(label, key, func(to string) error {
		mvn, err := exec.LookPath("mvn")
		if err != nil {
			return fmt.Errorf("find Maven: %w (%w, or apt-get install -y --no-install-recommends maven)", err, errNotPrepared)
		}
		work, err := os.MkdirTemp("", "sluice-build-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(work)
		if err := copyProject(work, root, pom); err != nil {
			return err
		}
		if err := run(ctx, work, mvn, "-B", "-q", "-DskipTests", "package"); err != nil {
			return err
		}
		target := filepath.Join(work, "target")
		if finish != nil {
			if err := finish(target); err != nil {
				return err
			}
		}
		return os.CopyFS(to, os.DirFS(target))
	})
}

// copyProject writes a Maven project out of the binary, with pom as its pom.xml.
func copyProject(to, root, pom string) error {
	project, err := fs.Sub(javaSources, root)
	if err != nil {
		return err
	}
	if err := os.CopyFS(to, project); err != nil {
		return err
	}
	if pom == "pom.xml" {
		return nil
	}
	return os.Rename(filepath.Join(to, pom), filepath.Join(to, "pom.xml"))
}

// classPath joins jars; the JVM itself expands "DIR/*".
func classPath(entries ...string) string { return strings.Join(entries, string(os.PathListSeparator)) }
