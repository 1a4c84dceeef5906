package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-gateway/sluice/admin"
	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/config/source"
	"github.com/sluice-gateway/sluice/protocol/dubbo"
	"github.com/sluice-gateway/sluice/proxy"
)

func newRun() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Serve traffic by a configuration file",
		Long: `run serves until it is told to stop. A changed file is applied without losing a request; a file with mistakes is not,
and the log and /api/v1/status say so.

SIGHUP reads the file again and reopens the access log. SIGTERM and SIGINT stop gracefully.`,
		Args: cobra.NoArgs,
	}
	fileFlag(cmd, &file)
	logger := logFlag(cmd, "info")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := logger()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		doc, err := parse(file, data)
		if err != nil {
			return say(cmd, err, data)
		}
		p, err := start(doc, log)
		if err != nil {
			return say(cmd, err, data)
		}
		var tidying sync.WaitGroup
		tidying.Go(func() { tidyMemory(cmd.Context()) })
		defer tidying.Wait()
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, syscall.SIGHUP)
		defer signal.Stop(hup)
		p.follow(cmd.Context(), file, data, hup)
		return p.stop()
	}
	return cmd
}

// process is a running gateway with its management address.
type process struct {
	logger  *slog.Logger
	gateway *proxy.Gateway
	doc     *config.Document // in force
	admin   *admin.Server    // nil when it is off
}

// start serves by doc.
func start(doc *config.Document, logger *slog.Logger) (*process, error) {
	p := &process{logger: logger, gateway: proxy.New(proxy.Options{
		Components: components(), Logger: logger, Dubbo: &dubbo.MetadataFetcher{},
	})}
	if err := p.gateway.Start(doc); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	p.doc = doc
	if err := p.manage(doc.Admin.Address); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	logger.Info("serving", "version", version(), "listeners", listeners(doc), "admin", doc.Admin.Address, "routes", len(doc.Routes))
	return p, nil
}

func listeners(doc *config.Document) []string {
	var out []string
	for _, l := range doc.Listeners {
		out = append(out, l.Name+"="+l.Address)
	}
	return out
}

// manage opens the management address, and then closes the one before. If that fails the one before stays.
func (p *process) manage(address string) error {
	var fresh *admin.Server
	if address != "off" {
		var err error
		if fresh, err = admin.Listen(address, p.gateway, version(), p.logger); err != nil {
			return err
		}
	}
	old := p.admin
	p.admin = fresh
	if old == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := old.Shutdown(ctx); err != nil {
		p.logger.Warn("close management address", "error", err)
	}
	return nil
}

// follow applies the file's changes until ctx ends. data is what was applied already.
func (p *process) follow(ctx context.Context, file string, data []byte, hup <-chan os.Signal) {
	src := source.NewFile(file, func(err error) { p.logger.Warn("watch configuration", "file", file, "error", err) })
	var again atomic.Bool // the next push counts even if nothing has changed
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				p.logger.Info("SIGHUP: reading the configuration again")
				p.gateway.ReopenLogs()
				again.Store(true)
				src.Reload()
			}
		}
	})
	defer tasks.Wait()
	err := src.Run(ctx, func(fresh []byte) {
		if forced := again.Swap(false); !forced && bytes.Equal(fresh, data) {
			return
		}
		data = fresh
		p.reload(file, fresh)
	})
	if err != nil {
		p.logger.Error("the configuration file is not watched any more", "file", file, "error", err)
		<-ctx.Done()
	}
}

// reload applies a changed file, or says why not.
func (p *process) reload(file string, data []byte) {
	began := time.Now()
	parts := components()
	doc, mistakes := config.Parse(file, data, parts.Kinds())
	for _, m := range mistakes {
		p.logger.Error("mistake in the configuration", "at", m.Pos.String(), "path", m.Path, "problem", m.Message)
	}
	if doc == nil {
		p.gateway.Reject(mistakes)
		p.logger.Error("the configuration was not applied; the one before serves on", "file", file, "mistakes", len(mistakes))
		return
	}
	resolve(doc, file)
	parsed := time.Now()
	if err := p.gateway.Reload(doc); err != nil {
		p.logger.Error("the configuration was not applied; the one before serves on", "file", file, "error", err)
		return
	}
	if doc.Admin.Address != p.doc.Admin.Address {
		if err := p.manage(doc.Admin.Address); err != nil {
			p.logger.Error("the management address stays where it was", "error", err)
			doc.Admin = p.doc.Admin // so that the next reload tries again
		}
	}
	p.doc = doc
	st := p.gateway.Status()
	p.logger.Info("configuration applied", "file", file, "routes", len(st.Routes), "refused", len(st.Refused),
		"parse", parsed.Sub(began).String(), "apply", time.Since(parsed).String())
	for _, r := range st.Refused {
		p.logger.Error("route refused", "route", r.Name, "at", r.Pos.String(), "problem", r.Problems.Error())
	}
}

// stop ends gracefully within the document's grace.
func (p *process) stop() error {
	grace, delay := 5*time.Second, time.Duration(0)
	if p.doc != nil {
		grace, delay = p.doc.Shutdown.Grace, p.doc.Shutdown.Delay
		p.logger.Info("stopping", "grace", grace.String(), "delay", delay.String())
	}
	ctx, cancel := context.WithTimeout(context.Background(), delay+grace)
	defer cancel()
	err := p.gateway.Shutdown(ctx, delay)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("requests still ran after %v and were cut: %w", grace, err)
	}
	if p.admin != nil {
		err = errors.Join(err, p.admin.Shutdown(ctx))
	}
	return err
}
