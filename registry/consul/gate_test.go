package consul

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// taken is how many seats are held.
func (g *gate) taken() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seats - g.free
}

// Ten watches share three seats for a while: never more than three wait at a time, each gets its turns, and those without a seat
// look every second.
func TestGateIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		g := newGate(3, func(int, time.Duration) { told++ })
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		var mu sync.Mutex
		long, short := make([]int, 10), make([]int, 10)
		holding, most := 0, 0
		var all sync.WaitGroup
		for n := range 10 {
			all.Go(func() {
				s := g.seat()
				defer s.leave()
				last := time.Now()
				for {
					blocking, err := s.wait(ctx, last)
					if err != nil {
						return
					}
					last = time.Now()
					if !blocking {
						mu.Lock()
						short[n]++
						mu.Unlock()
						continue
					}
					mu.Lock()
					long[n]++
					holding++
					most = max(most, holding)
					mu.Unlock()
					sleep(ctx, 4*time.Second) // the blocking query
					last = time.Now()
					mu.Lock()
					holding--
					mu.Unlock()
					s.pass()
				}
			})
		}
		all.Wait()
		if most != 3 || told != 1 {
			t.Errorf("%d at a time, told %d times", most, told)
		}
		for n := range 10 { // 120 s x 3 seats / 4 s / 10 = 9 turns; the other 84 s it looks every second
			if long[n] < 7 || long[n] > 11 || short[n] < 70 {
				t.Errorf("watch %d: %d turns, %d looks", n, long[n], short[n])
			}
		}
		if g.taken() != 0 || len(g.line) != 0 || g.users != 0 {
			t.Errorf("left behind: %+v", g)
		}
	})
}

// Alone, a watch keeps its seat.
func TestGateWithoutAnybodyElse(t *testing.T) {
	g := newGate(1, nil)
	s := g.seat()
	for range 3 {
		if blocking, err := s.wait(t.Context(), time.Now()); !blocking || err != nil {
			t.Fatal(blocking, err)
		}
		s.pass()
		if g.taken() != 1 {
			t.Error("it gave its seat away to nobody")
		}
	}
	s.leave()
	if g.taken() != 0 {
		t.Error("the seat is lost")
	}
}

func TestGateShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(10, nil)
		var seats []*seat
		for range 10 {
			s := g.seat()
			if blocking, _ := s.wait(t.Context(), time.Now()); !blocking {
				t.Fatal("no seat")
			}
			seats = append(seats, s)
		}
		for range 5 { // refused together
			g.shrink()
		}
		if g.seats != 8 {
			t.Errorf("%d seats", g.seats)
		}
		seats[0].pass() // one too many holds a seat: it is not handed on
		if blocking, err := seats[0].wait(t.Context(), time.Now()); blocking || err != nil {
			t.Error("the seat that was taken away was handed out")
		}
		for range 20 {
			time.Sleep(time.Second)
			g.shrink()
		}
		if g.seats != 1 {
			t.Errorf("%d seats are left", g.seats)
		}
		for _, s := range seats {
			s.leave()
		}
		if g.free != 1 || len(g.line) != 0 {
			t.Errorf("%d free, %d waiting", g.free, len(g.line))
		}
	})
}

// Seats and places in the line come back however a watch ends.
func TestGateLosesNoSeat(t *testing.T) {
	g := newGate(2, nil)
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			for round := range 200 {
				s := g.seat()
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration((n+round)%3)*50*time.Microsecond)
				if blocking, err := s.wait(ctx, time.Now()); err == nil && blocking && round%2 == 0 {
					s.pass()
				}
				s.leave()
				cancel()
			}
		})
	}
	all.Wait()
	if g.free != 2 || len(g.line) != 0 || g.users != 0 {
		t.Errorf("%d free, %d waiting, %d users", g.free, len(g.line), g.users)
	}
}

func TestSlotsShrink(t *testing.T) {
	s := newSlots(16)
	for range 14 {
		must(t, s.take(t.Context()))
	}
	for range 20 {
		s.shrink()
	}
	if s.all != 2 || s.owed != 12 || len(s.free) != 0 {
		t.Errorf("%d, %d owed, %d free", s.all, s.owed, len(s.free))
	}
	for range 14 {
		s.give()
	}
	if s.owed != 0 || len(s.free) != 2 {
		t.Errorf("%d owed, %d free", s.owed, len(s.free))
	}
	must(t, s.take(t.Context()))
	must(t, s.take(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if s.take(ctx) == nil {
		t.Error("a third one")
	}
}
