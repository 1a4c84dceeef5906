package file

import (
	"errors"
	"path/filepath"
	"sync"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/static"
)

// Config is the section of a registry of type file.
type Config struct {
	// Path of the folder whose *.yaml and *.yml files list services. It need not exist yet. Required.
	Path string `yaml:"path"`
}

// Default is a section without a path.
func Default() *Config { return &Config{} }

// Validate asks for the path.
func (c *Config) Validate() error {
	if c.Path == "" {
		return errors.New("path: is missing")
	}
	return nil
}

// Resolve makes a relative path count from folder, where the document stands.
func (c *Config) Resolve(folder string) {
	if c.Path != "" && !filepath.IsAbs(c.Path) {
		c.Path = filepath.Join(folder, c.Path)
	}
}

// Authored implements registry.Authored.
func (c *Config) Authored() {}

// Identity implements registry.Config.
func (c *Config) Identity() string { return "file " + c.Path }

// Build makes the registry. It reads nothing; Run does.
func (c *Config) Build(opts registry.Options) (registry.Registry, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &folder{path: c.Path, opts: opts, files: map[string]*loaded{}, changed: make(chan struct{})}, nil
}

// document is one file of the folder.
type document struct {
	Services map[string][]static.Instance `yaml:"services"`
	Dubbo    []dubboService               `yaml:"dubbo"`
}

// dubboService is a Dubbo service that may say what its methods and types are.
type dubboService struct {
	Service static.DubboService `yaml:",inline"`
	// Definition is Dubbo's FullServiceDefinition: a JSON file inside the folder, or the document itself.
	Definition any `yaml:"definition"`
}

// services is the part that the static registry knows, too.
func (d *document) services() *static.Config {
	c := &static.Config{Services: d.Services}
	for _, s := range d.Dubbo {
		c.Dubbo = append(c.Dubbo, s.Service)
	}
	return c
}

// Validate names each mistake by its place in the file.
func (d *document) Validate() error { return d.services().Validate() }

// folder is the registry.
type folder struct {
	path  string
	opts  registry.Options
	files map[string]*loaded // Run's goroutine only

	mu      sync.Mutex
	state   *state        // nil until the folder has been read once
	changed chan struct{} // closed when state is replaced
}

// state is what the watches push from; it is immutable.
type state struct {
	entries     []static.Entry // sorted
	definitions map[registry.ServiceName][]byte
	bad         []badFile
	// revival counts how often the folder has become readable: each time, states are pushed as proof that they are live.
	revival int
}

// badFile is a file that could not be read, whose last good content stays.
type badFile struct {
	name, reason string
	// services of its last good content; nil when it has none, so that any service may miss instances because of it.
	services map[registry.ServiceName]bool
}

func (f *folder) publish(s *state) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = s
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *folder) now() (*state, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state, f.changed
}
