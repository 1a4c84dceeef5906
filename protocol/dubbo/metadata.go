package dubbo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// MetadataFetcher asks a provider which services a revision of its application exports, for application-level discovery
// where the registry does not say it. Every question is a connection of its own: there is one for each revision of an
// application, not for each instance or call.
type MetadataFetcher struct {
	// Timeout bounds one question, beside the caller's context. Default 5 s.
	Timeout time.Duration
	// Logger; nil discards.
	Logger *slog.Logger
}

const (
	metadataService  = "org.apache.dubbo.metadata.MetadataService"
	metadataTimeout  = 5 * time.Second
	maxMetadataBytes = 8 << 20
)

// FetchMetadata returns the MetadataInfo of a revision as JSON:
//
//	{"app":"a","revision":"r","services":{"g/lab.UserService:1.0.0:dubbo":{"name":"lab.UserService","group":"g",
//	 "version":"1.0.0","protocol":"dubbo","port":20880,"path":"lab.UserService","params":{...}}}}
//
// address is host:port of the instance's metadata service; protocol is what it speaks, "dubbo" or "tri".
func (f *MetadataFetcher) FetchMetadata(ctx context.Context, protocol, address, application, revision string) ([]byte, error) {
	timeout := f.Timeout
	if timeout <= 0 {
		timeout = metadataTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// "localhost." is how some providers register; Go's resolver wants the single label bare.
	if label, port, ok := strings.Cut(address, ".:"); ok && !strings.Contains(label, ".") {
		address = label + ":" + port
	}
	var info []byte
	var err error
	switch protocol {
	case "dubbo":
		info, err = f.overDubbo(ctx, address, application, revision)
	case "tri":
		info, err = overTriple(ctx, address, revision)
	default:
		err = fmt.Errorf("protocol %q is neither dubbo nor tri", protocol)
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s for the metadata of %s revision %s: %w", address, application, revision, err)
	}
	return info, nil
}

// overDubbo calls getMetadataInfo of the first MetadataService, directly: it is not open to generic calls.
func (f *MetadataFetcher) overDubbo(ctx context.Context, address, application, revision string) ([]byte, error) {
	client := NewClient(ClientConfig{Address: address, MaxAnswer: maxMetadataBytes, Logger: f.Logger})
	inv := &Invocation{
		Interface: metadataService, Group: application, Version: "1.0.0", Method: "getMetadataInfo",
		wireMethod: "getMetadataInfo", wireTypes: "Ljava/lang/String;", args: hessian.AppendString(nil, revision),
	}
	info, err := client.Call(ctx, inv)
	if err := errors.Join(err, client.Close(ctx)); err != nil {
		return nil, err
	}
	return metadataDocument(info)
}

// metadataDocument makes sure that an answer is an object. Old providers answer a string that holds the document.
func metadataDocument(info []byte) ([]byte, error) {
	var text string
	if json.Unmarshal(info, &text) == nil && text != "" {
		info = []byte(text)
	}
	var document struct {
		Services map[string]json.RawMessage `json:"services"`
	}
	if err := json.Unmarshal(info, &document); err != nil {
		return nil, fmt.Errorf("read metadata: %w", err)
	}
	if document.Services == nil {
		return nil, errors.New("the provider does not know this revision")
	}
	return info, nil
}
