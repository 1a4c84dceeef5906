package dubbo

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// TestRequestBytes compares a whole frame with what Java providers are known to accept.
func TestRequestBytes(t *testing.T) {
	inv := &Invocation{Interface: "lab.UserService", Version: "1.0.0", Group: "g1", Method: "hello"}
	inv.reset()
	inv.Interface, inv.Version, inv.Group, inv.Method = "lab.UserService", "1.0.0", "g1", "hello"
	inv.args = hessian.AppendString(inv.args, "hello")
	inv.args = hessian.AppendTypedListLength(inv.args, "[string", 1)
	inv.args = hessian.AppendString(inv.args, "java.lang.String")
	inv.args = hessian.AppendTypedListLength(inv.args, "[object", 1)
	inv.args = hessian.AppendString(inv.args, "bob")
	inv.addAttachment("tenant", "t1")
	got := appendRequest([]byte("before"), 7, inv, target{}, 3000)[len("before"):]

	want := "dabb c200 0000000000000007 000000f9" +
		"05" + text("2.0.2") + "0f" + text("lab.UserService") + "05" + text("1.0.0") + "07" + text("$invoke") +
		"3038" + text("Ljava/lang/String;[Ljava/lang/String;[Ljava/lang/Object;") +
		"05" + text("hello") +
		"5607" + text("[string") + "9110" + text("java.lang.String") +
		"5607" + text("[object") + "9103" + text("bob") +
		"48" +
		"07" + text("generic") + "04" + text("true") +
		"07" + text("timeout") + "04" + text("3000") +
		"04" + text("path") + "0f" + text("lab.UserService") +
		"09" + text("interface") + "0f" + text("lab.UserService") +
		"07" + text("version") + "05" + text("1.0.0") +
		"05" + text("group") + "02" + text("g1") +
		"06" + text("tenant") + "02" + text("t1") +
		"5a"
	if w := unhex(t, want); !bytes.Equal(got, w) {
		t.Errorf("frame\n got %q\nwant %q", got, w)
	}
}

func TestResolveTarget(t *testing.T) {
	exact := &Invocation{Interface: "a.B", Group: "g", Version: "1"}
	open := &Invocation{Interface: "a.B", Group: Any, Version: Any}
	tests := []struct {
		name                 string
		inv                  *Invocation
		target               target
		group, version, path string
	}{
		{"exact is kept", exact, target{group: "other", version: "2"}, "g", "1", "a.B"},
		{"any takes the instance's", open, target{group: "g2", version: "3", path: "a.B2"}, "g2", "3", "a.B2"},
		{"any of an instance without", open, target{}, "", "", "a.B"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, v, p := tt.target.resolve(tt.inv)
			if g != tt.group || v != tt.version || p != tt.path {
				t.Errorf("resolve = %q %q %q, want %q %q %q", g, v, p, tt.group, tt.version, tt.path)
			}
		})
	}
}

// answerFrame makes a frame as providers send it.
func answerFrame(id uint64, status byte, body []byte) []byte {
	f := frame.AppendHeader(nil, frame.Hessian2, status, id)
	f = append(f, body...)
	frame.SetLength(f)
	return f
}

func text(s string) string { return hex.EncodeToString([]byte(s)) }

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
