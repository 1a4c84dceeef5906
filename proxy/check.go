package proxy

import (
	"context"
	"errors"
	"log/slog"

	"github.com/sluice-gateway/sluice/config"
)

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
