package eureka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

const (
	// firstRetry is the pause after the first failure; it doubles up to the interval.
	firstRetry = 500 * time.Millisecond
	// fullOnly is the least interval when a server gives no changes: what Eureka's own client takes for everything.
	fullOnly = 30 * time.Second
	// settle is how long after a change everything is read once more. A server that is asked for changes in the moment in
	// which it writes one may keep its old answer, with its old hash, until the next write or for three minutes (a race in
	// its response cache), and nothing in the answer shows it.
	settle = 10 * time.Second
	// settleShare bounds what such readings take of the time.
	settleShare = 50
)

// poller asks the servers, one at a time, and keeps the client's store up to date. It belongs to Run's goroutine.
type poller struct {
	*client
	*transport
	at       int // the server that works, as far as is known
	in       *interner
	current  bool          // the store is what this server said, and its list of changes can follow on it
	asked    time.Time     // when the last answer was asked for
	full     time.Time     // when everything was read last
	took     time.Duration // that reading
	changed  time.Time     // when the last change came since then; zero when none has
	noDelta  bool          // the server gives no changes
	badHash  bool          // the server's hash is not that of its own list
	doubted  string        // the hash of the last changes that led nowhere
	failures int
}

// pause is the time from the beginning of a poll that was answered, or from the end of another, to the next.
func (p *poller) pause(err error) time.Duration {
	interval := p.client.config.Interval
	if err == nil {
		p.failures = 0
		if p.noDelta || p.badHash {
			return max(interval, fullOnly)
		}
		return interval
	}
	p.failures++
	return min(interval, firstRetry<<min(p.failures-1, 10))
}

// poll asks the server that worked last, then the others.
func (p *poller) poll(ctx context.Context) error {
	var errs []error
	for range p.servers {
		s := p.servers[p.at]
		err := p.ask(ctx, s)
		if err == nil || ctx.Err() != nil {
			return err
		}
		errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		// Another server's changes follow on another state, and a pause may be longer than this one's reach.
		p.current, p.noDelta, p.doubted = false, false, noHash
		p.at = (p.at + 1) % len(p.servers)
	}
	return errors.Join(errs...)
}

// ask brings the store up to date with one server.
func (p *poller) ask(ctx context.Context, s *server) error {
	now := time.Now()
	if p.current && !p.noDelta && !p.badHash && since(p.full) < p.client.config.FullInterval && !p.settled() && since(p.asked) < p.client.config.DeltaRetention/2 {
		err := p.delta(ctx, s)
		switch refused := (*statusError)(nil); {
		case err == nil:
			p.asked = now
			return nil
		case errors.As(err, &refused) && (refused.status == http.StatusForbidden || refused.status == http.StatusNotFound):
			p.noDelta = true // eureka.server.disable-delta
		case errors.Is(err, errAnswer), errors.Is(err, errHash):
		default:
			return err
		}
	}
	now = time.Now()
	if err := p.everything(ctx, s); err != nil {
		return err
	}
	p.current, p.asked, p.full, p.took, p.changed = true, now, now, time.Since(now), time.Time{}
	return nil
}

// settled reports whether a change is long enough ago to look whether it was the last.
func (p *poller) settled() bool {
	return !p.changed.IsZero() && since(p.changed) >= settle && since(p.full) >= max(settle, settleShare*p.took)
}

// since measures with both clocks: one of them stands still while the machine sleeps, the other may be set.
func since(t time.Time) time.Duration { return max(time.Since(t), time.Since(t.Round(0))) }

// errHash is why a list of changes was not applied.
var errHash = errors.New("the changes do not lead to the server's state")

// delta asks for what changed, and applies it when that leads to what the server has.
func (p *poller) delta(ctx context.Context, s *server) error {
	changes := map[string]change{}
	h, err := p.read(ctx, s, "/apps/delta", p.in, func(w *wire) {
		app := w.key(p.in)
		if changes[app] == nil {
			changes[app] = change{}
		}
		if w.action == "DELETED" {
			changes[app][w.identity()] = nil
			return
		}
		e := p.client.config.entry(w, p.in)
		changes[app][e.id] = e
	})
	if err != nil {
		return err
	}
	// Only this goroutine changes the store, so it may read it without the lock.
	u := p.store.plan(changes)
	if got := hashOf(u.counts); got != h.hash {
		if h.hash == p.doubted && since(p.full) < fullOnly {
			// Everything was read because of this already, and it was no better: the server's copies of the two lists are
			// of different moments. They are renewed every 30 s.
			return nil
		}
		p.doubted = h.hash
		return fmt.Errorf("%w: %.100q instead of %.100q", errHash, got, h.hash)
	}
	p.doubted = noHash
	if len(u.apps) > 0 {
		p.changed = time.Now()
	}
	p.answered(p.store, u)
	return nil
}

// noHash is what no server answers.
const noHash = "-"

// everything asks for the whole registry. A list whose hash says otherwise is asked for once more: it may have changed while
// it was written. The second one is taken and reported, unless it is empty.
func (p *poller) everything(ctx context.Context, s *server) error {
	st := p.store
	if st == nil {
		st = newStore()
	}
	for try := 1; ; try++ {
		in := newInterner()
		next := map[string]change{}
		h, err := p.read(ctx, s, "/apps", in, func(w *wire) {
			app := w.key(in)
			if next[app] == nil {
				next[app] = change{}
			}
			e := p.client.config.entry(w, in)
			next[app][e.id] = e
		})
		if err != nil {
			return err
		}
		u := st.replace(next)
		got := hashOf(u.counts)
		p.badHash = got != h.hash
		if p.badHash {
			err = fmt.Errorf("%w: it lists %.100q and calls it %.100q", errAnswer, cmp.Or(got, "nothing"), h.hash)
			if got == "" {
				return err
			}
			if try == 1 {
				continue
			}
		}
		p.in = in
		p.answered(st, u)
		if p.badHash {
			p.report(registry.Live, fmt.Errorf("%s: %w", s.name, err))
		}
		return nil
	}
}

// read asks for a list and decodes it.
func (p *poller) read(ctx context.Context, s *server, path string, in *interner, add func(*wire)) (h head, err error) {
	err = p.get(ctx, s, path, func(r io.Reader) error {
		d := &decoder{scanner: newScanner(r), in: in}
		h, err = d.answer(add)
		return err
	})
	return h, err
}
