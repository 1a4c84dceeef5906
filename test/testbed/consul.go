package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Consul is one Consul 1.22 server. As started by default it keeps nothing: Restart and a kill lose its data.
type Consul struct {
	*Server
	node    string
	options consulOptions
	joins   []string // serf addresses of the whole cluster; nil when alone
}

type consulOptions struct {
	durable bool
	token   string
	tls     *CA
	mutual  bool
	config  []string
}

// WithData makes a Consul keep its data over Restart, and over Kill.
func WithData() Option { return func(o *options) { o.consul.durable = true } }

// WithACL turns a Consul's ACLs on, default policy deny, with this UUID as the token of management. Changed tokens and
// policies count after a second.
func WithACL(token string) Option { return func(o *options) { o.consul.token = token } }

// WithHTTPS opens a Consul's HTTPS port (HTTP/2) with a certificate for localhost and 127.0.0.1.
func WithHTTPS(ca *CA) Option { return func(o *options) { o.consul.tls = ca } }

// WithClientCertificates opens the HTTPS port to clients whose certificate ca has signed, and to no others.
func WithClientCertificates(ca *CA) Option {
	return func(o *options) { o.consul.tls, o.consul.mutual = ca, true }
}

// WithConsul adds lines of HCL to a Consul's configuration, for example "limits { http_max_conns_per_client = 20 }".
func WithConsul(hcl ...string) Option {
	return func(o *options) { o.consul.config = append(o.consul.config, hcl...) }
}

// StartConsul starts a server for this test.
func StartConsul(tb testing.TB, opts ...Option) *Consul {
	tb.Helper()
	return private(tb, func(ctx context.Context) (*Consul, error) { return newConsul(ctx, collect(opts).consul) })
}

// SharedConsul starts a server for all tests of a package; TestMain calls the function returned when they are done.
func SharedConsul(opts ...Option) (*Consul, func(), error) {
	c, err := newConsul(context.Background(), collect(opts).consul)
	if err != nil {
		return nil, nil, err
	}
	return c, c.close, nil
}

func newConsul(ctx context.Context, o consulOptions) (*Consul, error) {
	c, err := layConsul(ctx, "bed", o)
	if err != nil {
		return nil, err
	}
	if err := c.prepare(nil); err != nil {
		c.close()
		return nil, err
	}
	if err := c.launch(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// layConsul builds the program, if need be, and reserves ports and folder.
func layConsul(ctx context.Context, node string, o consulOptions) (*Consul, error) {
	program, err := consulPath(ctx)
	if err != nil {
		return nil, fmt.Errorf("find Consul: %w (%w)", err, errNotPrepared)
	}
	ports, err := reservePorts()
	if err != nil {
		return nil, err
	}
	s, err := newServer("consul-"+node, ports)
	if err != nil {
		return nil, err
	}
	c := &Consul{Server: s, node: node, options: o}
	s.command = func() *exec.Cmd {
		cmd := exec.Command(program, c.args()...)
		cmd.Dir = s.dir
		return cmd
	}
	s.ready = c.ready
	return c, nil
}

// prepare writes the configuration.
func (c *Consul) prepare(joins []string) error {
	c.joins = joins
	if err := os.WriteFile(c.configPath(), []byte(c.config()), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", c.configPath(), err)
	}
	return nil
}

func (c *Consul) configPath() string { return filepath.Join(filepath.Dir(c.logPath), "consul.hcl") }

func (c *Consul) args() []string {
	args := []string{
		"agent", "-config-file=" + c.configPath(), "-node=" + c.node, "-bind=127.0.0.1", "-client=127.0.0.1",
		"-disable-host-node-id", "-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1", "-serf-wan-port=-1", "-log-level=warn",
		"-http-port=" + strconv.Itoa(c.ports.Port(1)),
		"-serf-lan-port=" + strconv.Itoa(c.ports.Port(3)), "-server-port=" + strconv.Itoa(c.ports.Port(4)),
	}
	if c.options.tls != nil {
		args = append(args, "-https-port="+strconv.Itoa(c.ports.Port(2)))
	}
	switch {
	case len(c.joins) > 0:
		args = append(args, "-server", "-data-dir="+c.dir, "-bootstrap-expect="+strconv.Itoa(len(c.joins)))
		for _, join := range c.joins {
			args = append(args, "-retry-join="+join)
		}
	case c.options.durable:
		args = append(args, "-server", "-data-dir="+c.dir, "-bootstrap-expect=1")
	default:
		args = append(args, "-dev")
	}
	return args
}

func (c *Consul) config() string {
	lines := []string{"disable_update_check = true", "leave_on_terminate = false", "performance { raft_multiplier = 1 }"}
	if t := c.options.token; t != "" {
		lines = append(lines, fmt.Sprintf(`acl { enabled = true, default_policy = "deny", token_ttl = "1s", policy_ttl = "1s", tokens { initial_management = %q, agent = %q } }`, t, t))
	}
	if ca := c.options.tls; ca != nil {
		pair := ca.Server("localhost", "127.0.0.1")
		lines = append(lines, fmt.Sprintf(`tls { https { cert_file = %q, key_file = %q, ca_file = %q, verify_incoming = %t } }`,
			pair.Cert, pair.Key, ca.File(), c.options.mutual))
	}
	return strings.Join(append(lines, c.options.config...), "\n") + "\n"
}

// Addr is the HTTP address, "127.0.0.1:PORT".
func (c *Consul) Addr() string { return loopback(c.ports.Port(1)) }

// TLSAddr is the HTTPS address of a server started with WithHTTPS.
func (c *Consul) TLSAddr() string { return loopback(c.ports.Port(2)) }

// Token is the token of management, "" without ACLs.
func (c *Consul) Token() string { return c.options.token }

// ready: the node itself is in the catalogue only after there is a leader, the ACLs are set up and the agent has synced.
func (c *Consul) ready(ctx context.Context) error {
	text, err := c.Get(ctx, "/v1/catalog/node/"+c.node)
	if err == nil && !strings.Contains(text, `"consul"`) {
		err = errors.New("it is not in its own catalogue yet")
	}
	return err
}

// Get asks the HTTP API, with the token of management.
func (c *Consul) Get(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Addr()+path, nil)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", path, err)
	}
	req.Header.Set("X-Consul-Token", c.options.token)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", path, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", path, err)
	}
	return string(text), nil
}
