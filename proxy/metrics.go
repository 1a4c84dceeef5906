package proxy

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-gateway/sluice/registry"
)

// Collector makes metrics out of a gateway's status when it is scraped: what changes rarely costs requests nothing.
type Collector struct {
	gateway *Gateway

	upRequests, upFailures, upInFlight, upLatency, instances *prometheus.Desc
	healthy, ejected, ejections, panicking, checks           *prometheus.Desc
	registryUp, registryAge, planAge, routes, refused        *prometheus.Desc
	registryInstances, registryServices, announced           *prometheus.Desc
	connections, parked, abused, dropped                     *prometheus.Desc
}

// NewCollector returns a prometheus.Collector over g.
func NewCollector(g *Gateway) *Collector {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_"+name, help, labels, nil)
	}
	instance := []string{"registry", "service", "instance"}
	return &Collector{
		gateway:           g,
		upRequests:        d("upstream_requests_total", "Requests sent to an instance, retries included.", instance...),
		upFailures:        d("upstream_failures_total", "Requests that an instance failed, or answered with 429 or a status from 500.", instance...),
		upInFlight:        d("upstream_requests_in_flight", "Requests that an instance has not answered whole.", instance...),
		upLatency:         d("upstream_latency_seconds", "Peak moving average of the time to an answer's head, as balancing sees it.", instance...),
		instances:         d("service_instances", "Instances of a service, by whether they may be picked.", "registry", "service", "state"),
		healthy:           d("upstream_healthy", "Instances that pass their health checks, of services that are checked.", "registry", "service"),
		ejected:           d("upstream_ejected", "Instances that are taken out because their answers were worse than the others'.", "registry", "service"),
		ejections:         d("upstream_ejections_total", "Instances taken out, by what they were found out by.", "registry", "service", "reason"),
		panicking:         d("upstream_panic", "1 while so many instances of a service are unhealthy or ejected that this is ignored.", "registry", "service"),
		checks:            d("health_checks_total", "Health checks, by result.", "result"),
		registryUp:        d("registry_up", "1 while the registry is connected.", "registry"),
		registryAge:       d("registry_last_push_age_seconds", "Time since the registry last said anything.", "registry"),
		registryInstances: d("registry_instances", "Instances of the registry's services in use, by what becomes of them: usable, held (of the usable: dropped by the registry, and doubted), excluded, invalid.", "registry", "state"),
		registryServices:  d("registry_services", "Services of the registry in use, by state: live, stale (served from disk), failed.", "registry", "state"),
		announced:         d("registration_up", "1 while the gateway's own registration stands.", "registry", "service"),
		planAge:           d("plan_age_seconds", "Time since the plan in force was built."),
		routes:            d("plan_routes", "Routes of the plan in force."),
		refused:           d("plan_refused_routes", "Routes of the newest document that were refused."),
		connections:       d("listener_connections", "Open client connections.", "listener"),
		parked:            d("listener_parked_connections", "Open client connections that wait without a goroutine.", "listener"),
		abused:            d("listener_abused_connections_total", "HTTP/2 connections that were closed for what their client did.", "listener"),
		dropped:           d("access_log_dropped_total", "Access log lines that were lost."),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.upRequests, c.upFailures, c.upInFlight, c.upLatency, c.instances, c.registryUp, c.registryAge, c.planAge, c.routes,
		c.refused, c.connections, c.parked, c.abused, c.dropped, c.registryInstances, c.registryServices, c.announced,
		c.healthy, c.ejected, c.ejections, c.panicking, c.checks,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	st := c.gateway.Status()
	now := time.Now()
	if !st.Applied.IsZero() {
		gauge(c.planAge, now.Sub(st.Applied).Seconds())
	}
	gauge(c.routes, float64(len(st.Routes)))
	gauge(c.refused, float64(len(st.Refused)))
	for _, r := range st.Registries {
		up := 0.0
		if r.State == registry.Live {
			up = 1
		}
		gauge(c.registryUp, up, r.Name)
		if !r.LastPush.IsZero() {
			gauge(c.registryAge, now.Sub(r.LastPush).Seconds(), r.Name)
		}
		n := r.Counts
		for state, count := range map[string]int{"usable": n.Usable, "held": n.Held, "excluded": n.Excluded, "invalid": n.Skipped} {
			gauge(c.registryInstances, float64(count), r.Name, state)
		}
		for state, count := range map[string]int{"live": n.Services - n.Stale - n.Failed, "stale": n.Stale, "failed": n.Failed} {
			gauge(c.registryServices, float64(count), r.Name, state)
		}
	}
	for _, a := range st.Announcements {
		up := 0.0
		if a.Announced {
			up = 1
		}
		gauge(c.announced, up, a.Registry, a.Service.String())
	}
	seen := map[[3]string]bool{}
	for _, s := range st.Services {
		reg, name := s.Key.Registry, s.Key.Service.String()
		if seen[[3]string{reg, name}] {
			continue // a service that is treated in two ways while plans change is counted once
		}
		seen[[3]string{reg, name}] = true
		gauge(c.instances, float64(len(s.Instances)), reg, name, "usable")
		gauge(c.instances, float64(len(s.Excluded)), reg, name, "excluded")
		gauge(c.instances, float64(s.Skipped), reg, name, "invalid")
		panicking := 0.0
		if s.Panic {
			panicking = 1
		}
		gauge(c.panicking, panicking, reg, name)
		for reason, n := range s.Ejections {
			counter(c.ejections, float64(n), reg, name, string(reason))
		}
		checked, healthy, ejected := false, 0, 0
		for _, i := range s.Instances {
			id := [3]string{reg, name, i.Endpoint.ID}
			if seen[id] {
				continue // one address that serves several Dubbo groups has one load
			}
			seen[id] = true
			if h := i.Health; h != nil {
				checked = true
				if h.Healthy {
					healthy++
				}
			}
			if i.Outlier != nil && i.Outlier.Ejected {
				ejected++
			}
			counter(c.upRequests, float64(i.Requests), id[:]...)
			counter(c.upFailures, float64(i.Failures), id[:]...)
			gauge(c.upInFlight, float64(i.InFlight), id[:]...)
			gauge(c.upLatency, i.Latency.Seconds(), id[:]...)
		}
		if checked {
			gauge(c.healthy, float64(healthy), reg, name)
		}
		gauge(c.ejected, float64(ejected), reg, name)
	}
	made, failed := c.gateway.store.Checks()
	counter(c.checks, float64(made-failed), "good")
	counter(c.checks, float64(failed), "failed")
	for _, l := range st.Listeners {
		gauge(c.connections, float64(l.Stats.Open+l.HTTP2.Open), l.Name)
		gauge(c.parked, float64(l.Stats.Parked+l.HTTP2.Parked), l.Name)
		counter(c.abused, float64(l.HTTP2.Abused), l.Name)
	}
	c.gateway.statusMu.Lock()
	dropped := c.gateway.log.Dropped()
	c.gateway.statusMu.Unlock()
	counter(c.dropped, float64(dropped))
}
