package balance

// Wait notes that a request was sent whose answer's head has not come yet; Answered, in the end, that it has, or that it will
// not. A hung instance shows by nothing else: no latency is observed there, and what was observed before fades. So what has
// been waiting for a while counts as latency already.
//
// They stand apart from Begin and End because an exchange may go on long after the head of its answer: who streams an
// answer for an hour does not hang.
func (l *Load) Wait(now int64) {
	if l.waiting.Add(1) == 1 {
		l.heard.Store(now)
	}
}

// Answered takes a Wait back.
func (l *Load) Answered(now int64) {
	l.waiting.Add(-1)
	l.heard.Store(now)
}

// overdue is how long, in nanoseconds, at least one request has been waiting; 0 when none is. What began to wait after the
// instance was heard of last has waited for less, but then another one has not: as long as there are any, one of them
// was there at that time.
func (l *Load) overdue(now int64) int64 {
	if l.waiting.Load() <= 0 {
		return 0
	}
	return now - l.heard.Load()
}
