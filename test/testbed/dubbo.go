package testbed

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ProviderOptions describe one Java process that offers com.example.UserService (java/provider), once as group g1
// version 1.0.0 and once with neither.
type ProviderOptions struct {
	// Version of Dubbo: "3.3.6" (the default) or "2.7.23".
	Version string
	// Registry is its address, "zookeeper://127.0.0.1:N" or "nacos://127.0.0.1:N". It must run.
	Registry string
	// RegisterMode is "all" (the default of 3.3.6), "instance" for the application level alone or "interface" for the
	// interface level alone. 2.7.23 knows "interface" (its default) and "instance".
	RegisterMode string
	// Protocols are "dubbo" and "tri" (3.3.6 only); empty means dubbo.
	Protocols []string
	// Application is the name it registers under; empty means "users".
	Application string
	// Name is what whoami() answers; empty means the application's name and the port.
	Name string
	// Port of the first protocol; 0 takes a free one.
	Port int
	// NoMetadata leaves the metadata centre out. 3.3.6 then uses the registry as one all the same.
	NoMetadata bool
	// Parameters are added to the URLs that it registers, for example weight or timeout.
	Parameters map[string]string
	// JVM are further arguments of the virtual machine, for example "-Ddubbo.application.metadata-type=remote".
	JVM []string
}

// Provider is a running Java provider. It listens on every interface, and registers itself under the name "localhost."
// (with the dot; Dubbo refuses to register a loopback address), so a gateway must resolve names.
// Its registry must not be stopped before it: a provider that lost its registry takes minutes to obey Stop.
type Provider struct {
	*Server
	opts  ProviderOptions
	start int64 // size of the log when the last start began
}

// StartDubboProvider starts a provider for this test; it returns when the provider says that it is registered.
func StartDubboProvider(tb testing.TB, o ProviderOptions) *Provider {
	tb.Helper()
	return private(tb, func(ctx context.Context) (*Provider, error) { return newProvider(ctx, o) })
}

// SharedDubboProvider starts a provider for all tests of a package; TestMain calls the function returned before it
// stops the registry.
func SharedDubboProvider(o ProviderOptions) (*Provider, func(), error) {
	p, err := newProvider(context.Background(), o)
	if err != nil {
		return nil, nil, err
	}
	return p, p.close, nil
}

// BuildDubboProvider builds the provider for one version of Dubbo, unless the cache has it.
func BuildDubboProvider(ctx context.Context, version string) error {
	_, err := providerFolder(ctx, version)
	return err
}

func providerFolder(ctx context.Context, version string) (string, error) {
	if version != "3.3.6" && version != "2.7.23" {
		return "", fmt.Errorf("build Dubbo provider: no version %q, only 3.3.6 and 2.7.23", version)
	}
	return mavenProject(ctx, "provider", "pom-"+version+".xml", "provider-"+version, nil)
}

func newProvider(ctx context.Context, o ProviderOptions) (*Provider, error) {
	if o.Version == "" {
		o.Version = "3.3.6"
	}
	if o.Application == "" {
		o.Application = "users"
	}
	if len(o.Protocols) == 0 {
		o.Protocols = []string{"dubbo"}
	}
	dir, err := providerFolder(ctx, o.Version)
	if err != nil {
		return nil, err
	}
	java, err := findJava()
	if err != nil {
		return nil, err
	}
	ports, err := reservePorts()
	if err != nil {
		return nil, err
	}
	s, err := newServer("provider-"+o.Version, ports)
	if err != nil {
		return nil, err
	}
	if o.Port == 0 {
		o.Port = ports.Port(1)
	}
	if o.Name == "" {
		o.Name = o.Application + ":" + strconv.Itoa(o.Port)
	}
	p := &Provider{Server: s, opts: o}
	s.wait = 2 * time.Minute
	s.grace = time.Minute
	s.ready = p.ready
	s.command = func() *exec.Cmd {
		p.start = 0
		if info, err := os.Stat(s.logPath); err == nil {
			p.start = info.Size()
		}
		cmd := exec.Command(java, p.arguments(dir)...)
		cmd.Dir = s.dir
		return cmd
	}
	if err := s.launch(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Provider) arguments(dir string) []string {
	o := p.opts
	args := jvmFlags(
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-Ddubbo.application.qos-enable=false",
		"-DDUBBO_IP_TO_REGISTRY=localhost.",
		"-Duser.home="+p.dir, // the registry's cache files
	)
	settings := []string{
		"name=" + o.Name,
		"application=" + o.Application,
		"registry=" + o.Registry,
		"protocols=" + p.protocols(),
	}
	if o.Version == "2.7.23" {
		args = append(args, "--add-opens", "java.base/java.lang=ALL-UNNAMED", "--add-opens", "java.base/java.math=ALL-UNNAMED")
		if o.RegisterMode == "instance" {
			settings = append(settings, "registry.registry-type=service")
		}
	} else if o.RegisterMode != "" {
		args = append(args, "-Ddubbo.application.register-mode="+o.RegisterMode)
	}
	if o.NoMetadata {
		settings = append(settings, "metadata=false")
	}
	for key, value := range o.Parameters {
		settings = append(settings, "service."+key+"="+value)
	}
	args = append(args, o.JVM...)
	args = append(args, "-cp", classPath(filepath.Join(dir, "provider.jar"), filepath.Join(dir, "lib", "*")), "com.example.Main")
	return append(args, settings...)
}

func (p *Provider) protocols() string {
	specs := make([]string, len(p.opts.Protocols))
	for i, name := range p.opts.Protocols {
		specs[i] = name + ":" + strconv.Itoa(p.port(i))
	}
	return strings.Join(specs, ",")
}

// port of the i-th protocol: the one asked for, and then the next ones of the block.
func (p *Provider) port(i int) int {
	if i == 0 {
		return p.opts.Port
	}
	return p.ports.Port(1 + i)
}

// Addr is the address of its first protocol on loopback, "127.0.0.1:PORT".
func (p *Provider) Addr() string { return loopback(p.port(0)) }

// AddrOf is the address of one of its protocols, "dubbo" or "tri"; it is "" for one that the provider does not speak.
func (p *Provider) AddrOf(protocol string) string {
	i := slices.Index(p.opts.Protocols, protocol)
	if i < 0 {
		return ""
	}
	return loopback(p.port(i))
}

// Name is what its whoami() answers.
func (p *Provider) Name() string { return p.opts.Name }

// ready looks for the READY line of this start, and knocks.
func (p *Provider) ready(context.Context) error {
	text, err := os.ReadFile(p.logPath)
	if err != nil {
		return err
	}
	if !strings.Contains(string(text[min(p.start, int64(len(text))):]), "READY ") {
		return fmt.Errorf("it has not printed READY")
	}
	conn, err := net.DialTimeout("tcp", p.Addr(), time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}
