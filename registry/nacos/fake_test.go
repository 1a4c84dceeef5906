package nacos

import (
	"context"
	"encoding/json"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	wire "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"google.golang.org/grpc"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// fake speaks Nacos's wire, for what a real server cannot be brought to do: older versions, lost and late messages,
// garbage. What it does otherwise is what a real one does.
type fake struct {
	wire.UnimplementedRequestServer
	wire.UnimplementedBiRequestStreamServer

	t       testing.TB
	address string
	server  *grpc.Server

	mu       sync.Mutex
	old      bool // no negotiation of abilities, no acknowledgement of the set-up
	fuzzy    bool
	services map[string][]any  // hosts by group@@name
	configs  map[string]string // by group/dataId
	answer   func(kind string, body map[string]any) (any, bool)
	streams  []*fakeStream
	asked    []string // types of requests, with the service's or entry's name
	acked    []string // types of acknowledgements
	token    string   // if set, what requests must carry
	check    func(*wire.Metadata)
}

type fakeStream struct {
	wire.BiRequestStream_RequestBiStreamServer
	mu sync.Mutex
}

func (s *fakeStream) push(kind string, body any) error {
	p, err := encode(kind, "", "", body)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Send(p)
}

// startFake serves until the test ends.
func startFake(t testing.TB) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, address: l.Addr().String(), fuzzy: true, services: map[string][]any{}, configs: map[string]string{}}
	f.serve(l)
	t.Cleanup(func() { f.server.Stop() })
	return f
}

func (f *fake) serve(l net.Listener) {
	f.server = grpc.NewServer()
	wire.RegisterRequestServer(f.server, f)
	wire.RegisterBiRequestStreamServer(f.server, f)
	go func() { _ = f.server.Serve(l) }()
}

// restart cuts all connections and serves anew at the same address; between runs before.
func (f *fake) restart(between func()) {
	f.t.Helper()
	f.server.Stop()
	between()
	var l net.Listener
	registrytest.Within(f.t, "the address", func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", f.address)
		return err == nil
	})
	f.serve(l)
}

func (f *fake) rig(change ...func(*Config, *registry.Options)) *rig {
	change = slices.Insert(change, 0, func(c *Config, _ *registry.Options) {
		c.GRPCPortOffset, c.ListInterval, c.Settle = 0, 100*time.Millisecond, 300*time.Millisecond
	})
	return newRig(f.t, f.address, change...)
}

// with changes the server's state.
func (f *fake) with(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// push sends a message over the newest connection.
func (f *fake) push(kind string, body any) {
	f.t.Helper()
	f.mu.Lock()
	s := f.streams[len(f.streams)-1]
	f.mu.Unlock()
	if err := s.push(kind, body); err != nil {
		f.t.Errorf("push %s: %v", kind, err)
	}
}

// pushService changes a service in DEFAULT_GROUP and pushes it.
func (f *fake) pushService(name string, hosts ...any) {
	f.t.Helper()
	f.with(func() { f.services["DEFAULT_GROUP@@"+name] = hosts })
	f.push(typeNotifySubscriber, map[string]any{"requestId": "1", "serviceInfo": info("DEFAULT_GROUP", name, hosts)})
}

func info(group, name string, hosts []any) map[string]any {
	if hosts == nil {
		hosts = []any{}
	}
	return map[string]any{"name": name, "groupName": group, "hosts": hosts}
}

func aHost(ip string) map[string]any {
	return map[string]any{"ip": ip, "port": 80, "weight": 1.0, "healthy": true, "enabled": true}
}

// count is how many requests of a kind, for a name, came.
func (f *fake) count(what string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, a := range f.asked {
		if a == what {
			n++
		}
	}
	return n
}

func (f *fake) Request(_ context.Context, p *wire.Payload) (*wire.Payload, error) {
	kind := p.GetMetadata().GetType()
	var body map[string]any
	if err := json.Unmarshal(p.GetBody().GetValue(), &body); err != nil {
		f.t.Errorf("%s is no JSON: %v", kind, err)
	}
	f.mu.Lock()
	if f.check != nil {
		f.check(p.GetMetadata())
	}
	special := f.answer
	name, _ := body["serviceName"].(string)
	if id, ok := body["dataId"].(string); ok {
		name = id
	}
	if name != "" {
		f.asked = append(f.asked, kind+" "+name)
	} else {
		f.asked = append(f.asked, kind)
	}
	forbidden := f.token != "" && kind != typeServerCheck && kind != typeHealthCheck && p.GetMetadata().GetHeaders()["accessToken"] != f.token
	f.mu.Unlock()
	if forbidden {
		return encode("Response", "", "", refused(codeForbidden, "no right"))
	}
	if special != nil {
		if a, ok := special(kind, body); ok {
			return encode("Response", "", "", a)
		}
	}
	return encode("Response", "", "", f.ordinary(kind, body))
}

func (f *fake) ordinary(kind string, body map[string]any) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	ok := map[string]any{"resultCode": 200} // without success, as some servers answer
	switch kind {
	case typeServerCheck:
		ok["supportAbilityNegotiation"] = !f.old
	case typeHealthCheck, typeFuzzyWatch, typeInstance:
	case typeSubscribe:
		group, name := body["groupName"].(string), body["serviceName"].(string)
		ok["serviceInfo"] = info(group, name, f.services[group+"@@"+name])
	case typeServiceList:
		names := []string{}
		for key := range f.services {
			if k := (&serviceInfo{Name: key}).key(); k.group == body["groupName"] {
				names = append(names, k.name)
			}
		}
		ok["count"], ok["serviceNames"] = len(names), names
	case typeConfigListen:
		var changed []any
		for _, e := range body["configListenContexts"].([]any) {
			e := e.(map[string]any)
			if e["md5"] != f.configs[e["group"].(string)+"/"+e["dataId"].(string)] { // content serves as its own digest
				changed = append(changed, e)
			}
		}
		ok["changedConfigs"] = changed
	case typeConfigQuery:
		content, exists := f.configs[body["group"].(string)+"/"+body["dataId"].(string)]
		if !exists {
			return refused(codeConfigNotFound, "config data not exist")
		}
		ok["content"], ok["md5"] = content, content
	default:
		return refused(codeNoHandler, "RequestHandler Not Found")
	}
	return ok
}

func refused(code int, message string) any {
	return map[string]any{"resultCode": 500, "errorCode": code, "message": message}
}

func (f *fake) RequestBiStream(s wire.BiRequestStream_RequestBiStreamServer) error {
	if _, err := s.Recv(); err != nil {
		return err
	}
	stream := &fakeStream{BiRequestStream_RequestBiStreamServer: s}
	f.mu.Lock()
	f.streams = append(f.streams, stream)
	old, fuzzy := f.old, f.fuzzy
	f.mu.Unlock()
	if !old {
		if err := stream.push(typeSetupAck, map[string]any{"abilityTable": map[string]bool{abilityFuzzyWatch: fuzzy}}); err != nil {
			return err
		}
	}
	for {
		p, err := s.Recv()
		if err != nil {
			return err
		}
		f.mu.Lock()
		f.acked = append(f.acked, p.GetMetadata().GetType())
		f.mu.Unlock()
	}
}
