package socket

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// parkedConn reports what the Parker does with it.
type parkedConn struct {
	*Conn
	woken, expired chan struct{}
}

func (p *parkedConn) Socket() *Conn { return p.Conn }
func (p *parkedConn) Wake()         { p.woken <- struct{}{} }
func (p *parkedConn) Expire()       { p.expired <- struct{}{} }

func newParked(t testing.TB) (*parkedConn, net.Conn) {
	ours, theirs := tcpPair(t)
	return &parkedConn{New(ours), make(chan struct{}, 1), make(chan struct{}, 1)}, theirs
}

func newTestParker(t testing.TB) *Parker {
	p, err := NewParker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestParkedConnectionWakesOnDataAndEnd(t *testing.T) {
	p := newTestParker(t)
	c, peer := newParked(t)
	for i := range 3 { // parked again after each time
		if !p.Park(c, 0) || p.Len() != 1 {
			t.Fatal("not parked")
		}
		if i == 2 {
			peer.Close()
		} else {
			peer.Write([]byte("x"))
		}
		await(t, c.woken)
		if p.Len() != 0 {
			t.Error("still counted")
		}
		if i < 2 {
			if n, err := c.Read(make([]byte, 8), Limit{}); n != 1 || err != nil {
				t.Errorf("%d %v", n, err)
			}
		}
	}
}

// TestParkingForgetsDeadlines: the working state that is dropped at parking included what was armed.
func TestParkingForgetsDeadlines(t *testing.T) {
	p := newTestParker(t)
	c, peer := newParked(t)
	if _, err := c.Read(make([]byte, 1), Within(20*time.Millisecond)); !errors.Is(err, ErrTimeout) {
		t.Fatal(err)
	}
	p.Park(c, 0)
	peer.Write([]byte("x"))
	await(t, c.woken)
	for range 2 {
		if n, err := c.Read(make([]byte, 8), Limit{}); n != 1 || err != nil {
			t.Fatalf("%d %v", n, err)
		}
		go peer.Write([]byte("y"))
	}
	if _, err := c.Write([]byte("z"), Within(time.Second)); err != nil {
		t.Error(err)
	}
}

func TestParkedConnectionWithDataWakesAtOnce(t *testing.T) {
	p := newTestParker(t)
	c, peer := newParked(t)
	peer.Write([]byte("x"))
	waitReadable(t, c.Conn)
	if !p.Park(c, 0) {
		t.Fatal("not parked")
	}
	await(t, c.woken)
}

func TestParkedConnectionsExpireInOrder(t *testing.T) {
	p := newTestParker(t)
	now := protocol.Now()
	late, _ := newParked(t)
	soon, _ := newParked(t)
	never, _ := newParked(t)
	if !p.Park(never, 0) || !p.Park(late, now+int64(time.Hour)) || !p.Park(soon, now+int64(50*time.Millisecond)) {
		t.Fatal("not parked")
	}
	await(t, soon.expired)
	if p.Len() != 2 {
		t.Errorf("%d left", p.Len())
	}
	p.Close()
	await(t, late.expired)
	await(t, never.expired)
	if p.Park(soon, 0) {
		t.Error("parked after Close")
	}
}

func TestSlotsKeepOrder(t *testing.T) {
	s := newSlots()
	index := map[int64]int32{}
	for _, until := range []int64{5, 3, 9, 0, 7, 1, 0} {
		index[until] = s.add(&parkedConn{}, until)
	}
	if s.remove(index[7]) == nil || s.remove(index[7]) != nil {
		t.Error("removed not once")
	}
	s.add(&parkedConn{}, 8)
	var order []int64
	for i := s.first; i != noSlot; i = s.all[i].next {
		order = append(order, s.all[i].until)
	}
	want := []int64{1, 3, 5, 8, 9, 0, 0}
	for i := range want {
		if len(order) != len(want) || order[i] != want[i] {
			t.Fatalf("order %v, want %v", order, want)
		}
	}
	for n := 0; s.expired(8) != nil; n++ {
		if n == 4 {
			t.Fatal("too many expired")
		}
	}
	if s.n != 3 {
		t.Errorf("%d left", s.n)
	}
}
