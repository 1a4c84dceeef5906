package nacos

import (
	"context"
	"errors"
	"fmt"
)

// watch asks for pushes.
func (l *serviceNames) watch(ctx context.Context, s *session) error {
	c := l.client
	c.mu.Lock()
	l.watched = s // first, so that no push is missed
	keys := make([]string, 0, len(l.names))
	for name := range l.names {
		keys = append(keys, c.config.namespace()+"@@"+l.group+"@@"+name)
	}
	c.mu.Unlock()
	request := l.pattern()
	request.WatchType, request.ReceivedGroupKeys = "WATCH", keys
	err := s.conn.call(ctx, typeFuzzyWatch, request, &answerHead{})
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l.watched = nil
	var r *refusal
	if !errors.As(err, &r) || r.code == codeForbidden || r.code == codeUnregistered {
		return err
	}
	// Over the limit (50310, 50311) it pushes a part of the changes; without a handler (302) none.
	if r.code == codeNoHandler {
		l.refused = s
	} else {
		l.notPushed(s, r.Error())
	}
	return nil
}

// notPushed has the list read at intervals until the connection ends. The client's lock is held.
func (l *serviceNames) notPushed(s *session, reason string) {
	l.refused = s
	l.client.opts.Logger.Warn("Nacos does not push its list of services; it is read at intervals",
		"group", l.group, "interval", l.client.config.ListInterval, "reason", reason)
}

func (l *serviceNames) pattern() *fuzzyWatch {
	ns := l.client.config.namespace()
	return &fuzzyWatch{
		Module: "naming", Namespace: ns, GroupKeyPattern: fmt.Sprintf("%s>>%s>>*", ns, l.group), ReceivedGroupKeys: []string{},
	}
}

func (l *serviceNames) leave(ctx context.Context, s *session) error {
	c := l.client
	c.mu.Lock()
	on := l.watched == s
	l.watched = nil
	c.mu.Unlock()
	if !on {
		return nil
	}
	request := l.pattern()
	request.WatchType = "CANCEL_WATCH"
	return s.conn.call(ctx, typeFuzzyWatch, request, &answerHead{})
}

// listChanged takes one pushed change.
func (c *client) listChanged(s *session, change *serviceChange) {
	group, name, ok := change.split()
	if !ok {
		return // the end of the first batch carries no service
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lists[group]
	if l == nil {
		return
	}
	changed := false
	switch change.ChangedType {
	case changeAdd:
		changed = l.add(name)
		delete(l.found, name)
		if l.recent != nil {
			l.recent[name] = struct{}{}
		}
	case changeDelete:
		delete(l.found, name)
		misses, here := l.names[name]
		switch {
		case !here:
		case s.settled():
			delete(l.names, name)
			changed = true
		default: // a server that has just come up: the next listings decide
			l.names[name] = max(misses, 1)
			s.kickSettledLocked(l)
		}
	}
	if changed && l.known {
		l.changed()
	}
}
