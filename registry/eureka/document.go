package eureka

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"time"
)

// posted is an instance as Java clients post it.
type posted struct {
	InstanceID       string            `json:"instanceId"`
	App              string            `json:"app"`
	HostName         string            `json:"hostName"`
	IPAddr           string            `json:"ipAddr"`
	Status           string            `json:"status"`
	OverriddenStatus string            `json:"overriddenStatus"`
	Port             postedPort        `json:"port"`
	SecurePort       postedPort        `json:"securePort"`
	CountryID        int               `json:"countryId"`
	DataCenterInfo   postedCenter      `json:"dataCenterInfo"`
	LeaseInfo        map[string]int64  `json:"leaseInfo"`
	Metadata         map[string]string `json:"metadata"`
	HomePageURL      string            `json:"homePageUrl"`
	HealthCheckURL   string            `json:"healthCheckUrl,omitempty"`
	VIPAddress       string            `json:"vipAddress"`
	SecureVIPAddress string            `json:"secureVipAddress"`
	Coordinating     string            `json:"isCoordinatingDiscoveryServer"`
	LastUpdated      string            `json:"lastUpdatedTimestamp"`
	LastDirty        string            `json:"lastDirtyTimestamp"`
}

// postedCenter must begin with the class, or the server cannot read it.
type postedCenter struct {
	Class string `json:"@class"`
	Name  string `json:"name"`
}

type postedPort struct {
	Number  int    `json:"$"`
	Enabled string `json:"@enabled"`
}

// document is what is posted; dirty is the time in milliseconds.
func (a *announcement) document(dirty string) ([]byte, error) {
	i := &a.what.Instance
	secure := i.Protocol == "https"
	port, securePort := postedPort{i.Port, "true"}, postedPort{443, "false"}
	scheme := "http"
	if secure {
		port, securePort = postedPort{80, "false"}, postedPort{i.Port, "true"}
		scheme = "https"
	}
	metadata := maps.Clone(i.Metadata)
	if metadata == nil {
		metadata = map[string]string{}
	}
	if i.Zone != "" {
		metadata["zone"] = i.Zone
	}
	if i.Weight != 1 {
		metadata["weight"] = strconv.FormatFloat(i.Weight, 'f', -1, 64)
	}
	vip := strings.ToLower(a.app)
	p := posted{
		InstanceID: a.what.ID, App: a.app, HostName: i.Host, IPAddr: i.Host,
		Status: up, OverriddenStatus: unknown,
		Port: port, SecurePort: securePort, CountryID: 1,
		DataCenterInfo: postedCenter{"com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "MyOwn"},
		LeaseInfo: map[string]int64{
			"renewalIntervalInSecs": int64(a.config.Heartbeat / time.Second),
			"durationInSecs":        int64(a.config.Lease / time.Second),
		},
		Metadata: metadata, HomePageURL: scheme + "://" + i.Address() + "/", HealthCheckURL: a.what.HealthURL,
		VIPAddress: vip, SecureVIPAddress: vip, Coordinating: "false", LastUpdated: dirty, LastDirty: dirty,
	}
	return json.Marshal(map[string]posted{"instance": p})
}
