package dubbo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/sluice-gateway/sluice/protocol/dubbo"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// TestMetadata asks real metadata services, in both of their forms.
func TestMetadata(t *testing.T) {
	tests := []struct {
		name, protocol string
		options        testbed.ProviderOptions
	}{
		{"second form over tri", "tri", testbed.ProviderOptions{Protocols: []string{"dubbo", "tri"}, RegisterMode: "instance"}},
		{"first form over dubbo", "dubbo", testbed.ProviderOptions{RegisterMode: "instance"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := testbed.StartZooKeeper(t)
			tt.options.Registry = "zookeeper://" + server.Addr()
			p := testbed.StartDubboProvider(t, tt.options)
			revision := revisionOf(t, server.Addr(), "users")
			address := p.AddrOf(tt.protocol)
			f := &dubbo.MetadataFetcher{}
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			doc, err := f.FetchMetadata(ctx, tt.protocol, address, "users", revision)
			if err != nil {
				t.Fatal(err)
			}
			var info struct {
				App, Revision string
				Services      map[string]struct {
					Name, Group, Version, Protocol, Path string
					Port                                 int
					Params                               map[string]string
				}
			}
			if err := json.Unmarshal(doc, &info); err != nil {
				t.Fatalf("%v in %s", err, doc)
			}
			plain, grouped := info.Services[iface+":dubbo"], info.Services["g1/"+iface+":1.0.0:dubbo"]
			_, port, _ := net.SplitHostPort(p.AddrOf("dubbo"))
			if info.App != "users" || info.Revision != revision ||
				plain.Name != iface || plain.Protocol != "dubbo" || plain.Group != "" || fmt.Sprint(plain.Port) != port ||
				grouped.Group != "g1" || grouped.Version != "1.0.0" || grouped.Path != iface || !strings.Contains(grouped.Params["methods"], "echoInt") {
				t.Errorf("metadata %s", doc)
			}
			if _, err := f.FetchMetadata(ctx, tt.protocol, address, "users", "no-such-revision"); err == nil {
				t.Error("an unknown revision has metadata")
			}
		})
	}
	f := &dubbo.MetadataFetcher{Timeout: 200 * time.Millisecond}
	for _, protocol := range []string{"dubbo", "tri", "rest"} {
		if _, err := f.FetchMetadata(context.Background(), protocol, "127.0.0.1:1", "users", "r"); err == nil {
			t.Errorf("%s: no error where nobody listens", protocol)
		}
	}
}

// revisionOf reads the revision of an application's only instance.
func revisionOf(t testing.TB, address, app string) string {
	t.Helper()
	conn, _, err := zk.Connect([]string{address}, 5*time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var revision string
	waitUntil(t, "the instance is registered with a revision", func() bool {
		ids, _, err := conn.Children("/services/" + app)
		if err != nil || len(ids) != 1 {
			return false
		}
		data, _, err := conn.Get("/services/" + app + "/" + url.PathEscape(ids[0]))
		if err != nil {
			return false
		}
		var node struct {
			Payload struct{ Metadata map[string]string }
		}
		if json.Unmarshal(data, &node) != nil {
			return false
		}
		revision = node.Payload.Metadata["dubbo.metadata.revision"]
		return revision != "" && revision != "0"
	})
	return revision
}
