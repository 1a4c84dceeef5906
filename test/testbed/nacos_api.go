package testbed

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Instance is one provider of a service, as Nacos stores it. What is empty is left to the server's defaults: namespace
// public, group DEFAULT_GROUP, cluster DEFAULT.
type Instance struct {
	Namespace, Group, Service, Cluster string

	IP        string
	Port      int
	Weight    float64 // 0 means 1, NoWeight means 0
	Disabled  bool
	Unhealthy bool
	Metadata  map[string]string
}

// NoWeight is the weight of an instance that is to get no requests.
const NoWeight = -1

// Register adds an instance and returns when the server lists it. It is a persistent one, of the kind that needs no
// heartbeat, so it stays until it is deregistered, over restarts too; health checks of its cluster are switched off, so
// that it is as healthy as it says (but while a restarted server still reads its data, it probes once, and one whose port
// is closed comes back unhealthy). A service holds either persistent or ephemeral instances: use another name than the
// services that an SDK registers in.
func (n *Nacos) Register(ctx context.Context, i Instance) error {
	steps := []func(context.Context, Instance) error{n.ensureService, n.postInstance, n.awaitListed}
	for _, step := range steps {
		if err := step(ctx, i); err != nil {
			return fmt.Errorf("register %s: %w", i.Service, err)
		}
	}
	return nil
}

// Update changes weight, enabled, healthy and metadata of an instance. The server keeps health with the registration
// and the rest apart, where it outweighs what a later registration says, hence two calls.
func (n *Nacos) Update(ctx context.Context, i Instance) error {
	err := n.do(ctx, http.MethodPut, "/v3/admin/ns/instance", i.form())
	if err == nil {
		err = n.postInstance(ctx, i)
	}
	if err != nil {
		return fmt.Errorf("update %s: %w", i.Service, err)
	}
	return nil
}

// Deregister removes an instance.
func (n *Nacos) Deregister(ctx context.Context, i Instance) error {
	if err := n.do(ctx, http.MethodDelete, "/v3/admin/ns/instance", i.form()); err != nil {
		return fmt.Errorf("deregister %s: %w", i.Service, err)
	}
	return nil
}

// ensureService makes the service if it is not there and tells the server not to probe its instances.
func (n *Nacos) ensureService(ctx context.Context, i Instance) error {
	form := i.serviceForm()
	form.Set("ephemeral", "false")
	if err := n.do(ctx, http.MethodPost, "/v3/admin/ns/service", form); err != nil && !errors.Is(err, errExists) {
		return fmt.Errorf("create service: %w", err)
	}
	form = i.serviceForm()
	form.Set("clusterName", cmp.Or(i.Cluster, "DEFAULT"))
	form.Set("checkPort", "80")
	form.Set("useInstancePort4Check", "true")
	form.Set("healthChecker", `{"type":"NONE"}`)
	if err := n.do(ctx, http.MethodPut, "/v3/admin/ns/cluster", form); err != nil {
		return fmt.Errorf("switch health checks off: %w", err)
	}
	return nil
}

func (n *Nacos) postInstance(ctx context.Context, i Instance) error {
	return n.do(ctx, http.MethodPost, "/v3/admin/ns/instance", i.form())
}

// awaitListed waits for the write to come through the server's Raft log; before that, updates fail.
func (n *Nacos) awaitListed(ctx context.Context, i Instance) error {
	form := i.serviceForm()
	form.Set("clusterName", cmp.Or(i.Cluster, "DEFAULT"))
	want := fmt.Sprintf(`"ip":%q,"port":%d,`, i.IP, i.Port)
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		answer, err := n.call(ctx, http.MethodGet, "/v3/admin/ns/instance/list", form)
		if err == nil && bytes.Contains(answer, []byte(want)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the list: %w, last answer: %s", errors.Join(ctx.Err(), err), answer)
		case <-tick.C:
		}
	}
}

// serviceForm names the service.
func (i Instance) serviceForm() url.Values {
	v := url.Values{"serviceName": {i.Service}}
	if i.Namespace != "" {
		v.Set("namespaceId", i.Namespace)
	}
	if i.Group != "" {
		v.Set("groupName", i.Group)
	}
	return v
}

// form names the service and tells everything about the instance.
func (i Instance) form() url.Values {
	weight := i.Weight
	switch weight {
	case 0:
		weight = 1
	case NoWeight:
		weight = 0
	}
	v := i.serviceForm()
	if i.Cluster != "" {
		v.Set("clusterName", i.Cluster)
	}
	v.Set("ip", i.IP)
	v.Set("port", strconv.Itoa(i.Port))
	v.Set("weight", strconv.FormatFloat(weight, 'f', -1, 64))
	v.Set("enabled", strconv.FormatBool(!i.Disabled))
	v.Set("healthy", strconv.FormatBool(!i.Unhealthy))
	v.Set("ephemeral", "false")
	if i.Metadata != nil {
		text, _ := json.Marshal(i.Metadata) // a map of strings always encodes
		v.Set("metadata", string(text))
	}
	return v
}

// CreateNamespace adds a namespace whose id and name are the same.
func (n *Nacos) CreateNamespace(ctx context.Context, id string) error {
	form := url.Values{"namespaceId": {id}, "namespaceName": {id}}
	if err := n.do(ctx, http.MethodPost, "/v3/admin/core/namespace", form); err != nil {
		return fmt.Errorf("create namespace %s: %w", id, err)
	}
	return nil
}

// PublishConfig stores a configuration, which the server pushes to its listeners. Namespace "" is public.
func (n *Nacos) PublishConfig(ctx context.Context, namespace, group, dataID, content string) error {
	form := url.Values{"groupName": {group}, "dataId": {dataID}, "content": {content}}
	if namespace != "" {
		form.Set("namespaceId", namespace)
	}
	if err := n.do(ctx, http.MethodPost, "/v3/admin/cs/config", form); err != nil {
		return fmt.Errorf("publish config %s: %w", dataID, err)
	}
	return nil
}

// DeleteConfig removes a configuration.
func (n *Nacos) DeleteConfig(ctx context.Context, namespace, group, dataID string) error {
	form := url.Values{"groupName": {group}, "dataId": {dataID}}
	if namespace != "" {
		form.Set("namespaceId", namespace)
	}
	if err := n.do(ctx, http.MethodDelete, "/v3/admin/cs/config", form); err != nil {
		return fmt.Errorf("delete config %s: %w", dataID, err)
	}
	return nil
}

// codeExists is the server's code for a service that is there already.
const codeExists = 21007

var errExists = errors.New("it exists already")

// do sends one administration call; anything but HTTP 200 with code 0 is an error that holds the server's answer.
func (n *Nacos) do(ctx context.Context, method, path string, form url.Values) error {
	_, err := n.call(ctx, method, path, form)
	return err
}

func (n *Nacos) call(ctx context.Context, method, path string, form url.Values) ([]byte, error) {
	target, body := n.url(path), io.Reader(nil)
	if method == http.MethodPost || method == http.MethodPut {
		body = bytes.NewReader([]byte(form.Encode()))
	} else {
		target += "?" + form.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if n.token != "" {
		req.Header.Set("accessToken", n.token)
	}
	resp, err := n.api.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var status struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(answer, &status) // some answers are no JSON: their status line counts
	if status.Code == codeExists {
		return nil, errExists
	}
	if resp.StatusCode != http.StatusOK || (status.Code != 0 && status.Code != http.StatusOK) {
		return nil, fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(answer))
	}
	return answer, nil
}

// settle sets up what fresh data lacks: the administrator, when there is to be one. The server takes half a minute
// after its readiness until the first login succeeds.
func (n *Nacos) settle(ctx context.Context) error {
	n.token = ""
	if n.opts.user == "" {
		return nil
	}
	if n.opts.user != "nacos" {
		return fmt.Errorf("set up user %q: the server creates only the administrator \"nacos\"", n.opts.user)
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	created := false
	for {
		var err error
		if !created {
			err = n.do(ctx, http.MethodPost, "/v3/auth/user/admin", url.Values{"password": {n.opts.password}})
			created = err == nil
		}
		if created {
			if n.token, err = n.login(ctx); err == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("log in as administrator: %w", errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

func (n *Nacos) login(ctx context.Context) (string, error) {
	answer, err := n.call(ctx, http.MethodPost, "/v3/auth/user/login", url.Values{
		"username": {n.opts.user}, "password": {n.opts.password},
	})
	if err != nil {
		return "", err
	}
	var session struct {
		AccessToken string `json:"accessToken"`
		Data        struct {
			AccessToken string `json:"accessToken"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer, &session); err != nil {
		return "", fmt.Errorf("read login: %w", err)
	}
	if token := session.AccessToken + session.Data.AccessToken; token != "" {
		return token, nil
	}
	return "", fmt.Errorf("login gave no token: %s", answer)
}
