package proxy

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/registry"
)

// RegistryCheck is whether one registry of a document can be used.
type RegistryCheck struct {
	Name string
	Pos  config.Position
	// Err says what is wrong with it, and what to do.
	Err error
}

// CheckRegistries connects to every registry of a document, all at once, until each has answered or ctx ends. Merged ones
// are their members' matter.
func CheckRegistries(ctx context.Context, logger *slog.Logger, doc *config.Document, dubbo registry.MetadataFetcher) ([]RegistryCheck, error) {
	specs, err := registrySpecs(doc)
	if err != nil {
		return nil, err
	}
	var out []RegistryCheck
	for _, r := range doc.Registries {
		if r.Type != config.Merged {
			out = append(out, RegistryCheck{Name: r.Name, Pos: r.Pos})
		}
	}
	var tasks sync.WaitGroup
	for i := range out {
		tasks.Go(func() {
			out[i].Err = discovery.Check(ctx, logger.With("registry", out[i].Name), specs[out[i].Name], dubbo)
		})
	}
	tasks.Wait()
	return out, nil
}

// Check builds all that a document names, as Start would, and gives it up again. No registry is connected to and no
// address opened. It finds what reading the document cannot: a certificate file that is missing, a filter that cannot be
// built.
func Check(parts Components, logger *slog.Logger, doc *config.Document) error {
	g := New(Options{Components: parts, Logger: logger, Namespace: "check"})
	plan, refused := (&compiler{gateway: g, doc: doc}).compile()
	plan.abandon(g.store)
	_, err := registrySpecs(doc)
	_, unread := g.loadCertificates(doc.Listeners)
	err = errors.Join(err, unread)
	err = errors.Join(err, g.Shutdown(context.Background(), 0))
	if len(refused) > 0 {
		return problems(refused)
	}
	return err
}
