package zookeeper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sluice-gateway/sluice/registry"
)

var errNotJSON = errors.New("not JSON")

// definitionWatch computes which application's definition of a service is the one to use.
type definitionWatch struct {
	z       *zooKeeper
	service registry.ServiceName
	push    func([]byte)

	pushed uint64 // the session in which last was pushed
	last   []byte
}

func (w *definitionWatch) build(v *view) error {
	// Version before group; a segment that is empty is left out.
	dir := w.z.config.DubboRoot + "/metadata/" + w.service.Name
	for _, part := range []string{w.service.Version, w.service.Group} {
		if part != "" {
			dir += "/" + part
		}
	}
	dir += "/provider"
	apps, err := v.list(dir)
	if err != nil {
		return err
	}
	if len(apps) > 1 {
		if apps, err = w.aliveFirst(v, apps); err != nil {
			return err
		}
	}
	for _, app := range apps {
		found, err := v.get(key{content, dir + "/" + app})
		if err != nil {
			return err
		}
		data := v.optional(w.z, found[0], dir+"/"+app).data
		if len(data) == 0 {
			continue
		}
		if !json.Valid(data) {
			w.z.complain(fmt.Errorf("read %s/%s: %w", dir, app, errNotJSON))
			continue
		}
		w.tell(v, data)
		return nil
	}
	w.tell(v, nil)
	return nil
}

// tell pushes what has changed, and what has not once for every session.
func (w *definitionWatch) tell(v *view, data []byte) {
	if w.pushed == v.epoch && bytes.Equal(data, w.last) && (data == nil) == (w.last == nil) {
		return
	}
	w.pushed, w.last = v.epoch, data
	w.push(data)
}

// aliveFirst orders applications: those with an instance first, both parts by name. Definitions outlive their
// applications, and the dead one's may be years old.
func (w *definitionWatch) aliveFirst(v *view, apps []string) ([]string, error) {
	list := key{providers, w.z.config.DubboRoot + "/" + w.service.Name + "/providers"}
	found, err := v.get(list)
	if err != nil {
		return nil, err
	}
	alive := make(map[string]bool)
	if l := v.optional(w.z, found[0], list.path).providers; l != nil {
		for _, p := range l.all {
			if w.service.Matches(p.instance.Group, p.instance.Version) {
				alive[p.instance.Metadata["application"]] = true
			}
		}
	}
	dirs := make([]string, len(apps))
	for i, app := range apps {
		dirs[i] = w.z.config.ServicesRoot + "/" + app
	}
	lists, err := v.get(all(children, dirs)...)
	if err != nil {
		return nil, err
	}
	var living, dead []string
	for i, app := range apps {
		if alive[app] || len(lists[i].names) > 0 {
			living = append(living, app)
		} else {
			dead = append(dead, app)
		}
	}
	return append(living, dead...), nil
}
