// Command sluice is the gateway: it exposes the services of registries as HTTP.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal does not wait for the grace of the first
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute runs one command line and returns the exit status: 0, or 1 for anything that went wrong.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		if !errors.Is(err, errSaid) {
			_, _ = fmt.Fprintln(stderr, "sluice: "+err.Error())
		}
		return 1
	}
	return 0
}

// errSaid ends a command whose trouble has been printed already.
var errSaid = errors.New("said already")

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "sluice",
		Short:         "A microservice gateway for Nacos, ZooKeeper, Consul and Eureka",
		Long:          "Sluice watches service registries, exposes the services behind them as plain HTTP, balances every\nrequest over their instances, and holds traffic inside flow-control rules.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(newRun(), newCheck(), newExplain(), newDemo(), newVersion())
	return root
}

// logFlag adds --log-level and returns a function that makes the logger once flags are parsed.
func logFlag(cmd *cobra.Command, preset string) func() (*slog.Logger, error) {
	level := cmd.Flags().String("log-level", preset, "least level that is logged: debug, info, warn, error")
	return func() (*slog.Logger, error) {
		var l slog.Level
		if err := l.UnmarshalText([]byte(*level)); err != nil {
			return nil, fmt.Errorf("--log-level: %q is not debug, info, warn or error", *level)
		}
		return slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: l})), nil
	}
}
