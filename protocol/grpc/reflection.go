package grpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	reflectpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/sluice-gateway/sluice/protocol"
)

// The reflection service in its two versions; their messages are the same on the wire.
const (
	reflectionV1      = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
	reflectionV1Alpha = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

	reflectionTimeout = 10 * time.Second
	// maxReflected bounds how many files a server may speak of.
	maxReflected = 10000
)

// Reflection asks a server what it serves (the server reflection protocol, v1 and, if the server does not know that,
// v1alpha). All questions of one reading go over one stream, so one instance answers them, whatever the balancer does.
type Reflection struct {
	// Target is where the calls of the route go.
	Target protocol.Handler
	// Authority is what ":authority" says, if the target keeps it.
	Authority string
	// Header are fields that the server wants to see, such as an authorization.
	Header []protocol.Field
	// Services limits what is asked for to these full names. Empty means all that the server lists.
	Services []string
}

// String implements Source.
func (r *Reflection) String() string { return "server reflection" }

func (r *Reflection) load(ctx context.Context) ([]byte, error) {
	raw, err := r.ask(ctx, reflectionV1)
	var s *StatusError
	if errors.As(err, &s) && s.Status.Code == Unimplemented {
		raw, err = r.ask(ctx, reflectionV1Alpha)
		if errors.As(err, &s) && s.Status.Code == Unimplemented {
			return nil, errors.New("the server does not offer reflection: register it there, or name a descriptor set or a folder of .proto files")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("ask by reflection: %w", err)
	}
	return raw, nil
}

// ask reads everything over one stream.
func (r *Reflection) ask(ctx context.Context, path string) (raw []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, reflectionTimeout)
	defer cancel()
	questions := newQueue()
	req := &protocol.Request{
		Method: "POST", Scheme: "http", Authority: r.Authority, Path: path, Version: protocol.HTTP2,
		Body: questions, ContentLength: protocol.UnknownLength, Start: protocol.Now(),
	}
	req.NarrowDeadline(int64(reflectionTimeout))
	for _, f := range r.Header {
		req.Header.Add(f.Name, f.Value)
	}
	setCallHeader(&req.Header)
	a := asking{queue: questions, files: map[string]*descriptorpb.FileDescriptorProto{}, asked: map[string]bool{}}
	// The first question goes with the head: servers answer nothing before they were asked.
	a.question(&reflectpb.ServerReflectionRequest{MessageRequest: &reflectpb.ServerReflectionRequest_ListServices{}})
	resp, err := r.Target.Serve(ctx, req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Close() }()
	if err := callFailure(resp); err != nil {
		return nil, err
	}
	a.answers.pool = new(inflaters)
	a.answers.reset(resp.Body, maxDescriptors, resp.Header.Get(fieldEncoding))
	defer a.answers.release()
	if err := a.run(r.Services); err != nil {
		if !errors.Is(err, io.EOF) {
			return nil, err
		}
		if s, ok := ReadStatus(&resp.Trailer); ok && s.Code != OK {
			return nil, &StatusError{s}
		}
		return nil, errors.New("the server ended the stream early")
	}
	return a.encode()
}

// asking is one conversation.
type asking struct {
	queue   *queue
	answers messages
	open    int // questions without an answer
	files   map[string]*descriptorpb.FileDescriptorProto
	asked   map[string]bool // names of files
	size    int
}

func (a *asking) question(q *reflectpb.ServerReflectionRequest) {
	message, err := proto.Marshal(q)
	if err != nil {
		return // only text that is no UTF-8 fails, and it came by the same encoding
	}
	frame := make([]byte, prefixLen, prefixLen+len(message))
	putPrefix(frame, 0, len(message))
	a.queue.put(append(frame, message...))
	a.open++
}

func (a *asking) answer() (*reflectpb.ServerReflectionResponse, error) {
	message, err := a.answers.next()
	if err != nil {
		return nil, err
	}
	a.open--
	if a.size += len(message); a.size > maxDescriptors {
		return nil, &limitError{maxDescriptors}
	}
	resp := new(reflectpb.ServerReflectionResponse)
	if err := proto.Unmarshal(message, resp); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	return resp, nil
}

// run asks for the services, their files, and what these import.
func (a *asking) run(wanted []string) error {
	resp, err := a.answer()
	if err != nil {
		return err
	}
	if e := resp.GetErrorResponse(); e != nil {
		return fmt.Errorf("list services: %s (%s)", e.GetErrorMessage(), Code(e.GetErrorCode()))
	}
	for _, s := range resp.GetListServicesResponse().GetService() {
		name := s.GetName()
		if name == "grpc.reflection.v1.ServerReflection" || name == "grpc.reflection.v1alpha.ServerReflection" ||
			len(wanted) > 0 && !slices.Contains(wanted, name) {
			continue
		}
		a.question(&reflectpb.ServerReflectionRequest{
			MessageRequest: &reflectpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name},
		})
		if a.open > maxReflected {
			return fmt.Errorf("the server lists more than %d services", maxReflected)
		}
	}
	for a.open > 0 {
		resp, err := a.answer()
		if err != nil {
			return err
		}
		// An error answer is a service whose descriptor the server does not have, or an import of it. The others stay usable.
		for _, raw := range resp.GetFileDescriptorResponse().GetFileDescriptorProto() {
			if err := a.file(raw); err != nil {
				return err
			}
		}
	}
	a.queue.end()
	return nil
}

// file takes a file and asks for what it imports.
func (a *asking) file(raw []byte) error {
	f := new(descriptorpb.FileDescriptorProto)
	if err := proto.Unmarshal(raw, f); err != nil {
		return fmt.Errorf("read descriptor: %w", err)
	}
	if a.files[f.GetName()] != nil {
		return nil
	}
	if len(a.files) == maxReflected {
		return fmt.Errorf("the server describes more than %d files", maxReflected)
	}
	a.files[f.GetName()], a.asked[f.GetName()] = f, true
	for _, name := range f.GetDependency() {
		if a.asked[name] || commonFile(name) != nil {
			continue
		}
		a.asked[name] = true
		a.question(&reflectpb.ServerReflectionRequest{MessageRequest: &reflectpb.ServerReflectionRequest_FileByFilename{FileByFilename: name}})
	}
	return nil
}

// encode makes a descriptor set, in an order that does not depend on the server's.
func (a *asking) encode() ([]byte, error) {
	set := new(descriptorpb.FileDescriptorSet)
	for _, f := range a.files {
		set.File = append(set.File, f)
	}
	slices.SortFunc(set.File, func(x, y *descriptorpb.FileDescriptorProto) int {
		if x.GetName() < y.GetName() {
			return -1
		}
		return 1
	})
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("write descriptors: %w", err)
	}
	return raw, nil
}
