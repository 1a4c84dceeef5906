package balance

import (
	"testing"
	"time"
)

// TestHungInstance: an instance that was the fastest stops answering. What it had shown fades, and who asks for latency alone
// would think it fast for as long as the requests hang there.
func TestHungInstance(t *testing.T) {
	const ms = int64(time.Millisecond)
	targets := make([]Target, 10)
	for i := range targets {
		targets[i] = Target{Load: &Load{}, Weight: 1, ID: string(rune('a' + i))}
	}
	p, err := New(Config{}, targets, &Pool{})
	if err != nil {
		t.Fatal(err)
	}
	hung, now := 0, int64(time.Second)
	for i, x := range targets {
		took := 20 * ms
		if i == hung {
			took = 5 * ms
		}
		x.Load.Observe(now, took)
	}
	late := 0
	for end := now + 10*int64(time.Second); now < end; now += ms {
		i := p.Pick(Choice{Now: now})
		load := targets[i].Load
		load.Begin()
		load.Wait(now)
		if i == hung {
			if now > int64(time.Second)+100*ms {
				late++
			}
			continue
		}
		load.Observe(now, 20*ms)
		load.Answered(now)
		load.End()
	}
	if late > 0 {
		t.Errorf("%d requests went to an instance that has been silent for a tenth of a second", late)
	}
}

func TestOverdue(t *testing.T) {
	var l Load
	check := func(now, want int64) {
		t.Helper()
		if got := l.overdue(now); got != want {
			t.Errorf("at %d overdue by %d, want %d", now, got, want)
		}
	}
	check(100, 0)
	l.Wait(100)
	check(130, 30)
	l.Wait(140) // the first has waited since 100
	check(150, 50)
	l.Answered(160) // one of the two is waiting still, and was there at 160
	check(170, 10)
	l.Answered(180)
	check(500, 0)
	l.Wait(600)
	check(605, 5)

	l.Observe(600, 1)
	if got := l.Latency(700); got != 100 {
		t.Errorf("latency %d while a request has been waiting for 100", got)
	}
}
