package dubbo

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"google.golang.org/protobuf/encoding/protowire"
)

// overTriple calls GetMetadataInfo of MetadataServiceV2, which is gRPC over HTTP/2 without TLS.
func overTriple(ctx context.Context, address, revision string) ([]byte, error) {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	conn, err := transport.NewClientConn(ctx, "http", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // it also ends the goroutine that reads
	message := protowire.AppendTag(nil, 1, protowire.BytesType)
	message = protowire.AppendString(message, revision)
	body := append(make([]byte, 5), message...)
	binary.BigEndian.PutUint32(body[1:], uint32(len(message)))
	u := url.URL{Scheme: "http", Host: address, Path: "/org.apache.dubbo.metadata.MetadataServiceV2/GetMetadataInfo"}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/grpc+proto")
	req.Header.Set("Te", "trailers")
	resp, err := conn.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxMetadataBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if len(answer) > maxMetadataBytes {
		return nil, errors.New("answer is too long")
	}
	if err := grpcStatus(resp); err != nil {
		return nil, err
	}
	message, err = grpcMessage(answer)
	if err != nil {
		return nil, err
	}
	info, err := readMetadataInfo(message)
	if err != nil {
		return nil, fmt.Errorf("read metadata: %w", err)
	}
	info.Revision = revision
	return json.Marshal(info)
}

// grpcStatus reads an answer's outcome, which stands in its trailers or, without a message, in its header.
func grpcStatus(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP status %s", resp.Status)
	}
	fields := resp.Trailer
	if fields.Get("Grpc-Status") == "" {
		fields = resp.Header
	}
	if status := fields.Get("Grpc-Status"); status != "0" && status != "" {
		return fmt.Errorf("grpc status %s: %s", status, fields.Get("Grpc-Message"))
	}
	return nil
}

// grpcMessage takes the one message out of its envelope.
func grpcMessage(b []byte) ([]byte, error) {
	switch {
	case len(b) < 5:
		return nil, errors.New("answer without a message")
	case b[0] != 0:
		return nil, errors.New("answer is compressed, which was not offered")
	case uint64(binary.BigEndian.Uint32(b[1:])) != uint64(len(b)-5):
		return nil, errors.New("answer is not one message")
	}
	return b[5:], nil
}

// metadataInfo is MetadataInfoV2, with the names that the JSON form has.
type metadataInfo struct {
	App      string                 `json:"app"`
	Revision string                 `json:"revision"`
	Services map[string]serviceInfo `json:"services"`
}

// serviceInfo is ServiceInfoV2.
type serviceInfo struct {
	Name     string            `json:"name"`
	Group    string            `json:"group,omitempty"`
	Version  string            `json:"version,omitempty"`
	Protocol string            `json:"protocol"`
	Port     int32             `json:"port"`
	Path     string            `json:"path"`
	Params   map[string]string `json:"params"`
}

// readMetadataInfo reads {1: app, 2: version, 3: map of services}.
func readMetadataInfo(b []byte) (metadataInfo, error) {
	info := metadataInfo{Services: map[string]serviceInfo{}}
	err := eachField(b, func(n protowire.Number, _ uint64, v []byte) error {
		switch n {
		case 1:
			info.App = string(v)
		case 3:
			key, value, err := readEntry(v)
			if err != nil {
				return err
			}
			s, err := readServiceInfo(value)
			if err != nil {
				return err
			}
			info.Services[key] = s
		}
		return nil
	})
	return info, err
}

// readServiceInfo reads {1: name, 2: group, 3: version, 4: protocol, 5: port, 6: path, 7: map of params}.
func readServiceInfo(b []byte) (serviceInfo, error) {
	s := serviceInfo{Params: map[string]string{}}
	texts := map[protowire.Number]*string{1: &s.Name, 2: &s.Group, 3: &s.Version, 4: &s.Protocol, 6: &s.Path}
	err := eachField(b, func(n protowire.Number, number uint64, v []byte) error {
		switch {
		case texts[n] != nil:
			*texts[n] = string(v)
		case n == 5:
			s.Port = int32(number)
		case n == 7:
			key, value, err := readEntry(v)
			if err != nil {
				return err
			}
			s.Params[key] = string(value)
		}
		return nil
	})
	return s, err
}

// readEntry reads an entry of a map: {1: key, 2: value}.
func readEntry(b []byte) (key string, value []byte, err error) {
	err = eachField(b, func(n protowire.Number, _ uint64, v []byte) error {
		switch n {
		case 1:
			key = string(v)
		case 2:
			value = v
		}
		return nil
	})
	return key, value, err
}

// eachField calls f with every field of a message that is a varint (number) or of variable length (v).
func eachField(b []byte, f func(n protowire.Number, number uint64, v []byte) error) error {
	for len(b) > 0 {
		n, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		var number uint64
		var v []byte
		switch typ {
		case protowire.VarintType:
			number, size = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(n, typ, b)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if typ != protowire.VarintType && typ != protowire.BytesType {
			continue
		}
		if err := f(n, number, v); err != nil {
			return err
		}
	}
	return nil
}
