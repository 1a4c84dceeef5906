package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sluice-gateway/sluice/bench/peer"
	"github.com/sluice-gateway/sluice/bench/wrk"
)

// reloads is how often the document is replaced under load.
const reloads = 5

// reload replaces a document of 10,000 routes, every one of them changed, while 64 connections are busy.
func reload(ctx context.Context, b *benchmark) error {
	p, err := b.get("sluice")
	if err != nil {
		return err
	}
	running, _, err := b.start(ctx, p)
	if err != nil {
		return err
	}
	defer running.Stop()

	type outcome struct {
		result wrk.Result
		err    error
	}
	loaded := make(chan outcome, 1)
	go func() {
		r, err := wrk.Run(ctx, b.dir, wrk.Load{
			URL: running.URL(), Paths: paths("/items/42"), Connections: 64, Duration: (2*reloads + 2) * time.Second,
		})
		loaded <- outcome{r, err}
	}()
	var seen []float64
	for i := range reloads {
		if err := wait(ctx, time.Second); err != nil {
			return err
		}
		took, err := b.replace(ctx, running, fmt.Sprintf("tag%d", i))
		if err != nil {
			return err
		}
		seen = append(seen, milli(took))
	}
	load := <-loaded
	if load.err != nil {
		return load.err
	}
	parse, apply, err := applied(filepath.Join(running.Dir, "log"))
	if err != nil {
		return err
	}
	if len(apply) < reloads {
		return fmt.Errorf("the log tells of %d reloads, not of %d", len(apply), reloads)
	}
	of := func(v []float64) string {
		return fmt.Sprintf("%.0f (%.0f-%.0f)", median(v), slices.Min(v), slices.Max(v))
	}
	row := []string{fmt.Sprintf("sluice, %d routes", b.routes), of(parse), of(apply), of(seen),
		fmt.Sprint(load.result.Requests), fmt.Sprint(load.result.Errors.Sum())}
	b.say("  %v", row)
	b.report.section("Reload under load", []string{"", "parse ms", "apply ms", "file written to first answer by it, ms", "requests meanwhile", "failed"}, [][]string{row},
		fmt.Sprintf("%d reloads, each of which changes two filters of every route; 64 connections are busy, so both cores are. Median (least-most). "+
			"Parsing and checking takes no request's place; applying is building the new plan and putting it in force, in the log line \"configuration applied\".", reloads))
	return nil
}

// replace puts another document in place and waits until an answer shows it.
func (b *benchmark) replace(ctx context.Context, p *peer.Peer, tag string) (time.Duration, error) {
	file := filepath.Join(p.Dir, "sluice.yaml")
	fresh := file + ".new"
	if err := os.WriteFile(fresh, peer.SluiceConfig(p.Port, b.backend(), b.routes, tag), 0o644); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := os.Rename(fresh, file); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL()+paths("/items/42")[0], http.NoBody)
		if err != nil {
			return 0, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, fmt.Errorf("wait for the document %s: %w", tag, err)
		}
		resp.Body.Close()
		if resp.Header.Get("X-Served-By") == tag {
			return time.Since(began), nil
		}
		if err := wait(ctx, time.Millisecond); err != nil {
			return 0, errors.Join(errors.New("wait for the document "+tag), err)
		}
	}
}

// applied reads from a log how long each reload took, in milliseconds.
func applied(log string) (parse, apply []float64, err error) {
	data, err := os.ReadFile(log)
	if err != nil {
		return nil, nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		var l struct {
			Msg   string `json:"msg"`
			Parse string `json:"parse"`
			Apply string `json:"apply"`
		}
		if json.Unmarshal(lines.Bytes(), &l) != nil || l.Msg != "configuration applied" {
			continue
		}
		p, err1 := time.ParseDuration(l.Parse)
		a, err2 := time.ParseDuration(l.Apply)
		if err := errors.Join(err1, err2); err != nil {
			return nil, nil, fmt.Errorf("read the log of reloads: %w", err)
		}
		parse, apply = append(parse, milli(p)), append(apply, milli(a))
	}
	return parse, apply, lines.Err()
}
