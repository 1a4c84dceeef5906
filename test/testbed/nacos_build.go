package testbed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// BuildNacos builds the Nacos server and its archive of parsed classes, unless the cache has them. Cold it takes about
// a minute, warm nothing.
func BuildNacos(ctx context.Context) error {
	_, _, err := nacosPaths(ctx)
	return err
}

// nacosPaths returns the server's jar, its libraries beside it in lib/, and the class archive that halves its start.
func nacosPaths(ctx context.Context) (jar, archive string, err error) {
	java, err := findJava()
	if err != nil {
		return "", "", err
	}
	dir, err := mavenProject(ctx, "nacos", "pom.xml", "nacos", func(target string) error {
		return unpackNacos(ctx, java, target)
	})
	if err != nil {
		return "", "", err
	}
	jar = filepath.Join(dir, "nacos.jar")
	// The archive holds for this path of the jar alone, so it is made when the jar is in its place, and its own name
	// follows the jar's.
	archive, err = cached("nacos-classes", []byte(jar), func(to string) error { return archiveClasses(ctx, jar, to) })
	return jar, archive, err
}

// unpackNacos turns the one 200 MB jar into a thin jar beside its libraries, which the JVM opens faster, and drops all else.
func unpackNacos(ctx context.Context, java, target string) error {
	if err := run(ctx, target, java, "-Djarmode=tools", "-jar", "nacos.jar", "extract", "--destination", "thin"); err != nil {
		return err
	}
	entries, err := os.ReadDir(target)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != "thin" {
			if err := os.RemoveAll(filepath.Join(target, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Rename(filepath.Join(target, "thin", "nacos.jar"), filepath.Join(target, "nacos.jar")); err != nil {
		return err
	}
	return os.Rename(filepath.Join(target, "thin", "lib"), filepath.Join(target, "lib"))
}

// archiveClasses runs the server once until it is ready and lets the JVM write its classes at exit.
func archiveClasses(ctx context.Context, jar, to string) error {
	n, err := newNacos(jar, options{jvm: []string{"-XX:ArchiveClassesAtExit=" + to}})
	if err != nil {
		return err
	}
	n.grace = 3 * time.Minute // the archive is written after the last thread has ended
	if err := n.launch(ctx); err != nil {
		return err
	}
	defer n.close()
	if err := n.Stop(); err != nil {
		return err
	}
	if _, err := os.Stat(to); err != nil {
		return fmt.Errorf("archive classes: %w\n%s", err, n.Log())
	}
	return nil
}
