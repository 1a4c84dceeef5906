package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// maxMessage bounds one message of the server's. A page that is longer is asked for in smaller pieces.
const maxMessage = 32 << 20

// conn is one connection to one server, with the token of whoever logged in.
type conn struct {
	address string
	timeout time.Duration
	cc      *grpc.ClientConn
	kv      pb.KVClient
	lease   pb.LeaseClient

	user     string
	password func() (string, error)
	token    atomic.Pointer[string]
	dialErr  atomic.Pointer[error] // why the last attempt to connect failed: gRPC passes on its text alone
}

// dial prepares the connection and logs in if there is a user. secure is nil without TLS.
func dial(ctx context.Context, address string, c *Config, secure *tls.Config) (*conn, error) {
	n := &conn{address: address, timeout: c.Timeouts.Request, user: c.Username, password: c.password}
	transport := insecure.NewCredentials()
	if secure != nil {
		transport = handshakes{credentials.NewTLS(secure), n.failed}
	}
	var err error
	n.cc, err = grpc.NewClient("passthrough:///"+address, // names are looked up at each dial
		grpc.WithTransportCredentials(transport),
		grpc.WithContextDialer(n.dialTCP), // also keeps proxies of the environment out of the way
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithIdleTimeout(0),
		grpc.WithUserAgent("sluice"),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	n.kv, n.lease = pb.NewKVClient(n.cc), pb.NewLeaseClient(n.cc)
	if n.user == "" {
		return n, nil
	}
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	if err := n.login(ctx); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func (n *conn) close() { _ = n.cc.Close() }

func (n *conn) dialTCP(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		n.failed(err)
	}
	return nc, err
}

func (n *conn) failed(err error) { n.dialErr.Store(&err) }

// handshakes notes why a handshake failed.
type handshakes struct {
	credentials.TransportCredentials
	failed func(error)
}

// ClientHandshake implements credentials.TransportCredentials.
func (h handshakes) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	nc, info, err := h.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		h.failed(fmt.Errorf("handshake: %w", err))
	}
	return nc, info, err
}

// Clone implements credentials.TransportCredentials.
func (h handshakes) Clone() credentials.TransportCredentials {
	return handshakes{h.TransportCredentials.Clone(), h.failed}
}

// login gets a token. A server that asks nobody for a password gives none, and needs none.
func (n *conn) login(ctx context.Context) error {
	password, err := n.password()
	if err != nil {
		return err
	}
	answer, err := pb.NewAuthClient(n.cc).Authenticate(ctx, &pb.AuthenticateRequest{Name: n.user, Password: password})
	switch {
	case says(err, "authentication is not enabled"):
		n.token.Store(nil)
		return nil
	case err != nil:
		return n.explain("log in", err)
	}
	token := answer.GetToken()
	n.token.Store(&token)
	return nil
}

// signed adds the token to what goes out.
func (n *conn) signed(ctx context.Context) context.Context {
	if token := n.token.Load(); token != nil {
		return metadata.AppendToOutgoingContext(ctx, "token", *token)
	}
	return ctx
}

// call asks one question within the request timeout, and once more with a new token if the old one is not taken any more:
// tokens expire, and every change of users or roles makes them old.
func call[Q, A any](ctx context.Context, n *conn, what string, do func(context.Context, Q, ...grpc.CallOption) (A, error), question Q) (A, error) {
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	answer, err := do(n.signed(ctx), question)
	if n.user != "" && (says(err, "invalid auth token") || says(err, "revision of auth store is old")) {
		if err := n.login(ctx); err != nil {
			return answer, err
		}
		answer, err = do(n.signed(ctx), question)
	}
	if err != nil {
		return answer, n.explain(what, err)
	}
	return answer, nil
}

// says reports whether the server's refusal holds these words. etcd's errors are told apart by their text; the codes are
// too few.
func says(err error, words string) bool {
	s, ok := status.FromError(err)
	return err != nil && ok && strings.Contains(s.Message(), words)
}

// plain is a gRPC error as people read it: only what the server, or the connection, said.
type plain struct{ error }

func (p plain) Error() string {
	if s, ok := status.FromError(p.error); ok && s.Message() != "" {
		return s.Message()
	}
	return p.error.Error()
}

func (p plain) Unwrap() error { return p.error }

// refusal is an answer of the server that another attempt will not change.
type refusal struct {
	advice string
	cause  error
}

func (r *refusal) Error() string { return r.advice + " (" + r.cause.Error() + ")" }

func (r *refusal) Unwrap() error { return r.cause }

// explain says what an error means and what to do about it.
func (n *conn) explain(what string, err error) error {
	wrap := func(advice string) error {
		return fmt.Errorf("%s at %s: %w", what, n.address, &refusal{advice, plain{err}})
	}
	var kept error
	if cause := n.dialErr.Load(); cause != nil && (status.Code(err) == codes.Unavailable || status.Code(err) == codes.DeadlineExceeded) {
		kept = *cause
	}
	switch {
	case says(err, "authentication failed, invalid user ID or password"):
		return wrap(fmt.Sprintf("username %q or its password is wrong", n.user))
	case says(err, "user name is empty"):
		return wrap("the server asks for a login: set username and password")
	case says(err, "permission denied"):
		return wrap(fmt.Sprintf("user %q has no permission: etcdctl role grant-permission ROLE read KEY --prefix", n.user))
	case says(err, "no leader"), says(err, "request timed out"):
		return fmt.Errorf("%s at %s: this member of the cluster has no leader: %w", what, n.address, plain{err})
	case kept != nil:
		return fmt.Errorf("connect to %s: %w", n.address, adviseTLS(kept))
	case says(err, "error reading server preface"):
		return fmt.Errorf("connect to %s: %w", n.address, &refusal{"no etcd without TLS answers there; if it speaks TLS, add a tls section or write https://", plain{err}})
	}
	if status.Code(err) == codes.DeadlineExceeded {
		err = status.Errorf(codes.DeadlineExceeded, "no answer within %v", n.timeout)
	}
	return fmt.Errorf("%s at %s: %w", what, n.address, plain{err})
}

// adviseTLS says what a failed handshake asks for.
func adviseTLS(err error) error {
	text := err.Error()
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record), strings.HasPrefix(text, "handshake:") && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		return &refusal{"it does not speak TLS: remove the tls section, or write http://", err}
	case strings.Contains(text, "unknown authority"):
		return &refusal{"its certificate is signed by nobody that is trusted: set tls.ca", err}
	case strings.Contains(text, "certificate is valid for"), strings.Contains(text, "not valid for any names"), strings.Contains(text, "doesn't contain any IP SANs"):
		return &refusal{"its certificate is for another name: set tls.serverName", err}
	}
	return err
}
