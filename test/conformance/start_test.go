package conformance

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// TestRevoked takes the gateway's credentials away under load: what was known serves on, and status says what is wrong.
func TestRevoked(t *testing.T) {
	each(t, func(t *testing.T, k *kind) {
		if !k.has.revocable {
			t.Skip("its credentials cannot be revoked by a client")
		}
		b := k.secure(t)
		st := setStage(t, b.bed, b.good)
		began := time.Now()
		st.churn = st.fleet.churn(time.Second)
		st.sleep(2 * time.Second)
		st.calm()
		st.must(b.revoke())
		st.gateway.untilState("reg", "stale")
		st.sleep(3 * time.Second)
		for _, r := range st.gateway.status().Registries {
			t.Logf("status says: %s: %s", r.State, r.LastError)
			if r.LastError == "" {
				t.Error("status does not say why")
			}
		}
		st.conclude("token revoked", began, result{recovered: -1})
	})
}

// diskStart starts the gateway while its registry is down: what it knew the last time serves, and what the registry says
// when it is back counts.
func diskStart(t *testing.T, b *bed) {
	st := &stage{T: t, bed: b, link: b.link(t)}
	st.fleet = newFleet(t, b.writer, b.named("orders"), size)
	document := st.document("") + fmt.Sprintf("lastKnownGood: {path: %q, maxAge: 1h}\n", t.TempDir())

	st.gateway = startGateway(t, document)
	st.gateway.untilReady()
	st.settled()
	st.must(st.gateway.program.Stop())
	b.server.Kill()

	launched := time.Now()
	st.gateway = startGateway(t, document)
	var answer string
	until(t, "an answer from what is kept", func() string { return answer }, func() bool {
		code, body, err := st.gateway.get(t.Context(), "/orders")
		answer = fmt.Sprint(code, string(body), err)
		return code == http.StatusOK
	})
	t.Logf("served %v after the launch, with the registry down", time.Since(launched).Round(time.Millisecond))
	if state := st.gateway.state("reg"); state == "live" {
		t.Error("a registry that is down is called live")
	}
	st.load = st.gateway.load("/orders")
	began := time.Now()
	st.sleep(2 * time.Second)
	st.must(b.server.Restart())
	over := time.Now()
	if !b.kind.has.keeps {
		st.must(b.writer.renew(t.Context()))
		st.must(st.fleet.again(t.Context()))
	}
	r := result{recovered: st.recovered(over)}
	st.must(st.fleet.leave(t.Context(), st.fleet.registered()[0]))
	st.settled()
	st.sleep(grace)
	st.conclude("gateway started while the registry is down", began, r)
}

// TestMigration moves a service from one registry to another, instance by instance, under load: a merged registry knows
// both.
func TestMigration(t *testing.T) {
	t.Parallel()
	from, to := eurekaKind().shared(t), nacosKind().shared(t)
	to.prefix = from.prefix
	st := &stage{T: t, bed: from}
	st.fleet = newFleet(t, from.writer, from.named("orders"), size)
	st.gateway = startGateway(t, fmt.Sprintf(`
registries:
  - {name: old, %s}
  - {name: new, %s}
  - {name: both, type: merged, members: [new, old]}
routes:
  - {name: orders, match: {path: "/orders"}, to: {service: %s, registry: both, retries: {attempts: 3}}}
services:
  - {match: {service: "*"}, balance: {policy: roundRobin}}
`, from.section(from.addresses, ""), to.section(to.addresses, ""), st.fleet.service))
	st.gateway.untilReady()
	st.settled()
	st.load = st.gateway.load("/orders")
	began := time.Now()

	// Every second instance is known to both for a while, as when it runs an agent for each; the others are replaced.
	target := newFleet(t, to.writer, st.fleet.service, 0)
	for n, m := range st.fleet.registered() {
		if n%2 == 0 {
			_, err := target.register(t.Context(), m.backend)
			st.must(err)
			st.sleep(time.Second)
			st.must(st.fleet.withdraw(t.Context(), m))
		} else {
			_, err := target.join(t.Context())
			st.must(err)
			st.must(st.fleet.leave(t.Context(), m))
		}
		st.sleep(time.Second)
	}
	st.gateway.untilUses(target) // and nobody of the old registry
	st.sleep(grace)
	st.load.wantNoFailure(t)
	stale, what := target.stale(began)
	t.Logf("longest stale: %s", what)
	results.note(t, "migration", "Eureka to Nacos, instance by instance", "both",
		fmt.Sprintf("%d of %d failed; stale %s", len(st.load.failures), st.load.total, brisk(stale)))
}
