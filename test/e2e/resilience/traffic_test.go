package resilience

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// traffic is what clients ask for.
type traffic struct {
	paths []string // each gets every n-th request
	rate  float64  // requests a second; they come at random (a Poisson process)
	// mean is how much of a worker's time a request takes; it is random, too (exponential), and tail is the share of those
	// that take ten times as long.
	mean time.Duration
	tail float64
	// length is how long requests come, of which those of the first warmup are not counted. It ends earlier when the harm is
	// done, if untilDone is set.
	length, warmup time.Duration
	untilDone      bool
}

// quick is traffic that hardly anybody waits for: what fails is told by it.
func quick(length time.Duration) traffic {
	return traffic{paths: []string{"/plain", "/retried"}, rate: either(200.0, 300), mean: 10 * time.Millisecond, length: length}
}

// heavy is traffic that takes a share of what so many instances can do. Every hundredth request takes ten times as long.
func heavy(instances, load float64, length time.Duration) traffic {
	const tail = 0.01
	rate := either(300.0, 360)
	mean := load * instances * float64(workers()) / (rate * (1 + 9*tail))
	return traffic{
		paths: []string{"/patient"}, rate: rate, mean: time.Duration(mean * float64(time.Second)), tail: tail,
		length: length, warmup: length / 5,
	}
}

// sample is what became of one request.
type sample struct {
	path int
	at   time.Duration // since the traffic began
	took time.Duration // since the moment at which it was to be sent
	by   string        // the instance that answered
	what string        // went wrong; "" if nothing did
}

// outcome is what became of all.
type outcome struct{ samples []sample }

// clientTimeout is when clients give up.
const clientTimeout = 10 * time.Second

// run sends the traffic, and does harm meanwhile. The harm's context ends with the traffic.
func (tr traffic) run(t testing.TB, url string, harm func(ctx context.Context) error) outcome {
	t.Helper()
	transport := &http.Transport{MaxIdleConns: 4096, MaxIdleConnsPerHost: 4096, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: clientTimeout}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var harmed sync.WaitGroup
	var done atomic.Bool
	if harm != nil {
		harmed.Go(func() {
			if err := harm(ctx); err != nil {
				t.Error(err)
			}
			done.Store(true)
		})
	}
	began := time.Now()
	var samples []sample
	random := rand.New(rand.NewPCG(7, 20))
	var mu sync.Mutex
	var answered sync.WaitGroup
	at := time.Duration(0)
	for n := 0; ; n++ {
		at += time.Duration(random.ExpFloat64() / tr.rate * float64(time.Second))
		demand := time.Duration(random.ExpFloat64() * float64(tr.mean))
		if random.Float64() < tr.tail {
			demand *= 10
		}
		if at > tr.length || tr.untilDone && done.Load() {
			break
		}
		time.Sleep(time.Until(began.Add(at)))
		s := sample{path: n % len(tr.paths), at: at}
		answered.Go(func() {
			s.by, s.what = ask(client, url+tr.paths[s.path], demand)
			s.took = time.Since(began.Add(s.at))
			if s.at >= tr.warmup {
				mu.Lock()
				samples = append(samples, s)
				mu.Unlock()
			}
		})
	}
	cancel()
	harmed.Wait()
	answered.Wait()
	return outcome{samples}
}

func ask(client *http.Client, url string, demand time.Duration) (by, wrong string) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err.Error()
	}
	req.Header.Set("X-Demand", strconv.FormatInt(demand.Microseconds(), 10))
	resp, err := client.Do(req)
	if err != nil {
		return "", err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err.Error()
	}
	if resp.StatusCode != http.StatusOK {
		return string(body), fmt.Sprintf("%d %.200s", resp.StatusCode, body)
	}
	return string(body), ""
}

// failed is how many requests of a path went wrong, of how many.
func (o outcome) failed(path int) (failed, of int) {
	for _, s := range o.samples {
		if s.path == path {
			of++
			if s.what != "" {
				failed++
			}
		}
	}
	return failed, of
}

// percentile of the time that good answers took.
func (o outcome) percentile(p float64) time.Duration {
	var took []time.Duration
	for _, s := range o.samples {
		if s.what == "" {
			took = append(took, s.took)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[min(len(took)-1, int(p*float64(len(took))))]
}

// share of the good answers that an instance gave.
func (o outcome) share(address string) float64 {
	by, all := 0, 0
	for _, s := range o.samples {
		if s.what == "" {
			all++
			if s.by == address {
				by++
			}
		}
	}
	return float64(by) / float64(max(all, 1))
}

func (o outcome) String() string {
	first, ofFirst := o.failed(0)
	text := fmt.Sprintf("%d of %d failed", first, ofFirst)
	if second, ofSecond := o.failed(1); ofSecond > 0 {
		text += fmt.Sprintf(", and %d of %d of those by the second path", second, ofSecond)
	}
	return text + fmt.Sprintf("; p50 %v, p99 %v", o.percentile(0.5).Round(time.Millisecond), o.percentile(0.99).Round(time.Millisecond))
}

// tell shows what went wrong first.
func (o outcome) tell(t testing.TB, path int) {
	t.Helper()
	told := 0
	for _, s := range o.samples {
		if s.path == path && s.what != "" && told < 5 {
			told++
			t.Logf("sent at %v, failed after %v: %s", s.at.Round(time.Millisecond), s.took.Round(time.Millisecond), s.what)
		}
	}
}
