package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gateway/sluice/registry/dubbo"
)

// clockedAsker answers as told, and notes when it was asked.
type clockedAsker struct {
	mu     sync.Mutex
	began  time.Time
	asked  []string // "100ms address"
	answer func(ctx context.Context, address string) ([]byte, error)
}

func (a *clockedAsker) FetchMetadata(ctx context.Context, _, address, _, _ string) ([]byte, error) {
	a.mu.Lock()
	a.asked = append(a.asked, fmt.Sprintf("%v %s", time.Since(a.began), address))
	a.mu.Unlock()
	return a.answer(ctx, address)
}

func (a *clockedAsker) log() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.asked, ", ")
}

// reset starts the log and its clock anew.
func (a *clockedAsker) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.began, a.asked = time.Now(), nil
}

func refusing(context.Context, string) ([]byte, error) { return nil, errors.New("refused") }

// store is a metadata store without a server, whose time is faked; a revision is then learned from instances alone.
func store(t *testing.T, answer func(context.Context, string) ([]byte, error)) (*metadataStore, *clockedAsker, *[]string) {
	a := &clockedAsker{began: time.Now(), answer: answer}
	var mu sync.Mutex
	complaints := &[]string{}
	m := newMetadataStore("/dubbo", newTree(), a, func(err error) {
		mu.Lock()
		defer mu.Unlock()
		*complaints = append(*complaints, err.Error())
	})
	ctx, cancel := context.WithCancel(t.Context())
	m.start(ctx)
	t.Cleanup(func() { cancel(); m.stop() })
	return m, a, complaints
}

func follow(m *metadataStore) (*follower, bell) {
	wake := newBell()
	return m.tree.join(wake.ring), wake
}

func hosts(names ...string) []dubbo.Source {
	all := make([]dubbo.Source, len(names))
	for n, name := range names {
		all[n] = dubbo.Source{Protocol: "dubbo", Address: name}
	}
	return all
}

var r1 = revision{app: "app", id: "r1"}

func TestManyFollowersAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a, _ := store(t, func(context.Context, string) ([]byte, error) {
			time.Sleep(time.Second)
			return []byte(metadataInfo("app", "r1", "a.S:dubbo=1")), nil
		})
		followers, wakes := make([]*follower, 50), make([]bell, 50)
		for n := range followers {
			followers[n], wakes[n] = follow(m)
			m.want(followers[n], r1, hosts("h1", "h2"))
		}
		for _, wake := range wakes {
			<-wake
		}
		i, tried := m.want(followers[0], r1, nil)
		<-tried
		if services, known, err := m.state(i); !known || err != nil || len(services) != 1 {
			t.Errorf("%v %v %v", services, known, err)
		}
		if got := a.log(); got != "0s h2" {
			t.Errorf("asked %s", got)
		}
	})
}

// Attempts wait longer and longer, ask three instances each, and not the same three again.
func TestAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a, complaints := store(t, refusing)
		f, wake := follow(m)
		m.want(f, r1, hosts("h1", "h2", "h3", "h4"))
		time.Sleep(time.Second)
		synctest.Wait()
		want := "0s h4, 0s h3, 0s h2, 100ms h1, 100ms h4, 100ms h3, 300ms h2, 300ms h1, 300ms h4, 700ms h3, 700ms h2, 700ms h1"
		if got := a.log(); got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
		if len(*complaints) != 4 || (*complaints)[0] != "metadata of app, revision r1: ask dubbo://h2: refused" {
			t.Errorf("%q", *complaints)
		}
		<-wake // told once that it is not to be had
		select {
		case <-wake:
			t.Error("woken again for nothing")
		default:
		}
		a.reset()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := strings.Count(a.log(), ", ") + 1; n < 3*19 || n > 3*26 {
			t.Errorf("%d questions in ten minutes, want three every 30 s at last", n)
		}
	})
}

func TestNewCandidateIsAskedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a, _ := store(t, func(_ context.Context, address string) ([]byte, error) {
			if address != "good" {
				return nil, errors.New("refused")
			}
			return []byte(`{"services":{}}`), nil
		})
		f, _ := follow(m)
		m.want(f, r1, hosts("bad"))
		time.Sleep(time.Hour)
		a.reset()
		m.want(f, r1, hosts("bad")) // nothing new
		synctest.Wait()
		if got := a.log(); got != "" {
			t.Errorf("asked %s", got)
		}
		i, _ := m.want(f, r1, hosts("bad", "good"))
		synctest.Wait()
		if _, known, err := m.state(i); !known || a.log() != "0s good" {
			t.Errorf("known %v (%v) after %s", known, err, a.log())
		}
	})
}

// An instance that never answers holds up an attempt for three seconds, and nothing else.
func TestSilentInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _, _ := store(t, func(ctx context.Context, address string) ([]byte, error) {
			if address == "silent" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return []byte(`{"services":{}}`), nil
		})
		f, _ := follow(m)
		began := time.Now()
		_, first := m.want(f, r1, hosts("good", "silent"))
		_, other := m.want(f, revision{app: "other", id: "x"}, hosts("good"))
		<-other
		if d := time.Since(began); d != 0 {
			t.Errorf("the other one took %v", d)
		}
		<-first
		if d := time.Since(began); d != fetchTimeout {
			t.Errorf("took %v", d)
		}
	})
}

func TestNobodyWantsItAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a, _ := store(t, refusing)
		f, _ := follow(m)
		m.want(f, r1, hosts("h"))
		synctest.Wait()
		m.unwant(f, swap(&f.wanted, nil))
		time.Sleep(time.Minute)
		before := a.log()
		time.Sleep(time.Hour)
		if got := a.log(); got != before {
			t.Errorf("asked on: %s", got)
		}
		m.want(f, revision{app: "other", id: "x"}, nil) // at which what is idle for long is forgotten
		m.mu.Lock()
		_, there := m.infos[r1]
		m.mu.Unlock()
		if there {
			t.Error("not forgotten")
		}
		// Wanted again, it is asked for again.
		a.reset()
		m.want(f, r1, hosts("h"))
		synctest.Wait()
		if got := a.log(); got != "0s h" {
			t.Errorf("asked %q", got)
		}
	})
}

func TestBadAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _, complaints := store(t, func(context.Context, string) ([]byte, error) { return []byte("<html>"), nil })
		f, _ := follow(m)
		i, tried := m.want(f, r1, hosts("h"))
		<-tried
		if _, known, err := m.state(i); known || !strings.Contains(err.Error(), "ask dubbo://h: not a MetadataInfo") {
			t.Errorf("%v %v", known, err)
		}
		_, tried = m.want(f, revision{app: "app", id: "a/../b"}, nil)
		<-tried
		synctest.Wait()
		if !slices.ContainsFunc(*complaints, func(s string) bool { return strings.Contains(s, "revision a/../b") }) {
			t.Errorf("%q", *complaints)
		}
	})
}

func TestCandidatesAreBounded(t *testing.T) {
	i := &info{kick: newBell()}
	var many []dubbo.Source
	for n := range 10_000 {
		many = append(many, dubbo.Source{Protocol: "dubbo", Address: fmt.Sprint(n)})
	}
	i.offer(many)
	if len(i.asked) != candidatesKept {
		t.Errorf("%d kept", len(i.asked))
	}
	i.offer(many[5:6])
	if len(i.asked) != 1 || i.asked[0] != many[5] {
		t.Errorf("%v kept of those that are gone", i.asked)
	}
}
