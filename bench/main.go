// Command bench measures Sluice side by side with its peers, on one machine and in one run, and prints a table: CPU time
// per request, memory, latency, the time a start or a reload takes. README.md tells the method.
//
//	go run ./bench            everything, some 15 minutes
//	go run ./bench -short     nginx and Sluice, under two minutes
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sluice-gateway/sluice/bench/peer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options of one run.
type options struct {
	peers   []string
	cases   []string
	rounds  int
	seconds int
	routes  int
	sluice  string // a built program; "" builds one
	short   bool
	out     string
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	peers := flags.String("peers", "nginx,haproxy,envoy,reverseproxy,sluice", "who is measured; nginx is what the others are compared with")
	cases := flags.String("cases", strings.Join(caseNames(), ","), "what is measured")
	flags.IntVar(&o.rounds, "rounds", 7, "rounds of load on each peer; the median counts")
	flags.IntVar(&o.seconds, "seconds", 3, "length of one round of load")
	flags.IntVar(&o.routes, "routes", 10_000, "routes of Sluice")
	flags.StringVar(&o.sluice, "sluice", "", "the program to measure; without it one is built from this checkout")
	flags.BoolVar(&o.short, "short", false, "nginx and Sluice, GET, POST, 1 MB, idle, start and reload, three rounds")
	flags.StringVar(&o.out, "out", "", "file that the report is written to, beside standard output")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.peers, o.cases = strings.Split(*peers, ","), strings.Split(*cases, ",")
	if o.short {
		set := map[string]bool{}
		flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
		o.shorten(set)
	}
	for _, name := range o.cases {
		if !slices.Contains(caseNames(), name) {
			return o, fmt.Errorf("-cases: there is no %q, only %s", name, strings.Join(caseNames(), ", "))
		}
	}
	for _, name := range o.peers {
		if !slices.ContainsFunc(kinds(o), func(k peer.Kind) bool { return k.Name == name }) {
			return o, fmt.Errorf("-peers: there is no %q", name)
		}
	}
	return o, nil
}

// shorten is what -short means for whatever was not set by a flag of its own.
func (o *options) shorten(set map[string]bool) {
	if !set["peers"] {
		o.peers = []string{"nginx", "sluice"}
	}
	if !set["cases"] {
		o.cases = []string{"get", "post", "big", "idle", "start", "reload"}
	}
	if !set["rounds"] {
		o.rounds = 3
	}
	if !set["seconds"] {
		o.seconds = 2
	}
}

func kinds(o options) []peer.Kind {
	return []peer.Kind{peer.Nginx(), peer.HAProxy(), peer.Envoy(), peer.ReverseProxy(), peer.Sluice(o.sluice, o.routes)}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 3 && args[0] == peer.ReverseProxyCommand {
		return peer.ServeReverseProxy(ctx, args[1], args[2])
	}
	o, err := parseOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	b, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	for _, c := range cases() {
		if !slices.Contains(o.cases, c.name) {
			continue
		}
		b.say("%s", c.name)
		if err := c.run(ctx, b); err != nil {
			if ctx.Err() != nil {
				return err
			}
			b.report.missing(c.name, err)
			b.say("%s: %v", c.name, err)
		}
	}
	text := b.report.markdown()
	fmt.Println(text)
	if o.out == "" {
		return nil
	}
	return os.WriteFile(o.out, []byte(text), 0o644)
}

// benchmark is one run: who is there, and what was found.
type benchmark struct {
	options
	cache  string // what is built or installed once
	dir    string // everything else; removed at the end
	found  []program
	back   *peer.Peer
	report *report
	began  time.Time
}

// program is a peer that can be started.
type program struct {
	peer.Kind
	path string
}

// prepare finds the peers and starts the backend.
func prepare(ctx context.Context, o options) (*benchmark, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	b := &benchmark{options: o, cache: filepath.Join(base, "sluice-bench"), began: time.Now()}
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "sluice-bench-"); err != nil {
		return nil, err
	}
	b.report = newReport(o)
	for _, k := range kinds(o) {
		if !slices.Contains(o.peers, k.Name) {
			continue
		}
		path, err := k.Find(ctx, b.cache)
		if err != nil {
			b.report.missing(k.Name, err)
			b.say("%s is left out: %v", k.Name, err)
			continue
		}
		b.found = append(b.found, program{k, path})
		b.report.version(k.Name, k.Version(ctx, path))
	}
	k := peer.Backend()
	path, err := k.Find(ctx, b.cache)
	if err == nil {
		b.back, _, err = peer.Start(ctx, k, path, filepath.Join(b.dir, "backend"), "", "/")
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *benchmark) close() {
	if b.back != nil {
		b.back.Stop()
	}
	_ = os.RemoveAll(b.dir)
}

// say tells whoever waits what is going on.
func (b *benchmark) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%5.0f s  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

func (b *benchmark) backend() string { return fmt.Sprintf("127.0.0.1:%d", b.back.Port) }

// get returns the program of a name.
func (b *benchmark) get(name string) (program, error) {
	i := slices.IndexFunc(b.found, func(p program) bool { return p.Name == name })
	if i < 0 {
		return program{}, fmt.Errorf("%s is not there", name)
	}
	return b.found[i], nil
}

// start starts one program before the backend.
func (b *benchmark) start(ctx context.Context, p program) (*peer.Peer, time.Duration, error) {
	dir, err := os.MkdirTemp(b.dir, p.Name+"-")
	if err != nil {
		return nil, 0, err
	}
	return peer.Start(ctx, p.Kind, p.path, dir, b.backend(), paths("/items/42")[0])
}

// startAll starts every program, and returns what stops them.
func (b *benchmark) startAll(ctx context.Context) (map[string]*peer.Peer, func(), error) {
	running := map[string]*peer.Peer{}
	stop := func() {
		for _, p := range running {
			p.Stop()
		}
	}
	for _, p := range b.found {
		r, _, err := b.start(ctx, p)
		if err != nil {
			stop()
			return nil, nil, err
		}
		running[p.Name] = r
	}
	return running, stop, nil
}

// wait lets time pass, unless the run is ended.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
