package socket

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// countedConn counts how often the Parker lets it go.
type countedConn struct {
	*Conn
	woken, expired atomic.Int32
}

func (c *countedConn) Socket() *Conn { return c.Conn }
func (c *countedConn) Wake()         { c.woken.Add(1) }
func (c *countedConn) Expire()       { c.expired.Add(1) }
func (c *countedConn) gone() int32   { return c.woken.Load() + c.expired.Load() }

// TestParkerLetsGoOnce: data, an end, a limit, Flush and Close all meet, and each parked connection is let go exactly once.
func TestParkerLetsGoOnce(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		p := newTestParker(t)
		r := rand.New(rand.NewPCG(uint64(round), 1))
		var conns []*countedConn
		var actors sync.WaitGroup
		for range 12 {
			ours, theirs := tcpPair(t)
			c := &countedConn{Conn: New(ours)}
			until := []int64{0, protocol.Now() + 1, protocol.Now() + int64(time.Hour)}[r.IntN(3)]
			if !p.Park(c, until) {
				t.Fatal("not parked")
			}
			conns = append(conns, c)
			switch r.IntN(3) {
			case 0:
				actors.Go(func() { _, _ = theirs.Write([]byte("x")) })
			case 1:
				actors.Go(func() { theirs.Close() })
			}
		}
		actors.Go(p.Flush)
		late, _ := tcpPair(t)
		after := &countedConn{Conn: New(late)}
		var parked bool
		actors.Go(func() { parked = p.Park(after, 0) })
		actors.Go(p.Close)
		actors.Wait()
		p.Close() // returns when the goroutine has ended: nobody is called after that
		for i, c := range conns {
			if c.gone() != 1 {
				t.Fatalf("round %d, connection %d: woken %d times, expired %d times", round, i, c.woken.Load(), c.expired.Load())
			}
		}
		if want := map[bool]int32{true: 1}[parked]; after.gone() != want {
			t.Fatalf("round %d: parked %v, let go %d times", round, parked, after.gone())
		}
		if p.Len() != 0 {
			t.Errorf("%d still counted", p.Len())
		}
	}
}

// TestParkingBackAndForth: a connection that is parked again and again by its Wake keeps its bytes, from many at once.
func TestParkingBackAndForth(t *testing.T) {
	p := newTestParker(t)
	var all sync.WaitGroup
	for range 8 {
		c, peer := newParked(t)
		all.Go(func() {
			for i := range 100 {
				if !p.Park(c, protocol.Now()+int64(patience)) {
					t.Error("not parked")
					return
				}
				if _, err := peer.Write([]byte{byte(i)}); err != nil {
					t.Error(err)
					return
				}
				<-c.woken
				var b [2]byte
				if n, err := c.Read(b[:], Within(patience)); n != 1 || err != nil || b[0] != byte(i) {
					t.Errorf("read %d: %d %v, want %d", n, b[0], err, i)
					return
				}
			}
		})
	}
	all.Wait()
	if p.Len() != 0 {
		t.Errorf("%d still parked", p.Len())
	}
}

// TestWhatCannotBeParked is handed back, and still works.
func TestWhatCannotBeParked(t *testing.T) {
	p := newTestParker(t)
	a, b := net.Pipe()
	defer b.Close()
	pipe := &countedConn{Conn: New(a)}
	if p.Park(pipe, 0) {
		t.Error("a pipe was parked")
	}
	go b.Write([]byte("x"))
	if n, err := pipe.Read(make([]byte, 1), Within(patience)); n != 1 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	a.Close()
	ours, _ := tcpPair(t)
	twice := &countedConn{Conn: New(ours)}
	if !p.Park(twice, 0) || p.Park(twice, 0) || p.Len() != 1 {
		t.Error("one connection was parked twice")
	}
}

// TestSlotsAgainstAList holds the Parker's book-keeping beside a plain sorted list.
func TestSlotsAgainstAList(t *testing.T) {
	type entry struct {
		slot  int32
		until int64
		item  Parked
	}
	r := rand.New(rand.NewPCG(1, 2))
	s := newSlots()
	var list []entry // in order of until, 0 last, equal ones as they came
	for step := range 20_000 {
		switch k := r.IntN(10); {
		case k < 5 && len(list) < 2000 || step < 1500:
			item := &countedConn{}
			until := r.Int64N(1000)
			i := s.add(item, until)
			at := len(list)
			for at > 0 && later(list[at-1].until, until) {
				at--
			}
			list = slices.Insert(list, at, entry{i, until, item})
		case k < 8 && len(list) > 0:
			at := r.IntN(len(list))
			if s.remove(list[at].slot) != list[at].item || s.remove(list[at].slot) != nil {
				t.Fatal("removed something else")
			}
			list = slices.Delete(list, at, at+1)
		case k == 8:
			now := r.Int64N(1000)
			got := s.expired(now)
			if len(list) > 0 && list[0].until != 0 && list[0].until <= now {
				if got != list[0].item {
					t.Fatalf("step %d: another one expired", step)
				}
				list = list[1:]
			} else if got != nil {
				t.Fatalf("step %d: expired before its time", step)
			}
		case r.IntN(200) == 0: // everybody leaves
			for _, e := range list {
				s.remove(e.slot)
			}
			list = nil
		}
		if s.n != len(list) || (s.first == noSlot) != (len(list) == 0) || (s.last == noSlot) != (len(list) == 0) {
			t.Fatalf("step %d: %d slots, want %d", step, s.n, len(list))
		}
	}
	for _, i := range []int32{noSlot, -7, int32(len(s.all)), 1 << 30} {
		if s.remove(i) != nil {
			t.Errorf("slot %d held something", i)
		}
	}
}

// TestSpliceSlowly moves a stream whose sender pauses and whose reader is slow, in calls of random lengths whose read limit
// passes again and again: every byte arrives once, in order.
func TestSpliceSlowly(t *testing.T) {
	src, dst, from, to := splicePair(t)
	r := rand.New(rand.NewPCG(1, 3))
	want := make([]byte, 5<<20)
	for i := range want {
		want[i] = byte(r.Uint32())
	}
	var ends sync.WaitGroup
	ends.Go(func() {
		pace := rand.New(rand.NewPCG(1, 4))
		for rest := want; len(rest) > 0; {
			k := min(len(rest), 1+pace.IntN(200<<10))
			if _, err := from.Write(rest[:k]); err != nil {
				t.Error(err)
				return
			}
			if rest = rest[k:]; pace.IntN(5) == 0 {
				time.Sleep(3 * time.Millisecond)
			}
		}
		from.Close()
	})
	got := &bytes.Buffer{}
	ends.Go(func() {
		pace := rand.New(rand.NewPCG(1, 5))
		for buf := make([]byte, 100<<10); ; {
			n, err := to.Read(buf[:1+pace.IntN(len(buf))])
			got.Write(buf[:n])
			if err != nil {
				return
			}
			if pace.IntN(20) == 0 {
				time.Sleep(2 * time.Millisecond)
			}
		}
	})
	var s Splicer
	total, ticks := int64(0), 0
	for {
		n, stalled, err := s.Splice(dst, src, 1+r.Int64N(600<<10), Within(time.Millisecond), Within(patience))
		total += n
		if err == io.EOF && stalled {
			break
		}
		if err != nil && (!stalled || !errors.Is(err, ErrTimeout)) {
			t.Fatalf("%v %v", stalled, err)
		}
		if err != nil {
			ticks++
		}
	}
	if err := dst.CloseWrite(); err != nil {
		t.Error(err)
	}
	ends.Wait()
	if total != int64(len(want)) || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%d of %d moved, %d arrived", total, len(want), got.Len())
	}
	t.Logf("%d ticks", ticks)
}

// TestSplicersPipesAreClean: after a splice that failed half way, the next one over the same Splicer moves its own bytes.
func TestSplicersPipesAreClean(t *testing.T) {
	var s Splicer
	for range 5 {
		src, dst, from, to := splicePair(t)
		to.(*net.TCPConn).SetLinger(0)
		to.Close()
		for end := time.Now().Add(patience); !dst.Gone() && time.Now().Before(end); {
		}
		if _, err := from.Write(bytes.Repeat([]byte("old"), 1000)); err != nil {
			t.Fatal(err)
		}
		if _, stalled, err := s.Splice(dst, src, 3000, Within(patience), Within(patience)); stalled || err == nil {
			t.Fatalf("%v %v", stalled, err)
		}
		src, dst, from, to = splicePair(t)
		go from.Write([]byte("new"))
		if n, _, err := s.Splice(dst, src, 3, Within(patience), Within(patience)); n != 3 || err != nil {
			t.Fatalf("%d %v", n, err)
		}
		p := make([]byte, 3)
		if _, err := io.ReadFull(to, p); string(p) != "new" {
			t.Fatalf("%q %v", p, err)
		}
	}
}

// TestSpliceAllocatesNothing once its pipe is there.
func TestSpliceAllocatesNothing(t *testing.T) {
	src, dst, from, to := splicePair(t)
	var s Splicer
	p := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() {
		from.Write(p)
		if n, _, err := s.Splice(dst, src, 100, Within(patience), Within(patience)); n != 100 || err != nil {
			t.Fatalf("%d %v", n, err)
		}
		io.ReadFull(to, p)
	}); n >= 1 && !protocol.Poisoning {
		t.Errorf("%v allocations", n)
	}
}
