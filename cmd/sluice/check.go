package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/proxy"
	"github.com/sluice-gateway/sluice/registry"
)

func newCheck() *cobra.Command {
	var file string
	var online bool
	var patience time.Duration
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Name every mistake of a configuration file",
		Long: `check reads a configuration as run does and names every mistake with its file, line and column. It exits with 1 if
there is any. Nothing is connected to, and no address is opened.

With --online each registry is connected to and asked for its services, and what is wrong with its address, its
credentials, its TLS or its namespace is named.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			doc, err := load(cmd, file)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: good: %d routes, %d registries, %d listeners\n",
				file, len(doc.Routes), len(doc.Registries), len(doc.Listeners))
			if err != nil || !online {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), patience)
			defer cancel()
			return checkOnline(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr(), doc)
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().BoolVar(&online, "online", false, "connect to each registry")
	cmd.Flags().DurationVar(&patience, "timeout", 10*time.Second, "how long a registry may take to answer, with --online")
	return cmd
}

func fileFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", "sluice.yaml", "the configuration file")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // only completion is lost
}

// load reads a configuration and proves that it can be built. All that is wrong is printed.
func load(cmd *cobra.Command, file string) (*config.Document, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	doc, err := parse(file, data)
	if err == nil {
		err = proxy.Check(components(), slog.New(slog.DiscardHandler), doc)
	}
	if err != nil {
		return nil, say(cmd, err, data)
	}
	return doc, nil
}

// parse reads a document; any mistake in it is an error.
func parse(file string, data []byte) (*config.Document, error) {
	parts := components()
	doc, mistakes := config.Parse(file, data, parts.Kinds())
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	resolve(doc, file)
	return doc, nil
}

// say prints what is wrong with a configuration.
func say(cmd *cobra.Command, err error, data []byte) error {
	_, _ = fmt.Fprint(cmd.ErrOrStderr(), explain(err, data))
	return errSaid
}

// explain shows mistakes with the lines they stand in.
func explain(err error, data []byte) string {
	var mistakes config.Problems
	if errors.As(err, &mistakes) {
		return mistakes.Excerpt(data) + "\n"
	}
	return "sluice: " + err.Error() + "\n"
}

// resolver is implemented by plug-ins with paths.
type resolver interface{ Resolve(folder string) }

// resolve makes relative paths count from the document, and not from where sluice was started.
func resolve(doc *config.Document, file string) {
	folder := filepath.Dir(file)
	for _, r := range doc.Registries {
		if p, ok := r.Config.(resolver); ok {
			p.Resolve(folder)
		}
	}
	registry.ResolvePath(&doc.LastKnownGood.Path, folder)
	for _, l := range doc.Listeners {
		if l.TLS == nil {
			continue
		}
		registry.ResolvePath(&l.TLS.ClientCA, folder)
		for i := range l.TLS.Certificates {
			registry.ResolvePath(&l.TLS.Certificates[i].Cert, folder)
			registry.ResolvePath(&l.TLS.Certificates[i].Key, folder)
		}
	}
	for i := range doc.Routes {
		if to := doc.Routes[i].To; to != nil && to.GRPC != nil {
			registry.ResolvePath(&to.GRPC.Descriptors, folder)
			registry.ResolvePath(&to.GRPC.Protos, folder)
		}
	}
	for i := range doc.Services {
		if t := doc.Services[i].TLS; t != nil {
			for _, path := range []*string{&t.CA, &t.Cert, &t.Key} {
				registry.ResolvePath(path, folder)
			}
		}
	}
}
