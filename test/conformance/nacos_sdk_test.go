package conformance

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/nacos-group/nacos-sdk-go/v2/clients"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/naming_client"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
)

// Nacos's own client registers instances that live as long as its connection does, and registers them again by itself
// after it was lost. It opens a UDP port and leaves goroutines behind, so it lives in processes of its own: this test
// binary, started again with providersEnv set to a folder for what it writes.

const (
	providersEnv = "SLUICE_CONFORMANCE_PROVIDERS"
	replyMark    = "@@reply " // the client prints to stdout as well
)

// providerCommand asks the process to register or to withdraw one instance.
type providerCommand struct {
	Address, Space, Service, Host, Who string
	Port                               int
	Weight                             float64
	Disabled, Remove                   bool
}

// nacosSDKWriter is such a process. It has one client for each instance, as instances in the wild have.
type nacosSDKWriter struct {
	t       testing.TB
	address string

	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func nacosSDKWriterTo(t testing.TB, address string) *nacosSDKWriter {
	t.Helper()
	w := &nacosSDKWriter{t: t, address: address}
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.kill)
	return w
}

func (w *nacosSDKWriter) start() error {
	w.cmd = exec.Command(os.Args[0])
	w.cmd.Env = append(os.Environ(), providersEnv+"="+w.t.TempDir())
	var err error
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	w.out = bufio.NewScanner(out)
	return w.cmd.Start()
}

// kill ends the process, and with it the connections and what is registered by them.
func (w *nacosSDKWriter) kill() {
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
}

func (w *nacosSDKWriter) renew(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kill()
	return w.start()
}

func (w *nacosSDKWriter) put(_ context.Context, e entry) error {
	return w.do(providerCommand{
		Address: w.address, Space: e.space, Service: e.service, Host: e.host, Port: e.port, Who: e.who,
		Weight: cmp.Or(e.weight, 1), Disabled: e.disabled,
	})
}

func (w *nacosSDKWriter) remove(_ context.Context, e entry) error {
	return w.do(providerCommand{Address: w.address, Space: e.space, Service: e.service, Host: e.host, Port: e.port, Remove: true})
}

func (w *nacosSDKWriter) do(c providerCommand) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := json.NewEncoder(w.in).Encode(c); err != nil {
		return fmt.Errorf("ask the client's process: %w", err)
	}
	for w.out.Scan() {
		if reply, ok := strings.CutPrefix(w.out.Text(), replyMark); ok {
			if reply != "" {
				return errors.New(reply)
			}
			return nil
		}
	}
	return fmt.Errorf("the client's process has ended: %w", cmp.Or(w.out.Err(), io.EOF))
}

// provideNacos is the process: commands come in lines of JSON, and each is answered by a line. It ends with its input.
func provideNacos(in io.Reader, out io.Writer, dir string) {
	registered := map[string]naming_client.INamingClient{}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var c providerCommand
		err := json.Unmarshal(lines.Bytes(), &c)
		if err == nil {
			err = c.run(registered, dir)
		}
		reply := ""
		if err != nil {
			reply = strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Fprintf(out, "%s%s\n", replyMark, reply)
	}
}

func (c *providerCommand) run(registered map[string]naming_client.INamingClient, dir string) error {
	id := fmt.Sprintf("%s %s %s:%d", c.Space, c.Service, c.Host, c.Port)
	client := registered[id]
	if c.Remove {
		if client == nil {
			return nil
		}
		ok, err := client.DeregisterInstance(vo.DeregisterInstanceParam{
			Ip: c.Host, Port: uint64(c.Port), ServiceName: c.Service, Ephemeral: true,
		})
		if err != nil || !ok {
			return fmt.Errorf("deregister: %t, %w", ok, err)
		}
		client.CloseClient()
		delete(registered, id)
		return nil
	}
	if client == nil {
		var err error
		if client, err = c.connect(dir); err != nil {
			return err
		}
		registered[id] = client
	}
	ok, err := client.RegisterInstance(vo.RegisterInstanceParam{
		Ip: c.Host, Port: uint64(c.Port), ServiceName: c.Service, Weight: c.Weight,
		Enable: !c.Disabled, Healthy: true, Ephemeral: true, Metadata: map[string]string{"who": c.Who},
	})
	if err != nil || !ok {
		return fmt.Errorf("register: %t, %w", ok, err)
	}
	return nil
}

func (c *providerCommand) connect(dir string) (naming_client.INamingClient, error) {
	host, port := hostPort(c.Address)
	client, err := clients.NewNamingClient(vo.NacosClientParam{
		ServerConfigs: []constant.ServerConfig{*constant.NewServerConfig(host, uint64(port))},
		ClientConfig: constant.NewClientConfig(
			constant.WithNamespaceId(c.Space), constant.WithNotLoadCacheAtStart(true), constant.WithTimeoutMs(3000),
			constant.WithLogDir(dir), constant.WithCacheDir(dir), constant.WithLogLevel("error"),
		),
	})
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return client, nil
}
