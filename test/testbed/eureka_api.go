package testbed

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// EurekaInstance is what a test registers, as Spring Cloud's client would. App and ID must be given.
type EurekaInstance struct {
	App, ID  string
	Host, IP string // 127.0.0.1 if empty
	// Port and SecurePort are enabled when they are not 0.
	Port, SecurePort int
	VIP, SecureVIP   string
	Status           string        // UP if empty
	Lease            time.Duration // 90 s if 0; the server forgets the instance after twice as long without a heartbeat
	Metadata         map[string]string
	// DataCenter is Amazon's metadata; nil for an instance that is not there.
	DataCenter map[string]string
}

// eurekaPort is a port in the form that the Java client writes.
type eurekaPort struct {
	Number  int    `json:"$"`
	Enabled string `json:"@enabled"`
}

// eurekaCenter says where an instance is. The server wants the class first.
type eurekaCenter struct {
	Class    string            `json:"@class"`
	Name     string            `json:"name"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// eurekaDocument is the JSON that the Java client posts, in its order: the server cannot read an instance in Amazon's data
// center that has no id yet.
type eurekaDocument struct {
	InstanceID   string            `json:"instanceId"`
	HostName     string            `json:"hostName"`
	App          string            `json:"app"`
	IPAddr       string            `json:"ipAddr"`
	Status       string            `json:"status"`
	Overridden   string            `json:"overriddenStatus"`
	Port         eurekaPort        `json:"port"`
	SecurePort   eurekaPort        `json:"securePort"`
	CountryID    int               `json:"countryId"`
	Center       eurekaCenter      `json:"dataCenterInfo"`
	Lease        map[string]int    `json:"leaseInfo"`
	Metadata     map[string]string `json:"metadata"`
	VIP          string            `json:"vipAddress,omitempty"`
	SecureVIP    string            `json:"secureVipAddress,omitempty"`
	Coordinating string            `json:"isCoordinatingDiscoveryServer"`
	Updated      string            `json:"lastUpdatedTimestamp"`
	Dirty        string            `json:"lastDirtyTimestamp"`
}

func (i EurekaInstance) document() ([]byte, error) {
	center := eurekaCenter{Class: "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", Name: "MyOwn"}
	if i.DataCenter != nil {
		center = eurekaCenter{Class: "com.netflix.appinfo.AmazonInfo", Name: "Amazon", Metadata: i.DataCenter}
	}
	lease := cmp.Or(int(i.Lease/time.Second), 90)
	metadata := i.Metadata
	if metadata == nil {
		metadata = map[string]string{}
	}
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	return json.Marshal(map[string]eurekaDocument{"instance": {
		InstanceID: i.ID, HostName: cmp.Or(i.Host, "127.0.0.1"), App: i.App, IPAddr: cmp.Or(i.IP, "127.0.0.1"),
		Status: cmp.Or(i.Status, "UP"), Overridden: "UNKNOWN",
		Port:       eurekaPort{i.Port, strconv.FormatBool(i.Port != 0)},
		SecurePort: eurekaPort{cmp.Or(i.SecurePort, 443), strconv.FormatBool(i.SecurePort != 0)},
		CountryID:  1, Center: center,
		Lease:    map[string]int{"renewalIntervalInSecs": max(1, lease/3), "durationInSecs": lease},
		Metadata: metadata, VIP: i.VIP, SecureVIP: i.SecureVIP, Coordinating: "false", Updated: now, Dirty: now,
	}})
}

// path is the instance's place on the server.
func (i EurekaInstance) path() string {
	return "/apps/" + url.PathEscape(i.App) + "/" + url.PathEscape(i.ID)
}

// Register announces an instance, or changes it.
func (e *Eureka) Register(ctx context.Context, i EurekaInstance) error {
	document, err := i.document()
	if err != nil {
		return err
	}
	_, err = e.call(ctx, http.MethodPost, "/apps/"+url.PathEscape(i.App), document)
	return err
}

// Heartbeat renews an instance's lease.
func (e *Eureka) Heartbeat(ctx context.Context, i EurekaInstance) error {
	_, err := e.call(ctx, http.MethodPut, i.path(), nil)
	return err
}

// Cancel withdraws an instance.
func (e *Eureka) Cancel(ctx context.Context, i EurekaInstance) error {
	_, err := e.call(ctx, http.MethodDelete, i.path(), nil)
	return err
}

// Override sets a status that counts instead of the one that the instance tells.
func (e *Eureka) Override(ctx context.Context, i EurekaInstance, status string) error {
	_, err := e.call(ctx, http.MethodPut, i.path()+"/status?value="+url.QueryEscape(status), nil)
	return err
}

// EndOverride lets the instance's own status count again. The server takes it to be next, until the instance tells its
// own; without one it is UNKNOWN.
func (e *Eureka) EndOverride(ctx context.Context, i EurekaInstance, next string) error {
	path := i.path() + "/status"
	if next != "" {
		path += "?value=" + url.QueryEscape(next)
	}
	_, err := e.call(ctx, http.MethodDelete, path, nil)
	return err
}

// Apps is what the server answers when it is asked for everything, as JSON.
func (e *Eureka) Apps(ctx context.Context) ([]byte, error) {
	return e.call(ctx, http.MethodGet, "/apps", nil)
}

// readAnswer reads a whole answer, and makes an error of one that is not a success.
func readAnswer(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("answered %s: %.200s", resp.Status, answer)
	}
	return answer, nil
}
