package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// begin serves one on a free port until the test ends.
func begin(t *testing.T, workers int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, address, newInstance(address, workers)) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return "http://" + address
		}
		if time.Now().After(end) {
			t.Fatal("it does not listen")
		}
	}
}

func get(t *testing.T, url, demand string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(demandHeader, demand)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

func TestModes(t *testing.T) {
	url := begin(t, 1)
	if code, body, err := get(t, url+"/x", "0"); code != 200 || !strings.HasSuffix(url, body) || err != nil {
		t.Errorf("%d %s %v", code, body, err)
	}
	tell := func(query string) {
		if code, _, err := get(t, url+control+query, ""); code != 200 || err != nil {
			t.Fatalf("%d %v", code, err)
		}
	}
	tell("?mode=fail")
	if code, _, err := get(t, url+"/x", "0"); code != 500 || err != nil {
		t.Errorf("told to fail: %d %v", code, err)
	}
	tell("?mode=reset")
	if code, _, err := get(t, url+"/x", "0"); err == nil {
		t.Errorf("told to hang up: %d", code)
	}
	tell("?mode=&slow=3")
	began := time.Now()
	if code, _, err := get(t, url+"/x", "20000"); code != 200 || err != nil {
		t.Errorf("%d %v", code, err)
	}
	if took := time.Since(began); took < 60*time.Millisecond {
		t.Errorf("20 ms of work took three times slower %v", took)
	}
	// A client may have sent the request that was reset once more.
	if _, body, _ := get(t, url+control, ""); !strings.Contains(body, `"received":4`) && !strings.Contains(body, `"received":5`) {
		t.Error(body)
	}
}

func TestQueues(t *testing.T) {
	url := begin(t, 2)
	began := time.Now()
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if code, _, err := get(t, url+"/x", "30000"); code != 200 || err != nil {
				t.Errorf("%d %v", code, err)
			}
		})
	}
	all.Wait()
	if took := time.Since(began); took < 90*time.Millisecond {
		t.Errorf("six requests of 30 ms took two workers %v", took)
	}
}
