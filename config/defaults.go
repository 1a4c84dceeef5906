package config

import "time"

// SetDefaults is called on a value before its section is read, so that what the user leaves out keeps these.

// SetDefaults implements the convention above.
func (d *Document) SetDefaults() {
	d.Admin = Admin{Address: "127.0.0.1:9900", Recent: 1024}
	d.AccessLog.Path = "stdout"
	d.LastKnownGood.MaxAge = 24 * time.Hour
	d.Startup.Timeout = 30 * time.Second
	d.Shutdown.Grace = 30 * time.Second
}

// SetDefaults implements the convention above.
func (l *Listener) SetDefaults() {
	l.Limits = Limits{HeaderBytes: 64 << 10, HeaderCount: 128, URIBytes: 16 << 10, Streams: 250}
	l.Timeouts = ListenerTimeouts{Header: 10 * time.Second, Body: 30 * time.Second, Idle: 2 * time.Minute, Write: 30 * time.Second}
}

// SetDefaults implements the convention above.
func (g *GRPC) SetDefaults() { g.Refresh, g.MessageBytes = time.Minute, 4<<20 }

// SetDefaults implements the convention above.
func (s *Sticky) SetDefaults() { s.Cookie = "SLUICE" }

// SetDefaults implements the convention above.
func (m *Mirror) SetDefaults() { m.Share = 1 }

// SetDefaults implements the convention above.
func (r *Registration) SetDefaults() { r.Weight = 1 }

// SetDefaults implements the convention above.
func (p *Protection) SetDefaults() {
	*p = Protection{Service: 0.7, Registry: 0.3, Min: 4, Hold: time.Minute}
}

// SetDefaults implements the convention above.
func (s *Service) SetDefaults() {
	s.Balance = Balance{Policy: "peakEWMA", PanicThreshold: 0.5}
	s.Connections = Connections{Pending: 1024, Idle: 90 * time.Second}
	s.Timeouts = UpstreamTimeouts{Connect: 3 * time.Second, Idle: 5 * time.Minute}
	s.Limits = RequestLimits{Queue: 64, QueueTimeout: 100 * time.Millisecond}
	s.Outlier.SetDefaults()
	s.RetryBudget = RetryBudget{Share: 0.2, MinPerSecond: 3}
	s.PreserveHost = true
}

// SetDefaults implements the convention above.
func (t *Target) SetDefaults() {
	t.Timeout = 60 * time.Second
	t.Retries = Retries{Attempts: 1, On: []string{"connect", "reset"}, Backoff: 25 * time.Millisecond}
}
