package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// What tests and instances agree on.
const (
	// demandHeader says how many microseconds of a worker's time a request takes.
	demandHeader = "X-Demand"
	// control is where an instance is told how to behave, and asked what it has seen. It does not count as a request.
	control = "/control"
)

// instance is the handler.
type instance struct {
	name    string
	workers chan struct{}

	received atomic.Uint64
	mode     atomic.Value  // string: "", "fail" or "reset"
	slowness atomic.Uint64 // float64 bits
}

func newInstance(name string, workers int) *instance {
	i := &instance{name: name, workers: make(chan struct{}, workers)}
	i.behave("", 1)
	return i
}

func (i *instance) behave(mode string, slowness float64) {
	i.mode.Store(mode)
	i.slowness.Store(math.Float64bits(slowness))
}

// ServeHTTP implements http.Handler.
func (i *instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == control {
		i.control(w, r)
		return
	}
	i.received.Add(1)
	switch i.mode.Load() {
	case "fail":
		http.Error(w, i.name, http.StatusInternalServerError)
	case "reset":
		reset(w)
	default:
		i.work(w, r)
	}
}

// work waits for a worker, and keeps it as long as the request takes.
func (i *instance) work(w http.ResponseWriter, r *http.Request) {
	demand, err := strconv.ParseFloat(r.Header.Get(demandHeader), 64)
	if err != nil {
		demand = 0
	}
	select {
	case i.workers <- struct{}{}:
	case <-r.Context().Done(): // the client has given up
		return
	}
	// A worker that has begun ends, as in most servers: nobody tells it that the client has left.
	time.Sleep(time.Duration(demand * math.Float64frombits(i.slowness.Load()) * float64(time.Microsecond)))
	<-i.workers
	_, _ = fmt.Fprint(w, i.name)
}

// reset ends the connection without a word, and without its polite end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// control sets mode and slowness where the query has them, and tells how many requests have come.
func (i *instance) control(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Has("mode") {
		slowness, err := strconv.ParseFloat(q.Get("slow"), 64)
		if err != nil {
			slowness = 1
		}
		i.behave(q.Get("mode"), slowness)
	}
	_ = json.NewEncoder(w).Encode(map[string]uint64{"received": i.received.Load()})
}
