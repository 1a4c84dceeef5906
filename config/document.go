package config

import (
	"net/netip"
	"time"
)

// Document is a whole configuration.
type Document struct {
	// Listeners are the addresses that take traffic.
	Listeners []Listener `yaml:"listeners"`
	// Registries are where services are found.
	Registries []Registry `yaml:"registries"`
	// Admin is the management address.
	Admin Admin `yaml:"admin"`
	// Routes say which requests go where. Their order decides only between equally specific ones.
	Routes []Route `yaml:"routes"`
	// Services say how to treat a service, wherever a route uses it. The first entry that matches wins.
	Services []Service `yaml:"services"`
	// Zone that the gateway runs in. Instances of the same zone come first.
	Zone string `yaml:"zone"`
	// AccessLog says where one line per request goes.
	AccessLog AccessLog `yaml:"accessLog"`
	// LastKnownGood keeps what registries said on disk, for a start without them.
	LastKnownGood LastKnownGood `yaml:"lastKnownGood"`
	// Registrations announce the gateway itself in registries, while it takes traffic.
	Registrations []Registration `yaml:"registrations"`
	// Startup bounds the wait for registries at start.
	Startup Startup `yaml:"startup"`
	// Shutdown bounds the graceful stop.
	Shutdown Shutdown `yaml:"shutdown"`
	// Refused are the routes that Parse left out of Routes because of their mistakes.
	Refused []RefusedRoute `yaml:"-"`
}

// Listener is one address that takes traffic.
type Listener struct {
	// Name for logs and metrics; required and unique.
	Name string `yaml:"name"`
	// Address is host:port; ":8080" is every interface.
	Address string `yaml:"address"`
	// TrustedProxies are the networks whose X-Forwarded-* and Forwarded fields are believed; from anybody else these
	// fields are dropped.
	TrustedProxies []netip.Prefix `yaml:"trustedProxies"`
	// TLS makes clients come by TLS; without it they come in clear text.
	TLS *ListenerTLS `yaml:"tls"`
	// Limits bound what one request may take.
	Limits Limits `yaml:"limits"`
	// Timeouts bound how long a client may take.
	Timeouts ListenerTimeouts `yaml:"timeouts"`
}

// ListenerTLS is how clients come by TLS. Relative files count from the document's folder; they are read again when they
// change.
type ListenerTLS struct {
	// Certificates of the listener. The one whose names fit what the client asks for (SNI) is shown, or else the first.
	// Required.
	Certificates []Certificate `yaml:"certificates"`
	// MinVersion is "1.2" (default) or "1.3".
	MinVersion string `yaml:"minVersion"`
	// ClientAuth says what a client's certificate is: none (default) does not ask for it, optional verifies it when there is
	// one, required lets nobody in without it.
	ClientAuth string `yaml:"clientAuth"`
	// ClientCA is a file of PEM certificates that sign the clients'.
	ClientCA string `yaml:"clientCA"`
}

// Certificate is a certificate with its key.
type Certificate struct {
	// Cert is a file with the certificate in PEM, followed by those that sign it. Required.
	Cert string `yaml:"cert"`
	// Key is a file with its private key in PEM. Required.
	Key string `yaml:"key"`
}

// Limits bound what one request may take.
type Limits struct {
	// HeaderBytes is the whole head but the request line: over it 431.
	HeaderBytes Size `yaml:"headerBytes"`
	// HeaderCount is the number of fields: over it 431.
	HeaderCount int `yaml:"headerCount"`
	// URIBytes is the request target: over it 414.
	URIBytes Size `yaml:"uriBytes"`
	// BodyBytes is the content: over it 413; 0 means no limit.
	BodyBytes Size `yaml:"bodyBytes"`
	// Streams is how many requests one HTTP/2 connection may have open: further ones are refused, to be sent again.
	Streams int `yaml:"streams"`
	// Connections open at once on this listener; further ones wait in the kernel's queue. 0 means no limit.
	Connections int `yaml:"connections"`
}

// ListenerTimeouts bound how long a client may take.
type ListenerTimeouts struct {
	// Header is from the first byte of a head to its end: over it 408.
	Header time.Duration `yaml:"header"`
	// Body is the longest silence while a body is awaited: over it 408.
	Body time.Duration `yaml:"body"`
	// Idle is how long a connection may wait for its next request.
	Idle time.Duration `yaml:"idle"`
	// ConnectionAge is when an HTTP/2 connection is told to go away politely, so that clients come to look at other gateways
	// again; up to a tenth more by chance. 0 means never.
	ConnectionAge time.Duration `yaml:"connectionAge"`
	// Write is the longest time that a client may take nothing while we have something to send.
	Write time.Duration `yaml:"write"`
}

// Registry is one place where services are found.
type Registry struct {
	// Name by which routes refer to it; required and unique.
	Name string
	// Type is the kind of registry.
	Type string
	// Members, of the type merged, are the registries it is made of, the most trusted first.
	Members []string
	// Protection says how far the registry is believed.
	Protection Protection
	// DenyAddresses are networks whose addresses are never used, whoever registers them.
	DenyAddresses []netip.Prefix
	// Config is what Kinds.Registries[Type] made, filled in; nil for a merged one.
	Config any
	// Pos is where it stands.
	Pos Position
}

// Merged is the type of a registry that is made of others.
const Merged = "merged"

// Protection says how far a registry is believed when much disappears at once. What it takes away beyond these bounds
// stays in use for a while, as long as it accepts connections.
type Protection struct {
	// Service is the share of one service's instances, 0 to 1, that may be gone with one change; 0 turns it off.
	Service float64 `yaml:"service"`
	// Registry is the share of all instances in use of the registry that may be gone within five seconds; 0 turns it off.
	Registry float64 `yaml:"registry"`
	// Min is the number of instances below which no loss is suspicious.
	Min int `yaml:"min"`
	// Hold is how long what has disappeared stays in use at most.
	Hold time.Duration `yaml:"hold"`
}

// LastKnownGood keeps what registries said on disk. A registry that does not answer at start is replaced by what is there,
// marked as stale, until it speaks.
type LastKnownGood struct {
	// Path is a folder; empty keeps nothing.
	Path string `yaml:"path"`
	// MaxAge is the age beyond which a file is refused.
	MaxAge time.Duration `yaml:"maxAge"`
}

// Registration announces the gateway in one registry. It is withdrawn first when the gateway stops.
type Registration struct {
	// Registry is the name of a registry; it may be left out when the document has exactly one.
	Registry string `yaml:"registry"`
	// Service is the name under which others find the gateway. Required.
	Service string `yaml:"service"`
	// Group of the service, for registries that have groups (Nacos).
	Group string `yaml:"group"`
	// Listener whose port is announced; it may be left out when the document has exactly one.
	Listener string `yaml:"listener"`
	// Address is announced instead: a host, which goes with the listener's port, or host:port. Empty means the listener's
	// host, or this machine's first address that is not loopback when the listener takes every interface.
	Address string `yaml:"address"`
	// Weight relative to the other instances of the service.
	Weight float64 `yaml:"weight"`
	// Zone the gateway runs in.
	Zone string `yaml:"zone"`
	// Metadata is free.
	Metadata map[string]string `yaml:"metadata"`
	// HealthURL is where the registry may ask whether the gateway is alive (Consul, Eureka).
	HealthURL string `yaml:"healthURL"`
}

// Admin is the management address.
type Admin struct {
	// Address is host:port, loopback by default; "off" closes it.
	Address string `yaml:"address"`
	// Recent is how many of the last requests are remembered, for questions by request id; 0 is none. Half of them are
	// those that failed or were tried again.
	Recent int `yaml:"recent"`
}

// Route says which requests go where.
type Route struct {
	// Name for logs, metrics and status; required and unique.
	Name string `yaml:"name"`
	// Match is what a request must have; every condition given must hold.
	Match Match `yaml:"match"`
	// Filters see the request in this order, and the response in the opposite one.
	Filters []Plugin `yaml:"filters"`
	// FlowControl limits the route; none means that no rule engine is entered.
	FlowControl *FlowControl `yaml:"flowControl"`
	// To is where the request goes. A route whose filters answer themselves (redirect, fixedResponse) needs none.
	To *Target `yaml:"to"`
	// Pos is where the route stands.
	Pos Position `yaml:"-"`
}

// Match is what a request must have.
type Match struct {
	// Hosts are exact names or wildcards ("*.example.com"); none means any.
	Hosts []string `yaml:"hosts"`
	// Path is a path pattern: "/a/{id}", "/a/*", "/a/**", "/a/{name:regex}". Required.
	Path string `yaml:"path"`
	// Methods allowed; none means any.
	Methods []string `yaml:"methods"`
	// Headers, Query and Cookies must all hold, by name.
	Headers map[string]ValueMatch `yaml:"headers"`
	Query   map[string]ValueMatch `yaml:"query"`
	Cookies map[string]ValueMatch `yaml:"cookies"`
}

// ValueMatch is a condition on one value. In YAML a plain string means exact.
type ValueMatch struct {
	// Exact, Prefix and Regex: at most one of them. Regex (RE2) must match the whole value. With none of them the field
	// must be present.
	Exact  string `yaml:"exact"`
	Prefix string `yaml:"prefix"`
	Regex  string `yaml:"regex"`
	// Present false asks that the field be absent.
	Present *bool `yaml:"present"`
}

// Plugin is a named, decoded plug-in section: a filter.
type Plugin struct {
	// Name of the kind, such as stripPrefix.
	Name string
	// Config is what Kinds.Filters[Name] made, filled in.
	Config any
	// Pos is where it stands.
	Pos Position
}

// FlowControl holds the limits written in a route itself.
type FlowControl struct {
	// QPS is requests per second; 0 means no such limit.
	QPS float64 `yaml:"qps"`
	// Concurrency is requests running at once; 0 means no such limit.
	Concurrency int `yaml:"concurrency"`
}

// Target is where a request goes.
type Target struct {
	// Service is the service's name in the registry. It may hold captures of the path, as in "{service}".
	Service string `yaml:"service"`
	// Group of the service, for registries that have groups (Nacos); empty means every group the registry is set to.
	Group string `yaml:"group"`
	// Registry is the name of a registry; it may be left out when the document has exactly one.
	Registry string `yaml:"registry"`
	// Discover says which services a name with captures may come to.
	Discover Discover `yaml:"discover"`
	// Subset narrows the service to some of its instances.
	Subset *Subset `yaml:"subset"`
	// Split divides the requests among several services, or subsets of one, by weight.
	Split []Split `yaml:"split"`
	// Hedge sends a second try of requests that are late.
	Hedge *Hedge `yaml:"hedge"`
	// Mirror sends copies of the requests to another service as well, and drops its answers.
	Mirror *Mirror `yaml:"mirror"`
	// GRPC says how a gRPC service is offered; gRPC itself passes without it.
	GRPC *GRPC `yaml:"grpc"`
	// Dubbo makes the target a Dubbo method.
	Dubbo *Dubbo `yaml:"dubbo"`
	// Timeout bounds the whole exchange with the service, retries included, until the answer's head; 0 means none.
	Timeout time.Duration `yaml:"timeout"`
	// Retries say what is tried again.
	Retries Retries `yaml:"retries"`
}

// GRPC says how a gRPC service is offered. Instances speak h2c unless they, or the section services, say otherwise.
type GRPC struct {
	// Transcode offers the service as JSON over HTTP too: by its google.api.http annotations, and every method as
	// POST /package.Service/Method. The route's path must let these through.
	Transcode bool `yaml:"transcode"`
	// Services are the full names of those that can be called as JSON; none means all that are described.
	Services []string `yaml:"services"`
	// Descriptors is a file with a descriptor set (protoc --descriptor_set_out --include_imports), Protos a folder of .proto
	// files. Without either the servers are asked by reflection. Relative ones count from the document's folder.
	Descriptors string `yaml:"descriptors"`
	Protos      string `yaml:"protos"`
	// Refresh is how old what was read may get.
	Refresh time.Duration `yaml:"refresh"`
	// Web takes gRPC-Web and Connect as well.
	Web bool `yaml:"web"`
	// MessageBytes bounds each message, in either direction.
	MessageBytes Size `yaml:"messageBytes"`
	// JSON says how messages look.
	JSON GRPCJSON `yaml:"json"`
}

// GRPCJSON says how messages look as JSON. Without any of it they are protobuf's canonical JSON.
type GRPCJSON struct {
	// ProtoNames writes names as they are in the .proto file. Both are always read.
	ProtoNames bool `yaml:"protoNames"`
	// EnumNumbers writes enums as numbers.
	EnumNumbers bool `yaml:"enumNumbers"`
	// Int64Numbers writes 64-bit integers as numbers, which JavaScript rounds beyond 2^53.
	Int64Numbers bool `yaml:"int64Numbers"`
	// Unset writes fields that have no value as well.
	Unset bool `yaml:"unset"`
	// IgnoreUnknown accepts fields and query parameters that the message does not have.
	IgnoreUnknown bool `yaml:"ignoreUnknown"`
}

// Hedge sends a second try of a request that is late to another instance; the first answer counts, and the other try is
// given up. It is for requests that may run twice (retries.idempotent, or their method says so) and have no body, and is
// taken out of the service's retryBudget.
type Hedge struct {
	// Delay after which a request is late; 0 means when it takes longer than 95 of 100 answers of the service of late.
	Delay time.Duration `yaml:"delay"`
}

// Subset narrows a service to the instances whose metadata says what the route, or the request, asks for.
type Subset struct {
	// Metadata is what instances must have: by name a text, or where the request says it: "{header.X-Version}",
	// "{cookie.NAME}", "{query.NAME}", "{path.NAME}". A request that does not say it may go to every instance. "version" and
	// "zone" are also the instance's own where its metadata has no such name.
	Metadata map[string]string `yaml:"metadata"`
	// Fallback is what happens when no instance fits: any (default) takes every instance, none answers 503.
	Fallback string `yaml:"fallback"`
}

// Split is one part of the traffic of a route.
type Split struct {
	// Service, Group and Registry are the route's unless they are given.
	Service  string `yaml:"service"`
	Group    string `yaml:"group"`
	Registry string `yaml:"registry"`
	// Subset narrows the service to some of its instances.
	Subset *Subset `yaml:"subset"`
	// Weight is its share of the sum of all weights.
	Weight int `yaml:"weight"`
}

// Mirror is where copies of a route's requests go. The requests never wait for their copies: at most 64 of a route run at
// once, and one with a body of more than 64 KB, or whose body is still on its way, is not copied.
type Mirror struct {
	// Service gets the copies. Required.
	Service string `yaml:"service"`
	// Group and Registry are the service's; the registry is the route's unless it is given.
	Group    string `yaml:"group"`
	Registry string `yaml:"registry"`
	// Subset narrows the service to some of its instances.
	Subset *Subset `yaml:"subset"`
	// Share of the requests that are copied, 0 to 1.
	Share float64 `yaml:"share"`
}

// Discover says which services of the registry a name with captures may come to. A service that it does not allow is 404
// like one that does not exist.
type Discover struct {
	// Include are names, or patterns with "*"; none means every service.
	Include []string `yaml:"include"`
	// Exclude are names, or patterns with "*", that are left out.
	Exclude []string `yaml:"exclude"`
	// LowerCase makes the name in the request lower case, whatever the registry's spelling: "/orders" is ORDERS.
	LowerCase bool `yaml:"lowerCase"`
}

// Retries say what is tried again. Only requests that can be replayed are.
type Retries struct {
	// Attempts beyond the first; 0 turns retries off.
	Attempts int `yaml:"attempts"`
	// On says which outcomes are tried again: connect (nothing was sent), reset (the instance hung up before its answer, or
	// refused for lack of capacity), timeout (perTry has passed), 5xx, or single statuses such as 503.
	On []string `yaml:"on"`
	// PerTry bounds each try until its answer's head; 0 means that only the whole timeout counts.
	PerTry time.Duration `yaml:"perTry"`
	// Backoff is the mean pause before a try when every instance has been tried already; it doubles each time. As long as
	// there is another instance it is asked at once.
	Backoff time.Duration `yaml:"backoff"`
	// Idempotent says that requests of this route may run twice whatever their method, POST and calls of Dubbo methods too.
	Idempotent bool `yaml:"idempotent"`
}

// Dubbo names one Dubbo method and where its arguments come from.
type Dubbo struct {
	// Interface is the Java interface.
	Interface string `yaml:"interface"`
	// Method is its name; it may hold captures of the path.
	Method string `yaml:"method"`
	// Group and Version select the service; the headers x-dubbo-group and x-dubbo-version do when these are empty.
	Group   string `yaml:"group"`
	Version string `yaml:"version"`
	// Args are templates, one for each parameter: "{path.id}", "{query.q}", "{header.X-Tenant}", "{cookie.sid}", "{body}",
	// "{body/pointer}", or a constant. Without args the body is the argument (one bean), or an array by position.
	Args []any `yaml:"args"`
	// Types are the Java types of the parameters, for services without a definition in the registry, or to choose an
	// overload.
	Types []string `yaml:"types"`
	// Attachments are the request headers that become attachments, beside traceparent.
	Attachments []string `yaml:"attachments"`
	// Unknown says what an unknown property of a bean is: "reject" (default) or "ignore".
	Unknown string `yaml:"unknown"`
}

// Service says how to treat services that match.
type Service struct {
	// Match selects services.
	Match ServiceMatch `yaml:"match"`
	// Balance chooses instances.
	Balance Balance `yaml:"balance"`
	// Protocol the instances speak when they do not say it themselves: http1 (default), dubbo.
	Protocol string `yaml:"protocol"`
	// TLS is set when the instances are reached by TLS.
	TLS *UpstreamTLS `yaml:"tls"`
	// Connections bound what one instance gets.
	Connections Connections `yaml:"connections"`
	// Timeouts bound how long an instance may take.
	Timeouts UpstreamTimeouts `yaml:"timeouts"`
	// Limits bound the requests that run at once.
	Limits RequestLimits `yaml:"limits"`
	// HealthCheck asks the instances whether they are well; without it nobody asks, beside the registry.
	HealthCheck *HealthCheck `yaml:"healthCheck"`
	// Outlier takes instances out for a while whose answers are worse than those of the others.
	Outlier Outlier `yaml:"outlier"`
	// RetryBudget bounds the retries of all routes to the service.
	RetryBudget RetryBudget `yaml:"retryBudget"`
	// PreserveHost sends the client's Host on; false sends the instance's address.
	PreserveHost bool `yaml:"preserveHost"`
}

// ServiceMatch selects services.
type ServiceMatch struct {
	// Service is a name, or a pattern with "*".
	Service string `yaml:"service"`
	// Registry limits the match to one registry; empty is any.
	Registry string `yaml:"registry"`
}

// Balance chooses instances.
type Balance struct {
	// Policy is peakEWMA (default), leastRequest, roundRobin, random, ringHash, maglev or orca.
	Policy string `yaml:"policy"`
	// Hash is what ringHash and maglev go by: the first of these that a request has, such as "{header.X-User}",
	// "{cookie.sid}", "{query.id}", "{path.id}" or "{client}". A request that has none of them goes to any instance.
	Hash []string `yaml:"hash"`
	// Sticky keeps a client at the instance it had first, by a cookie.
	Sticky *Sticky `yaml:"sticky"`
	// SlowStart is how long a new instance gets less than its weight asks for, from a tenth of it up.
	SlowStart time.Duration `yaml:"slowStart"`
	// PanicThreshold is the share of instances that fail health checks or are ejected, 0 to 1, beyond which that is ignored
	// and all are used. 1 turns it off.
	PanicThreshold float64 `yaml:"panicThreshold"`
	// Zone is the gateway's own, whose instances come first; empty means the document's.
	Zone string `yaml:"zone"`
}

// RequestLimits bound the requests that run at once, of all routes to the service. What is over them waits shortly for one to
// end; then it is 503 with Retry-After.
type RequestLimits struct {
	// Service is for the whole service; 0 means no limit.
	Service int `yaml:"service"`
	// Instance is for each instance; those that have as many are not picked while others have fewer. 0 means no limit.
	Instance int `yaml:"instance"`
	// Adaptive finds the limit of each instance by its latency: it grows while answers take as long as they use to, and
	// falls when they take longer. Instance is then the most it may become.
	Adaptive bool `yaml:"adaptive"`
	// Queue is how many requests may wait.
	Queue int `yaml:"queue"`
	// QueueTimeout is how long one may wait.
	QueueTimeout time.Duration `yaml:"queueTimeout"`
}

// RetryBudget bounds retries to a share of the requests, so that a service that fails gets hardly more than its clients
// send.
type RetryBudget struct {
	// Share is the number of retries for each request, 0 to 1.
	Share float64 `yaml:"share"`
	// MinPerSecond is how many are allowed each second however few requests there are.
	MinPerSecond int `yaml:"minPerSecond"`
}

// Sticky keeps a client at an instance, as long as that is there and sound. The cookie is valid for every gateway and after
// every restart, and does not tell the instance's address.
type Sticky struct {
	// Cookie is its name.
	Cookie string `yaml:"cookie"`
	// TTL is how long the client keeps it; 0 means until its browser is closed.
	TTL time.Duration `yaml:"ttl"`
}

// UpstreamTLS is how instances are reached by TLS. Relative files count from the document's folder.
type UpstreamTLS struct {
	// CA is a file of PEM certificates; empty means the system's.
	CA string `yaml:"ca"`
	// ServerName is checked in the certificate, and sent as SNI; empty means the instance's host.
	ServerName string `yaml:"serverName"`
	// Cert and Key are files of the client's certificate.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Connections bound what one instance gets.
type Connections struct {
	// Max open at once; 0 means no limit.
	Max int `yaml:"max"`
	// Pending requests that may wait for a connection when Max are busy.
	Pending int `yaml:"pending"`
	// Idle is how long an unused connection is kept.
	Idle time.Duration `yaml:"idle"`
	// Age is how long a connection is used at all; 0 means for ever.
	Age time.Duration `yaml:"age"`
}

// UpstreamTimeouts bound how long an instance may take.
type UpstreamTimeouts struct {
	// Connect is for dialling, TLS included.
	Connect time.Duration `yaml:"connect"`
	// Response is from the request's end to the answer's head; 0 means only the route's timeout counts.
	Response time.Duration `yaml:"response"`
	// Idle is the longest silence within a body.
	Idle time.Duration `yaml:"idle"`
}

// AccessLog says where one line per request goes.
type AccessLog struct {
	// Path is a file, "stdout", "stderr", or "off".
	Path string `yaml:"path"`
}

// Startup bounds the wait for registries at start.
type Startup struct {
	// Timeout after which readiness no longer waits for registries that have not answered.
	Timeout time.Duration `yaml:"timeout"`
}

// Shutdown bounds the graceful stop.
type Shutdown struct {
	// Grace is how long requests in flight may take to finish.
	Grace time.Duration `yaml:"grace"`
	// Delay is how long readiness fails before listeners close, so that load balancers notice.
	Delay time.Duration `yaml:"delay"`
}
