package zookeeper

import (
	"context"
	"fmt"
)

// view is what one run of a follower's function reads through.
type view struct {
	ctx      context.Context //nolint:containedctx // lives as long as one run, which it is the argument of
	tree     *tree
	follower *follower
	epoch    uint64             // of the session
	looked   int                // at this many names and nodes
	refused  bool               // something that may not be read was left out
	partial  bool               // only what had changed was looked at; what was read before stays
	wanted   map[revision]*info // by the last run
}

// get reads nodes, those unknown or changed from the server, all at once.
func (v *view) get(keys ...key) ([]*value, error) {
	values, err := v.tree.values(v.ctx, v.tree.touch(v.follower, keys))
	for _, found := range values {
		v.looked += 1 + len(found.names) + found.providers.len()
	}
	return values, err
}

// all makes keys of one kind.
func all(k kind, paths []string) []key {
	keys := make([]key, len(paths))
	for i, path := range paths {
		keys[i] = key{k, path}
	}
	return keys
}

// list reads the names below a node; none if it does not exist.
func (v *view) list(path string) ([]string, error) {
	values, err := v.get(key{children, path})
	if err != nil {
		return nil, err
	}
	return values[0].list(path)
}

// list is the names that were found below path.
func (v *value) list(path string) ([]string, error) {
	if v.err != nil {
		return nil, fmt.Errorf("list %s: %w", path, v.err)
	}
	return v.names, nil
}

// optional is what was found below path if that may be read: its absence changes little, so a refusal is reported and costs
// nothing else.
func (v *view) optional(z *zooKeeper, found *value, path string) *value {
	if found.err == nil {
		return found
	}
	v.refused = true
	z.complain(fmt.Errorf("read %s: %w", path, advise(found.err)))
	return &value{}
}

// instances reads the instance nodes of applications.
func (v *view) instances(root string, apps []string) ([]registered, error) {
	dirs := make([]string, len(apps))
	for i, app := range apps {
		dirs[i] = root + "/" + app
	}
	lists, err := v.get(all(children, dirs)...)
	if err != nil {
		return nil, err
	}
	var listed, refused []registered
	var paths []string
	for i, l := range lists {
		if _, err := l.list(dirs[i]); err != nil {
			v.refused = true
			refused = append(refused, registered{app: apps[i], err: err})
		}
		for _, name := range l.names {
			listed = append(listed, registered{app: apps[i], name: name})
			paths = append(paths, dirs[i]+"/"+name)
		}
	}
	values, err := v.get(all(instance, paths)...)
	if err != nil {
		return nil, err
	}
	alive := refused
	for i, r := range listed {
		if !values[i].found && values[i].err == nil {
			continue // gone since it was listed
		}
		r.node, r.err = values[i].node, values[i].err
		alive = append(alive, r)
	}
	return alive, nil
}

// registered is an instance node where it stands; node is nil if it could not be read, for the reason err. Without a name
// it stands for all of an application whose list may not be read.
type registered struct {
	app, name string
	node      *instanceNode
	err       error
}

func (r *registered) entry() string { return r.app + "/" + r.name }
