package testbed

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// BuildEureka builds the Eureka server and its archive of parsed classes, unless the cache has them. Cold it takes about
// a minute, warm nothing.
func BuildEureka(ctx context.Context) error {
	_, _, err := eurekaPaths(ctx)
	return err
}

// eurekaPaths returns the server's jar, its libraries beside it in lib/, and the class archive that halves its start.
func eurekaPaths(ctx context.Context) (jar, archive string, err error) {
	java, err := findJava()
	if err != nil {
		return "", "", err
	}
	dir, err := mavenProject(ctx, "eureka", "pom.xml", "eureka", func(target string) error {
		return unpackEureka(ctx, java, target)
	})
	if err != nil {
		return "", "", err
	}
	jar = filepath.Join(dir, "eureka.jar")
	// The archive holds for this path of the jar alone; see nacosPaths.
	archive, err = cached("eureka-classes", []byte(jar), func(to string) error { return archiveEureka(ctx, jar, to) })
	return jar, archive, err
}

// unpackEureka turns the one jar into a thin jar beside its libraries, and drops all else.
func unpackEureka(ctx context.Context, java, target string) error {
	thin := filepath.Join(filepath.Dir(target), "thin")
	if err := run(ctx, target, java, "-Djarmode=tools", "-jar", "eureka.jar", "extract", "--destination", thin); err != nil {
		return err
	}
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	return os.Rename(thin, target)
}

// archiveEureka runs the server once, for long enough to load what answers requests, and lets the JVM write its classes.
func archiveEureka(ctx context.Context, jar, to string) error {
	e, err := newEureka(jar, nil, options{jvm: []string{"-XX:ArchiveClassesAtExit=" + to}})
	if err != nil {
		return err
	}
	e.grace = 2 * time.Minute // the archive is written after the last thread has ended
	if err := e.launch(ctx); err != nil {
		return err
	}
	defer e.close()
	if err := e.Register(ctx, EurekaInstance{App: "TRAINING", ID: "one", IP: "127.0.0.1", Port: 1}); err != nil {
		return err
	}
	if _, err := e.call(ctx, http.MethodGet, "/apps/delta", nil); err != nil {
		return err
	}
	if err := e.Stop(); err != nil {
		return err
	}
	if _, err := os.Stat(to); err != nil {
		return fmt.Errorf("archive classes: %w\n%s", err, e.Log())
	}
	return nil
}
