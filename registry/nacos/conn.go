package nacos

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	wire "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	// maxMessage bounds one message: a service of 70,000 instances is about 30 MB.
	maxMessage = 64 << 20
	// clientVersion is how we name ourselves to the server; it shows in its list of connections.
	clientVersion = "Sluice"
)

// conn is one connection to one server: requests of ours, and a stream of requests of the server's.
type conn struct {
	address  string // of gRPC
	cc       *grpc.ClientConn
	requests wire.RequestClient
	stream   wire.BiRequestStream_RequestBiStreamClient
	auth     *auth
	timeout  time.Duration
	localIP  atomic.Pointer[string]

	dialErr   atomic.Pointer[error] // why the last attempt to connect failed: gRPC passes on its text alone
	sendMu    sync.Mutex            // a stream takes one Send at a time
	abilities map[string]bool
}

// dial connects, checks that the server is ready and introduces us. ctx bounds the life of the connection, timeouts its
// making; secure is nil without TLS.
func dial(ctx context.Context, grpcAddress string, a *auth, t Timeouts, tenant string, secure *tls.Config) (_ *conn, err error) {
	c := &conn{address: grpcAddress, auth: a, timeout: t.Request}
	none := ""
	c.localIP.Store(&none)
	transport := insecure.NewCredentials()
	if secure != nil {
		transport = handshakes{credentials.NewTLS(secure), c.failed}
	}
	c.cc, err = grpc.NewClient("passthrough:///"+grpcAddress, // names are looked up at each dial
		grpc.WithTransportCredentials(transport),
		grpc.WithContextDialer(c.dialTCP), // also keeps proxies of the environment out of the way
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithIdleTimeout(0),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
	)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", grpcAddress, err)
	}
	defer func() {
		if err != nil {
			_ = c.cc.Close()
		}
	}()
	c.requests = wire.NewRequestClient(c.cc)
	bounded, cancel := context.WithTimeout(ctx, t.Connect)
	defer cancel()
	var check serverCheckAnswer
	if err := c.ask(bounded, typeServerCheck, "", &serverCheck{Module: "internal"}, &check); err != nil {
		if cause := c.dialErr.Load(); cause != nil {
			err = fmt.Errorf("connect to %s: %w", grpcAddress, *cause)
		}
		return nil, err
	}
	// The stream lives as long as ctx; while it is set up, Connect must be able to end it too.
	stop := context.AfterFunc(bounded, func() { _ = c.cc.Close() })
	defer stop()
	if c.stream, err = wire.NewBiRequestStreamClient(c.cc).RequestBiStream(ctx); err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	setup := &connectionSetup{
		Module: "internal", ClientVersion: clientVersion, Tenant: tenant,
		Labels:       map[string]string{"source": "sdk", "module": "naming"}, // without it the server has no naming client for us
		AbilityTable: map[string]bool{abilityFuzzyWatch: true},
	}
	if err := c.send(typeConnectionSetup, setup); err != nil {
		return nil, err
	}
	if check.SupportAbilityNegotiation {
		err = c.awaitSetupAck()
	} else {
		err = c.awaitRegistration(bounded)
	}
	if err == nil && !stop() {
		err = context.Cause(bounded)
	}
	if err != nil {
		return nil, fmt.Errorf("set up connection to %s: %w", grpcAddress, err)
	}
	return c, nil
}

func (c *conn) dialTCP(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		c.failed(err)
		return nil, err
	}
	if local, ok := nc.LocalAddr().(*net.TCPAddr); ok {
		ip := local.IP.String()
		c.localIP.Store(&ip)
	}
	return nc, nil
}

func (c *conn) failed(err error) { c.dialErr.Store(&err) }

// handshakes notes why a handshake failed.
type handshakes struct {
	credentials.TransportCredentials
	failed func(error)
}

// ClientHandshake implements credentials.TransportCredentials.
func (h handshakes) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	nc, info, err := h.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		h.failed(err)
	}
	return nc, info, err
}

// Clone implements credentials.TransportCredentials.
func (h handshakes) Clone() credentials.TransportCredentials {
	return handshakes{h.TransportCredentials.Clone(), h.failed}
}

// awaitSetupAck waits for the acknowledgement that servers from 2.3 on send; before it they do not know us.
func (c *conn) awaitSetupAck() error {
	for {
		p, err := c.stream.Recv()
		if err != nil {
			return err
		}
		kind := p.GetMetadata().GetType()
		m, err := decodeMessage(kind, p.GetBody().GetValue())
		if err != nil {
			return err
		}
		if err := c.acknowledge(kind, m.RequestID); err != nil {
			return err
		}
		if kind == typeSetupAck {
			c.abilities = m.AbilityTable
			return nil
		}
	}
}

// awaitRegistration asks an older server, which acknowledges nothing, until it knows the connection.
func (c *conn) awaitRegistration(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.ask(ctx, typeHealthCheck, "", &serverCheck{Module: "internal"}, &answerHead{})
		var r *refusal
		if err == nil || !errors.As(err, &r) || r.code != codeUnregistered {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// call asks with our token, and once more with a new one if the server refuses it.
func (c *conn) call(ctx context.Context, kind string, request any, out answer) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	token := c.auth.token()
	err := c.ask(ctx, kind, token, request, out)
	if token == "" || !forbidden(err) {
		return err
	}
	fresh, loginErr := c.auth.renew(ctx, token)
	switch {
	case errors.Is(loginErr, errTokenNew):
		return err
	case loginErr != nil:
		return fmt.Errorf("%w; %w", err, loginErr)
	}
	err = c.ask(ctx, kind, fresh, request, out)
	c.auth.tried(forbidden(err))
	return err
}

// forbidden reports whether the server wants a better token, or has given the user of this one no right.
func forbidden(err error) bool {
	var r *refusal
	return errors.As(err, &r) && (r.code == codeForbidden || r.code == codeUnauthorized)
}

// ask sends one request and reads its answer.
func (c *conn) ask(ctx context.Context, kind, token string, request any, out answer) error {
	p, err := encode(kind, *c.localIP.Load(), token, request)
	if err != nil {
		return err
	}
	c.auth.sign(p.GetMetadata(), request)
	got, err := c.requests.Request(ctx, p)
	if err != nil {
		return fmt.Errorf("send %s to %s: %w", kind, c.address, err)
	}
	return decodeAnswer(kind, got.GetBody().GetValue(), out)
}

// send puts a message on the stream.
func (c *conn) send(kind string, body any) error {
	p, err := encode(kind, *c.localIP.Load(), "", body)
	if err != nil {
		return err
	}
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	if err := c.stream.Send(p); err != nil {
		return fmt.Errorf("send %s: %w", kind, err)
	}
	return nil
}

// acknowledge answers a request of the server; it repeats those that are not answered.
func (c *conn) acknowledge(kind, requestID string) error {
	return c.send(answerType(kind), &ack{answerHead: answerHead{ResultCode: codeOK}, RequestID: requestID, Success: true})
}

func (c *conn) close() { _ = c.cc.Close() }
