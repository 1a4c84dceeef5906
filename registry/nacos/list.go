package nacos

import (
	"context"
	"maps"
	"slices"
	"time"
)

const (
	// listPage is the number of names in one page. Pages come from an unordered set, so that only a list in one page is
	// surely complete; nobody has this many services.
	listPage = 100_000
	// controlEvery is how many ListIntervals lie between two listings where changes are pushed.
	controlEvery = 30
	// listRest is how many times longer than a listing took there is none: a long list, or a server that is busy.
	listRest = 4
	// missesToDrop is how many complete listings in a row must lack a service before it is dropped.
	missesToDrop = 2
)

// serviceNames is the subject of the names of one group's services.
//
// They are listed at once. A server that can (Nacos 3) is then asked for a fuzzy watch, which pushes every later change;
// it is given the names that we have, and pushes at first only what they lack. Where it cannot, or the group holds more
// services than the server's limit for such a watch, the list is read every ListInterval. A server whose limit is reached
// later says nothing and pushes no more, so what a listing finds has to be pushed until the next one, or it is believed
// that it is not pushed.
type serviceNames struct {
	subjectState
	client *client
	group  string

	// Guarded by the client's lock.
	known    bool
	names    map[string]int      // how many listings in a row have lacked it
	sorted   []string            // of names, made when it is read; never changed, only replaced
	recent   map[string]struct{} // pushed as added since the last listing began: newer than its answer
	found    map[string]struct{} // by the last listing, though they ought to have been pushed
	unusable int                 // names that the last listing had and that cannot be asked for
	current  *session            // the one that confirmed what we hold
	next     *time.Timer         // of the next listing
	watched  *session            // pushes changes
	refused  *session            // does not
}

func (l *serviceNames) String() string { return "service list of group " + l.group }

// list gives a reader the names of a group's services, sorted; false: no server has answered yet.
func (sc *scope) list(group string) ([]string, bool) {
	c := sc.client
	c.mu.Lock()
	defer c.mu.Unlock()
	l := find(c.lists, group, func() *serviceNames { return &serviceNames{client: c, group: group, names: map[string]int{}} })
	sc.read(l)
	if l.sorted == nil {
		l.sorted = slices.Sorted(maps.Keys(l.names))
	}
	return l.sorted, l.known
}

func (l *serviceNames) sync(ctx context.Context, s *session) error {
	began := time.Now()
	if err := l.read(ctx, s); err != nil {
		return err
	}
	took := time.Since(began)
	c := l.client
	c.mu.Lock()
	try := s.conn.abilities[abilityFuzzyWatch] && l.watched != s && l.refused != s
	c.mu.Unlock()
	if try {
		if err := l.watch(ctx, s); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	pause := max(c.config.ListInterval, listRest*took)
	if l.watched == s && l.refused != s && !l.doubtful() {
		pause *= controlEvery
	}
	if l.next != nil {
		l.next.Stop()
	}
	l.next = s.kickAfter(pause, l)
	return nil
}

// doubtful reports whether the last listing and what was pushed do not agree.
func (l *serviceNames) doubtful() bool {
	if len(l.found) > 0 {
		return true
	}
	for _, misses := range l.names {
		if misses > 0 {
			return true
		}
	}
	return false
}

// read lists the group's services.
func (l *serviceNames) read(ctx context.Context, s *session) error {
	c := l.client
	c.mu.Lock()
	l.recent = map[string]struct{}{}
	c.mu.Unlock()
	seen := map[string]struct{}{}
	complete := false
	for page := 1; ; page++ {
		var answer serviceListAnswer
		err := s.conn.call(ctx, typeServiceList, &serviceList{
			namingRequest: namingRequest{Module: "naming", Namespace: c.config.namespace(), GroupName: l.group},
			PageNo:        page, PageSize: listPage,
		}, &answer)
		if err != nil {
			return err
		}
		for _, name := range answer.ServiceNames {
			seen[name] = struct{}{}
		}
		complete = len(seen) >= answer.Count
		// A server that makes its pages smaller than asked for: read on, as long as that brings anything.
		if complete || len(answer.ServiceNames) == 0 || page > 1000 {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l.merge(s, seen, complete)
	l.noteUnusable(seen)
	return nil
}

// noteUnusable logs names that are left out of the list, unless there were as many before.
func (l *serviceNames) noteUnusable(seen map[string]struct{}) {
	unusable, example := 0, error(nil)
	for name := range seen {
		if err := checkName(name); err != nil {
			unusable, example = unusable+1, err
		}
	}
	if unusable > 0 && unusable != l.unusable {
		l.client.opts.Logger.Warn("services of Nacos are left out", "group", l.group, "count", unusable, "reason", clip(example.Error()))
	}
	l.unusable = unusable
}

// merge takes the names of a listing: new ones at once, missing ones when they were missing before.
func (l *serviceNames) merge(s *session, seen map[string]struct{}, complete bool) {
	changed := false
	if len(l.found) > 0 && l.watched == s && l.refused != s {
		l.notPushed(s, "what a listing found was never pushed: the server's limit for a fuzzy watch may be reached")
	}
	clear(l.found)
	for name := range seen {
		if !l.add(name) {
			continue
		}
		changed = true
		if l.watched == s && l.refused != s {
			if l.found == nil {
				l.found = map[string]struct{}{}
			}
			l.found[name] = struct{}{}
		}
	}
	for name := range l.names {
		if _, ok := seen[name]; ok || !complete {
			continue
		}
		if _, ok := l.recent[name]; ok {
			continue
		}
		if l.names[name]++; l.names[name] >= missesToDrop || !l.known {
			delete(l.names, name)
			changed = true
		}
	}
	if changed || !l.known || l.current != s { // also says that what was known before the reconnection still holds
		l.known, l.current = true, s
		l.changed()
	}
}

// add reports whether the name is new. One that nobody could ask for is left out.
func (l *serviceNames) add(name string) bool {
	if checkName(name) != nil {
		return false
	}
	_, old := l.names[name]
	l.names[name] = 0
	return !old
}

func (l *serviceNames) changed() {
	l.sorted = nil
	l.notify()
}
