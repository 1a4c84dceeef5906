package nacos

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	wire "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/common/security"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// TestSignatures compares ours with what Nacos's own client makes of the same access key, resource and time.
func TestSignatures(t *testing.T) {
	theirs := security.NewRamAuthClient(constant.ClientConfig{AccessKey: "ak", SecretKey: "sk"})
	if ok, err := theirs.Login(); !ok {
		t.Fatal(err)
	}
	ours := &signer{"ak", "sk"}
	naming := func(group, name string) *namingRequest { return &namingRequest{"naming", "ns", group, name} }
	for name, c := range map[string]struct {
		resource security.RequestResource
		request  any
	}{
		"service":            {security.BuildNamingResource("ns", "g", "svc"), &subscribe{namingRequest: *naming("g", "svc")}},
		"grouped service":    {security.BuildNamingResource("ns", "g", "g@@svc"), &subscribe{namingRequest: *naming("g", "g@@svc")}},
		"no group":           {security.BuildNamingResource("ns", "", "svc"), naming("", "svc")},
		"list":               {security.BuildNamingResource("ns", "g", ""), &serviceList{namingRequest: *naming("g", "")}},
		"instance":           {security.BuildNamingResource("ns", "g", "svc"), &instanceRequest{namingRequest: *naming("g", "svc")}},
		"fuzzy watch":        {security.BuildNamingResource("", "", ""), &fuzzyWatch{}},
		"entry":              {security.BuildConfigResource("ns", "g", "id"), &configRequest{Tenant: "ns", Group: "g", DataID: "id"}},
		"entry of public":    {security.BuildConfigResource("", "g", "id"), &configRequest{Group: "g", DataID: "id"}},
		"listening":          {security.BuildConfigResource("", "", ""), &configListen{}},
		"entry with a space": {security.BuildConfigResource("", "g h", "id"), &configRequest{Group: "g h", DataID: "id"}},
	} {
		want := theirs.GetSecurityInfo(c.resource)
		stamp, _, _ := strings.Cut(want["data"]+want["Timestamp"], "@@")
		ms, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", name, want)
		}
		got := map[string]string{}
		ours.sign(got, c.request, time.UnixMilli(ms))
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s: %s is %q, want %q", name, k, got[k], v)
			}
		}
	}
	none := map[string]string{}
	ours.sign(none, &serverCheck{}, time.Now())
	(*signer)(nil).sign(none, naming("g", "s"), time.Now())
	if len(none) != 0 {
		t.Errorf("%v", none)
	}
}

func TestRequestsAreSigned(t *testing.T) {
	f := startFake(t)
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("sk\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var bad []string
	f.with(func() {
		f.configs["mapping/I"] = "app"
		f.check = func(m *wire.Metadata) {
			h := m.GetHeaders()
			switch m.GetType() {
			case typeServerCheck, typeHealthCheck:
			case typeConfigListen, typeConfigQuery:
				resource := map[bool]string{true: "mapping+"}[m.GetType() == typeConfigQuery]
				if h["Spas-AccessKey"] != "ak" || h["Spas-Signature"] != (&signer{"ak", "sk"}).mac(resource+h["Timestamp"]) {
					bad = append(bad, m.String())
				}
			default:
				if h["ak"] != "ak" || h["signature"] != (&signer{"ak", "sk"}).mac(h["data"]) {
					bad = append(bad, m.String())
				}
			}
		}
	})
	r := f.rig(func(c *Config, _ *registry.Options) { c.AccessKey, c.SecretKeyFile = "ak", file })
	r.Watch(registry.App("a")).Until("an answer", registrytest.Has())
	list := r.WatchServices()
	list.Until("a list", func(registry.ServiceSet) bool { return true })
	d := r.WatchDefinition(registry.DubboService("J", "", ""))
	d.Until("an answer", func(string) bool { return true })
	f.with(func() {
		if len(bad) > 0 {
			t.Errorf("%d requests were not signed rightly, first %s", len(bad), bad[0])
		}
	})
	r.NoErrors()

	q := f.rig(func(c *Config, _ *registry.Options) { c.AccessKey, c.SecretKeyFile = "ak", file+"x" })
	registrytest.Within(t, "the missing file's error", func() bool { return q.SawError("secretKeyFile: open " + file + "x") })
}

// TestSignedAgainstRealServer: a server that asks for no signature takes ours.
func TestSignedAgainstRealServer(t *testing.T) {
	r := newRig(t, shared(t).Addr(), func(c *Config, _ *registry.Options) { c.AccessKey, c.SecretKey = "ak", "sk" })
	r.Watch(registry.App(uniq(t, "svc"))).Until("an answer", registrytest.Has())
	r.NoErrors()
}
