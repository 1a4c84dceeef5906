package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/sluice-gateway/sluice/bench/account"
	"github.com/sluice-gateway/sluice/bench/peer"
	"github.com/sluice-gateway/sluice/bench/wrk"
)

// sample is what one round of load on one peer showed.
type sample struct {
	wrk.Result
	perRequest time.Duration // CPU time of the peer's process tree
	strangers  float64       // share of the machine that neither we nor idleness had
}

// round loads one peer, and compares its accounts before and after.
func (b *benchmark) round(ctx context.Context, p *peer.Peer, l wrk.Load, also ...*peer.Peer) (sample, error) {
	l.URL, l.Duration = p.URL(), time.Duration(b.seconds)*time.Second
	before, err := read(p, append(also, b.back))
	if err != nil {
		return sample{}, err
	}
	result, err := wrk.Run(ctx, b.dir, l)
	if err != nil {
		return sample{}, err
	}
	after, err := read(p, append(also, b.back))
	if err != nil {
		return sample{}, err
	}
	if result.Requests == 0 {
		return sample{}, fmt.Errorf("%s answered nothing", p.Kind.Name)
	}
	used := after.peer - before.peer
	return sample{
		Result:     result,
		perRequest: used / time.Duration(result.Requests),
		strangers:  account.Strangers(before.machine, after.machine, used+after.others-before.others+result.CPU),
	}, nil
}

// books are the accounts at one moment.
type books struct {
	peer, others time.Duration
	machine      account.Machine
}

func read(p *peer.Peer, others []*peer.Peer) (books, error) {
	var k books
	var err error
	if k.peer, err = account.CPU(p.Pid); err != nil {
		return k, err
	}
	for _, o := range others {
		cpu, err := account.CPU(o.Pid)
		if err != nil {
			return k, err
		}
		k.others += cpu
	}
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		return k, err
	}
	k.others += time.Duration(self.Utime.Nano() + self.Stime.Nano())
	k.machine, err = account.Whole()
	return k, err
}

// sideBySide loads all peers in turn, round after round, each round beginning with another one. Each is compared with
// nginx of the same round, so that a machine that drifts takes both along.
func (b *benchmark) sideBySide(ctx context.Context, title string, l wrk.Load) error {
	running, stop, err := b.startAll(ctx)
	if err != nil {
		return err
	}
	defer stop()
	resident := map[string]int64{}
	for _, p := range b.found {
		if _, err := b.round(ctx, running[p.Name], l); err != nil { // warm up; nothing is kept
			return err
		}
		g, err := account.Of(running[p.Name].Pid)
		if err != nil {
			return err
		}
		resident[p.Name] = g.RSS
	}
	samples := map[string][]sample{}
	for i := range b.rounds {
		for j := range b.found {
			p := b.found[(i+j)%len(b.found)]
			s, err := b.round(ctx, running[p.Name], l)
			if err != nil {
				return err
			}
			samples[p.Name] = append(samples[p.Name], s)
		}
		b.say("  round %d: %s", i+1, b.lastOf(samples))
	}
	b.report.sideBySide(title, b.names(), samples, resident)
	return nil
}

func (b *benchmark) names() []string {
	var names []string
	for _, p := range b.found {
		names = append(names, p.Name)
	}
	return names
}

func (b *benchmark) lastOf(samples map[string][]sample) string {
	text := ""
	for _, name := range b.names() {
		s := samples[name][len(samples[name])-1]
		text += fmt.Sprintf("%s %.1f µs (strangers %.0f %%)  ", name, micro(s.perRequest), 100*s.strangers)
	}
	return text
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func milli(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
