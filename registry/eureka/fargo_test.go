package eureka

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hudl/fargo"
	"github.com/op/go-logging"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// quietFargo quiets its log, and sees to it that no connection of its only client outlives a call.
var quietFargo = sync.OnceFunc(func() {
	logging.SetLevel(logging.ERROR, "fargo")
	fargo.HttpClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: deadline}
})

// TestFargo has instances registered by another client than ours and the test bed's, in XML.
func TestFargo(t *testing.T) {
	quietFargo()
	e := shared(t)
	r := newRig(t, e.URL())
	name := unique(t, "shop")
	w := r.watch(name)
	other := fargo.NewConn(e.URL())
	i := &fargo.Instance{
		InstanceId: "one", HostName: "one.example", App: strings.ToUpper(name), IPAddr: "10.0.0.9",
		VipAddress: name, SecureVipAddress: name, Status: fargo.UP, Overriddenstatus: fargo.UNKNOWN,
		Port: 8080, PortEnabled: true, SecurePort: 8443,
		DataCenterInfo: fargo.DataCenterInfo{Name: fargo.MyOwn},
		LeaseInfo:      fargo.LeaseInfo{RenewalIntervalInSecs: 30, DurationInSecs: 90},
	}
	i.SetMetadataString("zone", "c")
	i.SetMetadataString("note", "a & b")
	check(t, other.RegisterInstance(i))
	got := w.until("registered", has("10.0.0.9:8080"))
	if m := got.Instances[0]; m.Zone != "c" || m.Metadata["note"] != "a & b" || len(m.Metadata) != 2 {
		t.Errorf("%+v", m)
	}
	check(t, other.HeartBeatInstance(i))
	check(t, other.UpdateInstanceStatus(i, fargo.OUTOFSERVICE))
	w.until("out of service", has("10.0.0.9:8080 disabled"))
	check(t, other.DeregisterInstance(i))
	w.until("gone", has())
	r.noErrors()
}

// TestPortsAndNames has the server say what it says about ports, virtual names, hosts and Amazon's zones.
func TestPortsAndNames(t *testing.T) {
	e := shared(t)
	plain := newRig(t, e.URL())
	other := newRig(t, e.URL(), func(c *Config) { c.PreferSecure, c.UseHostName = true, true })
	app, vip, secureVIP := unique(t, "app"), unique(t, "vip"), unique(t, "svip")
	for _, i := range []testbed.EurekaInstance{
		{ID: "both", IP: "10.0.0.1", Host: "one.example", Port: 80, SecurePort: 443, VIP: vip + ", other", SecureVIP: secureVIP},
		{ID: "secure", IP: "10.0.0.2", Host: "two.example", SecurePort: 8443, SecureVIP: secureVIP},
		{ID: "plain", IP: "::1", Host: "three.example", Port: 80, DataCenter: map[string]string{
			"availability-zone": "eu-1a", "instance-id": "i-7", "local-hostname": "x", "public-hostname": "x"}},
		{ID: "says", IP: "10.0.0.4", Host: "four.example", Port: 50051, Metadata: map[string]string{"gRPC_port": "50051"}},
	} {
		i.App = strings.ToUpper(app)
		if err := e.Register(t.Context(), i); err != nil {
			t.Fatal(i.ID, err)
		}
	}
	got := plain.watch(app).until("all", has("10.0.0.1:80", "https://10.0.0.2:8443", "[::1]:80", "grpc://10.0.0.4:50051"))
	for _, i := range got.Instances {
		if (i.Host == "::1") != (i.Zone == "eu-1a") {
			t.Errorf("%s is in zone %q", i.Host, i.Zone)
		}
	}
	plain.watch(strings.ToUpper(vip)).until("by virtual name", has("10.0.0.1:80"))
	plain.watch(secureVIP).until("by secure virtual name", has("https://10.0.0.1:443", "https://10.0.0.2:8443"))
	other.watch(app).until("secure first, by name",
		has("https://one.example:443", "https://two.example:8443", "three.example:80", "grpc://four.example:50051"))
	plain.noErrors()
	other.noErrors()
}
