package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// root makes a node of the test's own.
func root(t testing.TB, c *Conn) string {
	t.Helper()
	path := fmt.Sprintf("/%s-%d", t.Name(), time.Now().UnixNano())
	must(t, c.CreateFolder(t.Context(), path, false))
	return path
}

// A life of nodes: made, read one by one and together, replaced, removed.
func TestNodes(t *testing.T) {
	server := shared.get(t)
	c, other := open(t, server.Addr(), Options{}), open(t, server.Addr(), Options{Digest: []byte("user:secret")})
	ctx, dir := t.Context(), root(t, c)
	must(t, c.CreateFolder(ctx, dir+"/box", true))
	if err := c.CreateFolder(ctx, dir+"/box", true); !errors.Is(err, ErrNodeExists) {
		t.Errorf("%v", err)
	}
	must(t, c.CreateEphemeral(ctx, dir+"/box/a", []byte("1"), Everybody))
	must(t, other.CreateEphemeral(ctx, dir+"/box/b", []byte("2"), Owned))
	if err := c.ReplaceEphemeral(ctx, dir+"/box/b", nil, Everybody); err != nil { // deleting is the folder's permission
		t.Errorf("%v", err)
	}
	must(t, other.ReplaceEphemeral(ctx, dir+"/box/b", []byte("3"), Owned))
	if err := c.ReplaceEphemeral(ctx, dir+"/box/none", nil, Everybody); !errors.Is(err, ErrNoNode) {
		t.Errorf("%v", err)
	}

	names, err := c.Children(ctx, dir+"/box", false)
	slices.Sort(names)
	if err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("%q %v", names, err)
	}
	data, stat, err := c.Data(ctx, dir+"/box/b", false)
	if err != nil || string(data) != "3" || stat.EphemeralOwner != other.Session || stat.Czxid == 0 || stat.Czxid != stat.Mzxid ||
		time.Since(time.UnixMilli(stat.Ctime)).Abs() > time.Minute {
		t.Errorf("%q %+v %v", data, stat, err)
	}
	if found, err := c.Exists(ctx, dir+"/none", false); found || err != nil {
		t.Errorf("%v %v", found, err)
	}

	got, err := c.MultiRead(ctx, []Read{{dir + "/box", true}, {dir + "/none", true}, {dir + "/box/a", false}, {dir + "/none", false}, {dir, false}})
	must(t, err)
	slices.Sort(got[0].Names)
	for i := range got {
		got[i].Stat = Stat{}
	}
	want := []Result{{Names: []string{"a", "b"}}, {Err: ErrNoNode}, {Data: []byte("1")}, {Err: ErrNoNode}, {Data: []byte{}}}
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b error) bool { return errors.Is(a, b) })); d != "" {
		t.Error(d)
	}
	if none, err := c.MultiRead(ctx, nil); len(none) != 0 || err != nil {
		t.Errorf("%v %v", none, err)
	}

	if err := c.Delete(ctx, dir); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("%v", err)
	}
	must(t, c.Delete(ctx, dir+"/box/a"))
	must(t, c.Delete(ctx, dir+"/box/a"))
	other.Close() // and with it what is its own
	if names, err := c.Children(ctx, dir+"/box", false); len(names) != 0 || err != nil {
		t.Errorf("%q %v", names, err)
	}
	if c.Zxid() == 0 {
		t.Error("no transaction was seen")
	}
}

// A node that only one user may read is a refusal of that read alone.
func TestPermission(t *testing.T) {
	server := shared.get(t)
	c := open(t, server.Addr(), Options{})
	dir := root(t, c)
	must(t, c.CreateEphemeral(t.Context(), dir+"/open", []byte("1"), Everybody))
	owner := open(t, server.Addr(), Options{Digest: []byte("user:secret")})
	must(t, owner.secret(t.Context(), dir+"/closed"))
	reads := []Read{{dir + "/closed", false}, {dir + "/open", false}, {dir + "/closed", true}}
	got, err := c.MultiRead(t.Context(), reads)
	must(t, err)
	if !errors.Is(got[0].Err, ErrNoAuth) || string(got[1].Data) != "1" || !errors.Is(got[2].Err, ErrNoAuth) {
		t.Errorf("%+v", got)
	}
	if got, err = owner.MultiRead(t.Context(), reads); err != nil || string(got[0].Data) != "2" {
		t.Errorf("%+v %v", got, err)
	}
}

// A watch on a subtree tells of everything in it, every time, before the answer to what was asked afterwards.
func TestWatchTree(t *testing.T) {
	server := shared.get(t)
	writer := open(t, server.Addr(), Options{})
	dir := root(t, writer)
	var mu sync.Mutex
	var events []Event
	watcher := open(t, server.Addr(), Options{OnEvent: func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}})
	ctx := t.Context()
	must(t, watcher.WatchTree(ctx, dir+"/later")) // which is not there yet
	must(t, writer.CreateFolder(ctx, dir+"/later", false))
	for range 2 {
		must(t, writer.CreateEphemeral(ctx, dir+"/later/a", nil, Everybody))
		must(t, writer.Delete(ctx, dir+"/later/a"))
	}
	must(t, writer.CreateFolder(ctx, dir+"/elsewhere", false))
	if _, err := watcher.Children(ctx, dir+"/later", false); err != nil {
		t.Error(err)
	}
	want := []Event{{NodeCreated, dir + "/later"}}
	for range 2 {
		want = append(want, Event{NodeCreated, dir + "/later/a"}, Event{NodeDeleted, dir + "/later/a"})
	}
	mu.Lock()
	defer mu.Unlock()
	if d := cmp.Diff(want, events); d != "" {
		t.Error(d)
	}
}

// A watch on a node tells of its children, also of those that may not be read, of which one on the tree does not.
func TestWatchNode(t *testing.T) {
	server := shared.get(t)
	owner := open(t, server.Addr(), Options{Digest: []byte("user:secret")})
	dir := root(t, owner)
	events := make(chan Event, 10)
	watcher := open(t, server.Addr(), Options{OnEvent: func(e Event) { events <- e }})
	must(t, watcher.WatchNode(dir+"/later"))
	if found, err := watcher.Exists(t.Context(), dir+"/later", false); found || err != nil { // by now it is carried out
		t.Errorf("%v %v", found, err)
	}
	must(t, owner.CreateFolder(t.Context(), dir+"/later", false))
	if e := await(t, "an event", events); e != (Event{NodeCreated, dir + "/later"}) {
		t.Errorf("%+v", e)
	}
	for range 2 {
		must(t, owner.secret(t.Context(), dir+"/later/a"))
		must(t, owner.Delete(t.Context(), dir+"/later/a"))
		for range 2 {
			if e := await(t, "an event", events); e != (Event{NodeChildrenChanged, dir + "/later"}) {
				t.Errorf("%+v", e)
			}
		}
	}
}

// secret makes a node with which nobody but its user may do anything.
func (c *Conn) secret(ctx context.Context, path string) error {
	_, err := c.call(ctx, opCreate, func(e *encoder) {
		e.string(path)
		e.buffer([]byte("2"))
		e.int32(1)
		e.acl(permAll, "auth", "")
		e.int32(flagEphemeral)
	})
	return err
}

// Watches of the old kind speak once.
func TestWatchOnce(t *testing.T) {
	server := shared.get(t)
	writer := open(t, server.Addr(), Options{})
	dir := root(t, writer)
	events := make(chan Event, 10)
	watcher := open(t, server.Addr(), Options{OnEvent: func(e Event) { events <- e }})
	ctx := t.Context()
	if found, err := watcher.Exists(ctx, dir+"/a", true); found || err != nil {
		t.Errorf("%v %v", found, err)
	}
	if _, err := watcher.Children(ctx, dir, true); err != nil {
		t.Error(err)
	}
	must(t, writer.CreateEphemeral(ctx, dir+"/a", nil, Everybody))
	must(t, writer.CreateEphemeral(ctx, dir+"/b", nil, Everybody))
	got := []Event{await(t, "an event", events), await(t, "an event", events)}
	slices.SortFunc(got, func(a, b Event) int { return int(a.Type - b.Type) })
	if d := cmp.Diff([]Event{{NodeCreated, dir + "/a"}, {NodeChildrenChanged, dir}}, got); d != "" {
		t.Error(d)
	}
	if _, _, err := watcher.Data(ctx, dir+"/a", true); err != nil {
		t.Error(err)
	}
	must(t, writer.Delete(ctx, dir+"/a"))
	if e := await(t, "an event", events); e != (Event{NodeDeleted, dir + "/a"}) {
		t.Errorf("%+v", e)
	}
}

// Requests of many goroutines do not wait for each other, and each gets its own answer.
func TestManyAtOnce(t *testing.T) {
	c := open(t, shared.get(t).Addr(), Options{})
	dir := root(t, c)
	var tasks sync.WaitGroup
	for n := range 100 {
		tasks.Go(func() {
			path := fmt.Sprintf("%s/%d", dir, n)
			if err := c.CreateEphemeral(t.Context(), path, []byte(path), Everybody); err != nil {
				t.Error(err)
			}
			for range 20 {
				ctx, cancel := context.WithCancel(t.Context())
				if n%7 == 0 {
					cancel() // the answer comes, and nobody waits for it
				}
				data, _, err := c.Data(ctx, path, false)
				if (err == nil && string(data) != path) || (err != nil && n%7 != 0) {
					t.Errorf("%s: %q %v", path, data, err)
				}
				cancel()
			}
		})
	}
	tasks.Wait()
}
