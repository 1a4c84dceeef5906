package nacos

import (
	"context"
	"errors"
	"time"
)

// configKey names an entry of the configuration centre inside the namespace.
type configKey struct{ group, dataID string }

// configEntry is the subject of one entry: an interface's mapping, a definition.
type configEntry struct {
	subjectState
	client *client
	key    configKey

	// Guarded by the client's lock.
	known   bool
	exists  bool
	content string
	md5     string // as the server gave it
	current *session
}

func (e *configEntry) String() string { return "configuration " + e.key.group + "/" + e.key.dataID }

// config gives a reader the content of an entry, "" if there is none; false: no server has answered yet.
func (sc *scope) config(group, dataID string) (string, bool) {
	c := sc.client
	c.mu.Lock()
	defer c.mu.Unlock()
	key := configKey{group, dataID}
	e := find(c.configs, key, func() *configEntry { return &configEntry{client: c, key: key} })
	sc.read(e)
	return e.content, e.known
}

// sync listens with what we have, and reads the entry if the server has something else, until both agree. Listening after
// reading leaves no gap for a change in between.
func (e *configEntry) sync(ctx context.Context, s *session) error {
	c := e.client
	for range 8 {
		c.mu.Lock()
		md5 := e.md5
		c.mu.Unlock()
		changed, err := c.listen(ctx, s, true, []configContext{e.context(md5)})
		if err != nil {
			return err
		}
		if len(changed) == 0 {
			c.mu.Lock()
			e.accept(s, md5 != "", e.content, md5)
			c.mu.Unlock()
			return nil
		}
		content, md5, exists, err := c.queryConfig(ctx, s, e.key)
		if err != nil {
			return err
		}
		c.mu.Lock()
		taken := e.accept(s, exists, content, md5)
		c.mu.Unlock()
		if !taken {
			return nil // asked again when the server has settled
		}
	}
	return errors.New("it changes faster than it can be read")
}

func (e *configEntry) leave(ctx context.Context, s *session) error {
	_, err := e.client.listen(ctx, s, false, []configContext{e.context("")})
	return err
}

func (e *configEntry) context(md5 string) configContext {
	return configContext{Group: e.key.group, DataID: e.key.dataID, Tenant: e.client.config.tenant(), MD5: md5}
}

// accept makes this the entry's state, or doubts it as the package comment says. The client's lock is held.
func (e *configEntry) accept(s *session, exists bool, content, md5 string) bool {
	if !exists && e.exists && e.current != s && !s.settled() {
		s.kickSettledLocked(e)
		return false
	}
	if !exists {
		content, md5 = "", ""
	}
	e.known, e.exists, e.content, e.md5, e.current = true, exists, content, md5, s
	e.notify()
	return true
}

// listen tells the server what we have of each entry; it answers with those that differ, and pushes later changes.
func (c *client) listen(ctx context.Context, s *session, on bool, entries []configContext) ([]configContext, error) {
	var answer configListenAnswer
	err := s.conn.call(ctx, typeConfigListen, &configListen{Module: "config", Listen: on, Contexts: entries}, &answer)
	return answer.ChangedConfigs, err
}

// queryConfig reads one entry.
func (c *client) queryConfig(ctx context.Context, s *session, key configKey) (content, md5 string, exists bool, err error) {
	var answer configAnswer
	err = s.conn.call(ctx, typeConfigQuery,
		&configRequest{Module: "config", Group: key.group, DataID: key.dataID, Tenant: c.config.tenant()}, &answer)
	var r *refusal
	if errors.As(err, &r) && r.code == codeConfigNotFound {
		return "", "", false, nil
	}
	if err != nil {
		return "", "", false, err
	}
	return answer.Content, answer.MD5, true, nil
}

// configChanged takes a notice of the server. It does not say what changed, and repeats itself for each name that public
// has.
func (c *client) configChanged(s *session, key configKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.configs[key]; e != nil {
		s.kickLocked(e)
	}
}

// compareBatch bounds the entries of one request.
const compareBatch = 500

// compareConfigs asks every client.comparePause whether all entries are still the server's: notices can get lost.
func (s *session) compareConfigs() {
	c := s.client
	tick := time.NewTicker(c.comparePause)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		c.mu.Lock()
		var entries []configContext
		for _, e := range c.configs {
			if e.known && len(e.readers) > 0 {
				entries = append(entries, e.context(e.md5))
			}
		}
		c.mu.Unlock()
		for len(entries) > 0 {
			n := min(len(entries), compareBatch)
			changed, err := c.listen(s.ctx, s, true, entries[:n])
			entries = entries[n:]
			if err != nil {
				if s.ctx.Err() == nil {
					c.opts.Report(c.stateNow(), err)
				}
				break
			}
			for _, e := range changed {
				c.configChanged(s, configKey{e.Group, e.DataID})
			}
		}
	}
}
