package nacos

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nacos-group/nacos-sdk-go/v2/clients"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/naming_client"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"

	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// Nacos's own Go client, as an independent producer and reader. It opens a UDP port, writes files and leaves goroutines
// behind, so it lives in a process of its own: this test binary, started again with sdkServer set.

const (
	sdkServer = "SLUICE_NACOS_SDK" // host:port of the server
	sdkDir    = "SLUICE_NACOS_SDK_DIR"
	sdkReply  = "@@reply "
)

// sdk is such a process.
type sdk struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	mu  sync.Mutex
	out *bufio.Scanner
}

type sdkRequest struct {
	Op, Group, Service, IP string
	Port                   uint64
	Weight                 float64
	Metadata               map[string]string
}

// startSDK runs one until the test ends.
func startSDK(t testing.TB, address string) *sdk {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), sdkServer+"="+address, sdkDir+"="+t.TempDir())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &sdk{t: t, cmd: cmd, in: in, out: bufio.NewScanner(out)}
	t.Cleanup(s.kill)
	return s
}

// kill ends it at once, so that the server sees its connection break.
func (s *sdk) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *sdk) try(r sdkRequest) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := json.NewEncoder(s.in).Encode(r); err != nil {
		return "", err
	}
	for s.out.Scan() {
		if reply, ok := strings.CutPrefix(s.out.Text(), sdkReply); ok {
			if text, ok := strings.CutPrefix(reply, "error "); ok {
				return "", errors.New(text)
			}
			return reply, nil
		}
	}
	return "", fmt.Errorf("the SDK's process has ended: %w", s.out.Err())
}

// do retries until the SDK is connected.
func (s *sdk) do(r sdkRequest) string {
	s.t.Helper()
	var reply string
	registrytest.Within(s.t, r.Op+" by the SDK", func() bool {
		got, err := s.try(r)
		reply = got
		return err == nil
	})
	return reply
}

func (s *sdk) register(service, ip string, port uint64) {
	s.t.Helper()
	s.do(sdkRequest{Op: "register", Service: service, IP: ip, Port: port, Weight: 1})
}

// selects are the healthy instances that the SDK's users get, as "ip:port ip:port".
func (s *sdk) selects(service string) string {
	s.t.Helper()
	return s.do(sdkRequest{Op: "select", Service: service})
}

// sdkMain is that process.
func sdkMain() int {
	host, port, _ := net.SplitHostPort(os.Getenv(sdkServer))
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 2
	}
	dir := os.Getenv(sdkDir)
	client, err := clients.NewNamingClient(vo.NacosClientParam{
		ClientConfig: constant.NewClientConfig(constant.WithLogDir(dir), constant.WithCacheDir(dir),
			constant.WithNotLoadCacheAtStart(true), constant.WithUpdateCacheWhenEmpty(true), constant.WithLogLevel("error")),
		ServerConfigs: []constant.ServerConfig{*constant.NewServerConfig(host, number)},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	requests := json.NewDecoder(os.Stdin)
	go keepBatches(client)
	for {
		var r sdkRequest
		if requests.Decode(&r) != nil {
			return 0
		}
		reply, err := sdkDo(client, r)
		if err != nil {
			reply = "error " + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Println(sdkReply + reply)
	}
}

func sdkDo(client naming_client.INamingClient, r sdkRequest) (string, error) {
	if r.Op == "batch" {
		batches.Store(r.Service, r)
	}
	return sdkCall(client, r)
}

// batches are registered again every other second: after a reconnection the SDK itself leaves out those that fail once.
var batches sync.Map

func keepBatches(client naming_client.INamingClient) {
	for range time.Tick(2 * time.Second) {
		batches.Range(func(_, r any) bool {
			_, _ = sdkCall(client, r.(sdkRequest))
			return true
		})
	}
}

func sdkCall(client naming_client.INamingClient, r sdkRequest) (string, error) {
	one := vo.RegisterInstanceParam{
		ServiceName: r.Service, GroupName: r.Group, Ip: r.IP, Port: r.Port, Weight: r.Weight, Metadata: r.Metadata,
		Enable: true, Healthy: true, Ephemeral: true,
	}
	accepted := true
	var err error
	switch r.Op {
	case "register":
		accepted, err = client.RegisterInstance(one)
	case "batch": // ten ports from this one on
		batch := vo.BatchRegisterInstanceParam{ServiceName: r.Service, GroupName: r.Group}
		for range 10 {
			batch.Instances = append(batch.Instances, one)
			one.Port++
		}
		accepted, err = client.BatchRegisterInstance(batch)
	case "deregister":
		accepted, err = client.DeregisterInstance(vo.DeregisterInstanceParam{
			ServiceName: r.Service, GroupName: r.Group, Ip: r.IP, Port: r.Port, Ephemeral: true,
		})
	case "select":
		all, err := client.SelectInstances(vo.SelectInstancesParam{ServiceName: r.Service, GroupName: r.Group, HealthyOnly: true})
		if err != nil && !strings.Contains(err.Error(), "instance list is empty") {
			return "", err
		}
		var found []string
		for _, i := range all {
			found = append(found, fmt.Sprintf("%s:%d", i.Ip, i.Port))
		}
		return strings.Join(found, " "), nil
	}
	if err == nil && !accepted { // a wrong password looks like this
		err = errors.New("not accepted")
	}
	return "done", err
}
