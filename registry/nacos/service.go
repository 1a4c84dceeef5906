package nacos

import (
	"context"
	"errors"
)

// serviceKey is a service's name inside the namespace.
type serviceKey struct{ group, name string }

// service is the subject of one service's instances.
type service struct {
	subjectState
	client *client
	key    serviceKey

	// Guarded by the client's lock.
	known   bool // false until a server has answered for the first time
	hosts   hosts
	pushes  int      // counts what the server has pushed
	current *session // the one that confirmed what we hold
}

func (v *service) String() string { return "service " + v.key.group + "@@" + v.key.name }

// service gives a reader the instances of one service; false: no server has answered yet.
func (sc *scope) service(group, name string) (hosts, bool) {
	c := sc.client
	c.mu.Lock()
	defer c.mu.Unlock()
	key := serviceKey{group, name}
	v := find(c.services, key, func() *service { return &service{client: c, key: key} })
	sc.read(v)
	return v.hosts, v.known
}

// sync subscribes, which also answers with the instances of now.
func (v *service) sync(ctx context.Context, s *session) error {
	c := v.client
	c.mu.Lock()
	before := v.pushes
	c.mu.Unlock()
	var answer subscribeAnswer
	if err := s.conn.call(ctx, typeSubscribe, v.subscription(true), &answer); err != nil {
		return err
	}
	if answer.ServiceInfo == nil {
		return errors.New("the server's answer holds no service")
	}
	got := decodeHosts(answer.ServiceInfo.Hosts)
	c.mu.Lock()
	defer c.mu.Unlock()
	// The answer and the pushes come on different streams. A push that was read while we waited is at least as new; should
	// the answer be newer after all, the change between them is pushed as well.
	if v.pushes == before {
		v.accept(s, got)
	}
	return nil
}

func (v *service) leave(ctx context.Context, s *session) error {
	return s.conn.call(ctx, typeSubscribe, v.subscription(false), &answerHead{})
}

func (v *service) subscription(on bool) *subscribe {
	// No clusters: servers differ in whether pushes are filtered by them. We filter ourselves.
	return &subscribe{
		namingRequest: namingRequest{"naming", v.client.config.namespace(), v.key.group, v.key.name},
		Subscribe:     on,
	}
}

// servicePushed takes a push of the server.
func (c *client) servicePushed(s *session, info *serviceInfo) {
	if info == nil {
		c.opts.Report(c.stateNow(), errors.New("read "+typeNotifySubscriber+": it holds no service"))
		return
	}
	got := decodeHosts(info.Hosts)
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.services[info.key()]; v != nil {
		v.pushes++
		v.accept(s, got)
	}
}

// accept makes got the service's state, or doubts it: see the package comment. The client's lock is held.
func (v *service) accept(s *session, got hosts) {
	if got.empty() && v.known && !v.hosts.empty() && v.current != s && !s.settled() {
		s.kickSettledLocked(v)
		return
	}
	v.known, v.hosts, v.current = true, got, s
	v.notify()
}
