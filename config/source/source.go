// Package source is where a document comes from: something that pushes its bytes, now and whenever they change. What the
// bytes mean is for package config, and what happens with a bad document for whoever applies it.
package source

import "context"

// Source yields a document.
type Source interface {
	// Run pushes the document's bytes as soon as there are any, and again after each change, until ctx ends. push is
	// called from one goroutine at a time; the bytes are the receiver's. A non-nil error means that the source cannot
	// work at all; trouble that may pass is reported otherwise, and the last document stays.
	Run(ctx context.Context, push func(data []byte)) error
}
