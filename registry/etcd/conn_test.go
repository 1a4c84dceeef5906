package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestExplain: what people on call read.
func TestExplain(t *testing.T) {
	n := &conn{address: "h:1", user: "u", timeout: 3 * time.Second}
	for want, err := range map[string]error{
		`read x at h:1: username "u" or its password is wrong (etcdserver: authentication failed, invalid user ID or password)`:           status.Error(codes.InvalidArgument, "etcdserver: authentication failed, invalid user ID or password"),
		`read x at h:1: the server asks for a login: set username and password (etcdserver: user name is empty)`:                          status.Error(codes.InvalidArgument, "etcdserver: user name is empty"),
		`read x at h:1: user "u" has no permission: etcdctl role grant-permission ROLE read KEY --prefix (etcdserver: permission denied)`: status.Error(codes.PermissionDenied, "etcdserver: permission denied"),
		`read x at h:1: this member of the cluster has no leader: etcdserver: no leader`:                                                  status.Error(codes.Unavailable, "etcdserver: no leader"),
		`read x at h:1: no answer within 3s`: status.Error(codes.DeadlineExceeded, "context deadline exceeded"),
		`read x at h:1: something else`:      status.Error(codes.Internal, "something else"),
		`read x at h:1: EOF`:                 io.EOF,
	} {
		if got := n.explain("read x", err); got.Error() != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	n.failed(syscall.ECONNREFUSED)
	if got := n.explain("read x", status.Error(codes.Unavailable, "long story")).Error(); got != "connect to h:1: connection refused" {
		t.Error(got)
	}
	if got := n.explain("read x", status.Error(codes.Internal, "bad")).Error(); got != "read x at h:1: bad" { // it was connected
		t.Error(got)
	}
	err := n.explain("read x", status.Error(codes.PermissionDenied, "etcdserver: permission denied"))
	if !says(err, "permission denied") || says(err, "nothing") || says(nil, "") || says(errors.New("x"), "y") {
		t.Error("what the server said is lost")
	}
	var r *refusal
	if !errors.As(err, &r) || status.Code(err) != codes.PermissionDenied {
		t.Errorf("%#v", err)
	}
	for text, want := range map[string]string{
		"handshake: EOF": "", "x509: certificate signed by unknown authority": "set tls.ca", "x509: certificate is valid for a, not b": "set tls.serverName",
	} {
		if got := adviseTLS(errors.New(text)).Error(); !strings.Contains(got, want) {
			t.Errorf("%s: %s", text, got)
		}
	}
	if got := adviseTLS(fmt.Errorf("handshake: %w", io.EOF)).Error(); !strings.Contains(got, "remove the tls section") {
		t.Error(got)
	}
}

// TestCall: one question has its time, and a token that is old is replaced once at most.
func TestCall(t *testing.T) {
	n := &conn{address: "h:1", timeout: 10 * time.Millisecond}
	asked := 0
	_, err := call(t.Context(), n, "ask", func(ctx context.Context, q int, _ ...grpc.CallOption) (int, error) {
		asked++
		<-ctx.Done()
		return 0, status.FromContextError(ctx.Err()).Err()
	}, 1)
	if err == nil || !strings.Contains(err.Error(), "no answer within 10ms") || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}
	n.user = "u"
	n.password = func() (string, error) { return "", errors.New("passwordFile: gone") }
	_, err = call(t.Context(), n, "ask", func(context.Context, int, ...grpc.CallOption) (int, error) {
		asked++
		return 0, status.Error(codes.Unauthenticated, "etcdserver: invalid auth token")
	}, 1)
	if err == nil || !strings.Contains(err.Error(), "passwordFile: gone") || asked != 2 {
		t.Errorf("%v, asked %d times", err, asked)
	}
}

// TestFlags: a field of another kind is one that is not there.
func TestFlags(t *testing.T) {
	for body, want := range map[string]flag{
		`true`: {true, true}, `"FALSE"`: {false, true}, `"maybe"`: {}, `null`: {}, `1`: {true, true}, `{}`: {}, `[]`: {},
	} {
		var got flag
		if err := json.Unmarshal([]byte(body), &got); err != nil || got != want {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
}
