package consul

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/sluice-gateway/sluice/registry"
)

// FuzzEntries feeds what a server may answer about a service: nothing crashes, and every instance can be dialled.
func FuzzEntries(f *testing.F) {
	for _, seed := range []string{
		"[]", "[null]", "[{}]", `[{"Service":{}}]`, oneInstance,
		`[{"Node":{"Locality":{"Zone":"z"}},"Service":{"Address":"::1","Port":1,"Tags":["a=b","c","=","d="],"Meta":{"weight":"1e400"}},"Checks":[null,{"Status":"warning"}]}]`,
		`[{"Service":{"Service":"a.B","Tags":["dubbo","interface=a.B"],"Meta":{"url":"dubbo://h:1/a.B?k=%zz"},"Weights":{"Passing":-1}}}]`,
		`[{"Service":{"Port":0,"Ports":[{"Port":-1,"Default":true}]}}]`,
	} {
		f.Add([]byte(seed))
	}
	c := &consul{config: Default()}
	f.Fuzz(func(t *testing.T, data []byte) {
		var entries []*api.ServiceEntry
		if json.Unmarshal(data, &entries) != nil {
			return
		}
		for name, read := range map[registry.ServiceName]func(registry.ServiceName, *api.ServiceEntry) (registry.Instance, bool, error){
			registry.App("web"):                    c.plain,
			registry.DubboService("a.B", "*", "*"): c.dubboInstance,
		} {
			s := snapshot(name, entries, read)
			if len(s.Instances)+s.SkippedCount > len(entries) || len(s.Skipped) > registry.MaxSkipped {
				t.Errorf("%d instances and %d skipped of %d entries", len(s.Instances), s.SkippedCount, len(entries))
			}
			for _, i := range s.Instances {
				if err := i.Validate(); err != nil {
					t.Error(err)
				}
			}
			for _, k := range s.Skipped {
				if strings.ContainsAny(k.Entry, "\r\n\x1b") {
					t.Errorf("%q", k.Entry)
				}
			}
		}
	})
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"", "a\r\nb", "\x1b[2J", "\xff\xfe", strings.Repeat("ä", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := clean(text)
		if strings.ContainsAny(got, "\r\n\x00\x1b\x7f") || len(got) > 210 || strings.ToValidUTF8(got, "") != got {
			t.Errorf("%q", got)
		}
	})
}
