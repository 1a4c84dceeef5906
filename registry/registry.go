package registry

import (
	"context"
	"log/slog"
	"time"
)

// WithdrawTimeout bounds how long a Registrar tries to withdraw a registration.
const WithdrawTimeout = 5 * time.Second

// Registry watches one registry server or cluster. Each watch pushes complete states, never deltas, until its ctx ends.
//
// push is called from one goroutine at a time for one watch, and returns quickly. A state that has not changed may be
// pushed again; a registry does so after it lost its connection and found it again, as proof that the state is live.
type Registry interface {
	// Run keeps the connection until ctx ends, and reports every change of its health through Options.Report. Watches may
	// begin before Run and simply wait. It returns nil when ctx ended; any other error means that it cannot work at all.
	Run(ctx context.Context) error

	// WatchServices reports the full set of service names, now and whenever it changes. It returns when ctx ends, or
	// ErrNotListable at once.
	WatchServices(ctx context.Context, push func(ServiceSet)) error

	// Watch reports every instance of one service, now and whenever they change, and returns when ctx ends. A service
	// that does not exist is an empty Snapshot, as soon as the registry said so. Trouble on the way is reported through
	// Options.Report and retried; an error is returned only for a name that can never be watched.
	Watch(ctx context.Context, service ServiceName, push func(Snapshot)) error
}

// State is how a registry's own connection is doing.
type State uint8

const (
	// Connecting: no answer yet since the start.
	Connecting State = iota
	// Live: connected, pushes arrive.
	Live
	// Stale: the connection was lost; what was pushed may be old.
	Stale
)

// String gives the word that status shows.
func (s State) String() string {
	switch s {
	case Connecting:
		return "connecting"
	case Live:
		return "live"
	case Stale:
		return "stale"
	}
	return "unknown"
}

// Options is what every registry gets from whoever builds it.
type Options struct {
	// Name is the registry's name in the document.
	Name string
	// Logger is never nil.
	Logger *slog.Logger
	// Report takes changes of State, and errors: err is why the state is not Live, or a failure that did not change it
	// (a watch that is refused, an answer that cannot be read). It is never nil, returns quickly, and may be called from
	// any goroutine.
	Report func(State, error)
	// Dubbo, if not nil, fetches an instance's own metadata for application-level Dubbo discovery.
	Dubbo MetadataFetcher
}

// Config is a registry's section of the document: it knows its defaults, checks itself, and builds the registry.
type Config interface {
	// Validate names what is wrong, field by field.
	Validate() error
	// Identity says which registry this is, and which part of it is seen: type, addresses, namespace. It holds no secret.
	// What was kept of a registry of another identity is not this one's.
	Identity() string
	// Build makes the registry. It does not connect; Run does.
	Build(opts Options) (Registry, error)
}

// MetadataFetcher asks a Dubbo instance which services a revision of its application exports (Dubbo's MetadataService),
// for registries that do not store it. Package protocol/dubbo implements it.
type MetadataFetcher interface {
	// FetchMetadata returns the MetadataInfo document as JSON. address is host:port of the instance's metadata service,
	// protocol is "dubbo" or "tri".
	FetchMetadata(ctx context.Context, protocol, address, application, revision string) ([]byte, error)
}

// DefinitionWatcher is implemented by registries that also hold Dubbo's FullServiceDefinition documents.
type DefinitionWatcher interface {
	// WatchDefinition pushes the JSON definition of a Dubbo service's methods and types, now and whenever it changes; nil
	// when the centre holds none. Group and version are exact. It returns when ctx ends.
	WatchDefinition(ctx context.Context, service ServiceName, push func(definition []byte)) error
}
