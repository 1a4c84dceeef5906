// Package static is the registry that a document writes down itself: services whose instances are listed in the
// configuration, for what no registry knows. It never changes until the document does.
//
// How services are written down, and what a watch of them sees, is shared with package file, whose services stand in
// files of their own.
package static

import (
	"context"

	"github.com/sluice-gateway/sluice/registry"
)

type static struct {
	entries []Entry
	report  func(registry.State, error)
}

// Run reports the registry as live, which it always is.
func (s *static) Run(ctx context.Context) error {
	s.report(registry.Live, nil)
	<-ctx.Done()
	return nil
}

// WatchServices pushes the services of the document, once.
func (s *static) WatchServices(ctx context.Context, push func(registry.ServiceSet)) error {
	push(Services(s.entries))
	<-ctx.Done()
	return nil
}

// Watch pushes the instances of one service, once. A Dubbo service's group and version may be "*".
func (s *static) Watch(ctx context.Context, service registry.ServiceName, push func(registry.Snapshot)) error {
	push(Snapshot(s.entries, service))
	<-ctx.Done()
	return nil
}
