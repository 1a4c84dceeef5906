package conformance

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// stage is a scenario's place: a registry, a gateway that reads it over a link, a fleet of instances that come and go, and
// a constant load on them.
type stage struct {
	*testing.T
	bed     *bed
	link    *link
	fleet   *fleet
	gateway *gateway
	load    *load
	churn   func() // stops the coming and going
}

// size of the fleet.
const size = 5

// scenario is something that happens. run returns when it is over, at the moment from which recovery counts; zero when
// there was nothing to recover from.
type scenario struct {
	name string
	// brief says that the short form has it, and long that it has it only for servers that start quickly.
	brief, long bool
	run         func(*stage) time.Time
}

// scenarios in the order of the table.
func scenarios() []scenario {
	return []scenario{
		{"instances come and go", true, false, comeAndGo},
		{"rolling restart of all instances", false, false, rollingRestart},
		{"registry killed, started with its data", true, true, registryKilled},
		{"registry killed, an instance crashes meanwhile", false, false, instanceCrashes},
		{"registry started empty", true, true, registryEmpty},
		{"registry frozen for 20 s", false, false, registryFrozen},
		{"registry slow by 300 ms", false, false, registrySlow},
		{"cut off for 5 s", true, false, cutOff},
		{"packets vanish for 15 s", false, false, packetsVanish},
		{"connection flaps", false, false, connectionFlaps},
	}
}

// play runs one scenario: all requests must be answered, what changed must be followed, and the end must be noticed.
func play(t *testing.T, b *bed, s scenario) {
	st := setStage(t, b, "")
	began := time.Now()
	st.churn = st.fleet.churn(time.Second)
	st.sleep(2 * time.Second)
	over := s.run(st)
	r := result{recovered: -1}
	if !over.IsZero() {
		r.recovered = st.recovered(over)
	}
	st.sleep(3 * time.Second)
	st.calm()
	st.conclude(s.name, began, r)
}

// conclude ends the load, which must be without a failure, and notes what was measured.
func (st *stage) conclude(row string, began time.Time, r result) {
	st.Helper()
	st.load.wantNoFailure(st)
	r.requests, r.failed = st.load.total, len(st.load.failures)
	var what string
	r.stale, what = st.fleet.stale(began)
	st.Logf("slowest request %v; longest stale: %s", st.load.slowest.Round(time.Millisecond), what)
	results.note(st, "faults", row, st.bed.kind.name, r.String())
}

// setStage starts everything, with pairs more in the registry's section, and lets the load begin.
func setStage(t *testing.T, b *bed, more string) *stage {
	t.Helper()
	st := &stage{T: t, bed: b, link: b.link(t)}
	st.fleet = newFleet(t, b.writer, b.named("orders"), size)
	st.gateway = startGateway(t, st.document(more))
	st.gateway.untilReady()
	st.settled()
	st.load = st.gateway.load("/orders")
	return st
}

// document has one route for the fleet, and one for every service by its name.
func (st *stage) document(more string) string {
	return fmt.Sprintf(`
registries:
  - {name: reg, %s}
routes:
  - {name: orders, match: {path: "/orders"}, to: {service: %s, registry: reg, retries: {attempts: 3}}}
  - {name: any, match: {path: "/any/{service}"}, to: {service: "{service}", registry: reg}}
services:
  - {match: {service: "*"}, balance: {policy: roundRobin}}
`, st.bed.section(st.link.addresses, "")+more, st.fleet.service)
}

// calm ends the coming and going, and waits until the gateway knows all of it.
func (st *stage) calm() {
	st.Helper()
	st.churn()
	st.settled()
}

// sleep is the length of something, not a wait.
func (st *stage) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-st.Context().Done():
	}
}

func (st *stage) must(err error) {
	st.Helper()
	if err != nil {
		st.Fatal(err)
	}
}

// recovered lets an instance come, and measures from the end of the fault until it is asked.
func (st *stage) recovered(over time.Time) time.Duration {
	st.Helper()
	ctx, cancel := context.WithTimeout(st.Context(), patience)
	defer cancel()
	m, err := st.fleet.join(ctx)
	st.must(err)
	return max(0, st.fleet.untilAsked(m).Sub(over))
}

// settled waits until the gateway uses exactly who is registered.
func (st *stage) settled() {
	st.Helper()
	st.gateway.untilUses(st.fleet)
}

func comeAndGo(st *stage) time.Time {
	if full() {
		st.sleep(10 * time.Second)
	}
	return time.Time{}
}

// rollingRestart ends each instance and starts it again at the same address, one after the other, as deployments do.
func rollingRestart(st *stage) time.Time {
	st.calm()
	for _, m := range st.fleet.registered() {
		st.must(st.fleet.withdraw(st.Context(), m))
		st.sleep(grace / 2)
		m.close()
		b, err := serve(st, m.name+"-again", m.port)
		st.must(err)
		_, err = st.fleet.register(st.Context(), b)
		st.must(err)
	}
	return time.Time{}
}

// registryKilled: while the registry is away nothing changes for anybody.
func registryKilled(st *stage) time.Time {
	st.calm()
	st.bed.server.Kill()
	st.gateway.untilState("reg", "stale")
	st.sleep(2 * time.Second)
	st.must(st.bed.server.Restart())
	over := time.Now()
	if !st.bed.kind.has.keeps {
		st.must(st.bed.writer.renew(st.Context()))
		st.must(st.fleet.again(st.Context()))
	}
	return over
}

// instanceCrashes while nobody can tell the gateway so.
func instanceCrashes(st *stage) time.Time {
	st.calm()
	st.bed.server.Kill()
	st.gateway.untilState("reg", "stale")
	crashed := st.fleet.registered()[0]
	crashed.close()
	st.sleep(3 * time.Second)
	st.must(st.bed.server.Restart())
	over := time.Now()
	if !st.bed.kind.has.keeps {
		st.must(st.bed.writer.renew(st.Context()))
		st.must(st.fleet.again(st.Context()))
	}
	st.must(st.fleet.withdraw(st.Context(), crashed))
	return over
}

// registryEmpty: the registry is back at once and knows nobody, until everybody has registered again.
func registryEmpty(st *stage) time.Time {
	st.calm()
	st.must(st.bed.server.Wipe())
	st.gateway.untilState("reg", "live")
	st.sleep(5 * time.Second)
	st.must(st.bed.writer.renew(st.Context()))
	over := time.Now()
	st.must(st.fleet.again(st.Context()))
	return over
}

// registryFrozen: connections stay, nobody answers.
func registryFrozen(st *stage) time.Time {
	st.must(st.bed.server.Freeze())
	st.sleep(20 * time.Second)
	st.must(st.bed.server.Thaw())
	return time.Now()
}

func registrySlow(st *stage) time.Time {
	st.link.slow(300 * time.Millisecond)
	st.sleep(8 * time.Second)
	st.link.heal()
	return time.Now()
}

// cutOff: the registry is well and changes go on, but the gateway cannot know them.
func cutOff(st *stage) time.Time {
	return st.unknowing(st.link.cut, st.link.mend, 5*time.Second)
}

func packetsVanish(st *stage) time.Time {
	return st.unknowing(st.link.vanish, st.link.heal, 15*time.Second)
}

// unknowing replaces three of five instances while the gateway cannot know it. The two that stay could serve everything.
func (st *stage) unknowing(harm, end func(), length time.Duration) time.Time {
	st.calm()
	over := time.Now().Add(length)
	harm()
	st.must(st.fleet.turnover(st.Context()))
	st.sleep(time.Until(over))
	end()
	return time.Now()
}

// connectionFlaps gives nobody the time to connect, at times, while the fleet changes as it does in cutOff.
func connectionFlaps(st *stage) time.Time {
	st.calm()
	changed := make(chan error, 1)
	go func() { changed <- st.fleet.turnover(st.Context()) }()
	for range 20 {
		st.link.cut()
		st.sleep(200 * time.Millisecond)
		st.link.mend()
		st.sleep(300 * time.Millisecond)
	}
	over := time.Now()
	st.must(<-changed)
	return over
}
