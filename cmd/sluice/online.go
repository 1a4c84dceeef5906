package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol/dubbo"
	"github.com/sluice-gateway/sluice/proxy"
)

// checkOnline connects to the registries of a document, all at once, and says of each whether it can be used.
func checkOnline(ctx context.Context, out, mistakes io.Writer, doc *config.Document) error {
	results, err := proxy.CheckRegistries(ctx, slog.New(slog.DiscardHandler), doc, &dubbo.MetadataFetcher{})
	if err != nil {
		return err
	}
	bad := false
	for _, r := range results {
		if r.Err == nil {
			_, err = fmt.Fprintf(out, "registry %s: good\n", r.Name)
		} else {
			bad = true
			_, err = fmt.Fprintf(mistakes, "%s: registry %s: %v\n", r.Pos, r.Name, r.Err)
		}
		if err != nil {
			return err
		}
	}
	if bad {
		return errSaid
	}
	return nil
}
