package zookeeper

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// metadataClient asks real MetadataServices, in the two forms that Dubbo 3.3 and older ones have.
type metadataClient struct{}

func (metadataClient) FetchMetadata(ctx context.Context, protocol, address, app, revision string) ([]byte, error) {
	address = strings.Replace(address, "localhost.:", "127.0.0.1:", 1) // not every machine resolves the name with a dot
	if protocol == "tri" {
		return overTriple(ctx, address, revision)
	}
	return overDubbo(ctx, address, app, revision)
}

// overTriple calls MetadataServiceV2, whose messages are
// MetadataRequest{1: revision}, MetadataInfoV2{1: app, 2: version, 3: map of services} and
// ServiceInfoV2{1: name, 2: group, 3: version, 4: protocol, 5: port, 6: path, 7: map of params}.
func overTriple(ctx context.Context, address, revision string) ([]byte, error) {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	request := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), revision)
	var answer []byte
	if err := conn.Invoke(ctx, "/org.apache.dubbo.metadata.MetadataServiceV2/GetMetadataInfo", &request, &answer, grpc.ForceCodec(raw{})); err != nil {
		return nil, err
	}
	type service struct {
		Name     string            `json:"name"`
		Group    string            `json:"group"`
		Version  string            `json:"version"`
		Protocol string            `json:"protocol"`
		Port     uint64            `json:"port"`
		Path     string            `json:"path"`
		Params   map[string]string `json:"params"`
	}
	services := map[string]service{}
	for _, entry := range fields(answer)[3] {
		f := fields(entry.bytes)
		s := fields(f[2][0].bytes)
		text := func(n protowire.Number) string {
			if len(s[n]) == 0 {
				return ""
			}
			return string(s[n][0].bytes)
		}
		info := service{Name: text(1), Group: text(2), Version: text(3), Protocol: text(4), Path: text(6), Params: map[string]string{}}
		if len(s[5]) > 0 {
			info.Port = s[5][0].number
		}
		for _, p := range s[7] {
			pair := fields(p.bytes)
			info.Params[string(pair[1][0].bytes)] = string(pair[2][0].bytes)
		}
		services[string(f[1][0].bytes)] = info
	}
	return json.Marshal(map[string]any{"services": services})
}

type field struct {
	number uint64
	bytes  []byte
}

func fields(b []byte) map[protowire.Number][]field {
	all := map[protowire.Number][]field{}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return all
		}
		b = b[n:]
		var f field
		switch typ {
		case protowire.VarintType:
			f.number, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return all
		}
		all[num] = append(all[num], f)
		b = b[n:]
	}
	return all
}

// raw hands bytes through.
type raw struct{}

func (raw) Name() string                  { return "proto" }
func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

// overDubbo calls MetadataService 1.0.0 of the group of the application's name, as a typed call, not $invoke.
func overDubbo(ctx context.Context, address, app, revision string) ([]byte, error) {
	const service = "org.apache.dubbo.metadata.MetadataService"
	var body []byte
	for _, s := range []string{"2.0.2", service, "1.0.0", "getMetadataInfo", "Ljava/lang/String;", revision} {
		body = hessian.AppendString(body, s)
	}
	body = hessian.AppendMapStart(body)
	for _, s := range []string{"path", service, "interface", service, "version", "1.0.0", "group", app} {
		body = hessian.AppendString(body, s)
	}
	body = hessian.AppendMapEnd(body)
	head := []byte{0xda, 0xbb, 0xc2, 0} // a request with an answer, hessian2
	head = binary.BigEndian.AppendUint64(head, 1)
	head = binary.BigEndian.AppendUint32(head, uint32(len(body)))

	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if until, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(until)
	}
	if _, err := conn.Write(append(head, body...)); err != nil {
		return nil, err
	}
	head = head[:16]
	if _, err := io.ReadFull(conn, head); err != nil {
		return nil, err
	}
	answer := make([]byte, binary.BigEndian.Uint32(head[12:]))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, err
	}
	if status := head[3]; status != 20 {
		return nil, fmt.Errorf("status %d: %q", status, answer)
	}
	if len(answer) == 0 || (answer[0] != 0x91 && answer[0] != 0x94) { // a value, a value with attachments
		return nil, errors.New("no value")
	}
	out, _, err := hessian.AppendJSON(nil, answer[1:], hessian.Options{})
	return out, err
}
