// Command reference writes the guide's page of every configuration key, from the types and their comments: what the code
// reads is what the page says. A test compares the page with them.
//
//	go run ./config/reference
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// page is the file that is written, from the repository's root.
const page = "docs/guide/configuration.md"

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

// run writes the page of the repository at root.
func run(root string) error {
	text, err := generate(root)
	if err != nil {
		return err
	}
	file := filepath.Join(root, page)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}
