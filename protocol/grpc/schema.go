package grpc

import (
	"crypto/sha256"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Schema is what is known of services and their messages. It does not change.
type Schema struct {
	files    *protoregistry.Files
	types    resolver
	services []protoreflect.ServiceDescriptor
	sum      [sha256.Size]byte
}

// NewSchema links descriptors. Files that everybody has (google/protobuf, google/api, google/rpc) may be missing.
func NewSchema(set *descriptorpb.FileDescriptorSet) (*Schema, error) {
	// Options come in whatever form a source had them. Read anew they are the types of this program, google.api.http too.
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("write descriptors: %w", err)
	}
	return schemaOf(raw)
}

// schemaOf links an encoded FileDescriptorSet.
func schemaOf(raw []byte) (*Schema, error) {
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(raw, set); err != nil {
		return nil, fmt.Errorf("read descriptors: %w", err)
	}
	s := &Schema{sum: sha256.Sum256(raw)}
	addCommon(set)
	var err error
	// A missing import spoils only what uses it, if its users can do without.
	if s.files, err = (protodesc.FileOptions{AllowUnresolvable: true}).NewFiles(set); err != nil {
		return nil, fmt.Errorf("link descriptors: %w", err)
	}
	s.types = resolver{dynamicpb.NewTypes(s.files)}
	for _, f := range set.GetFile() { // in the order of the source
		d, err := s.files.FindFileByPath(f.GetName())
		if err != nil {
			return nil, fmt.Errorf("link %s: %w", f.GetName(), err)
		}
		for i := range d.Services().Len() {
			s.services = append(s.services, d.Services().Get(i))
		}
	}
	return s, nil
}

// Services are the full names of all services.
func (s *Schema) Services() []string {
	names := make([]string, len(s.services))
	for i, d := range s.services {
		names[i] = string(d.FullName())
	}
	return names
}

// addCommon adds the files that are imported, missing and known.
func addCommon(set *descriptorpb.FileDescriptorSet) {
	have := make(map[string]bool, len(set.GetFile()))
	for _, f := range set.GetFile() {
		have[f.GetName()] = true
	}
	for i := 0; i < len(set.File); i++ { // it grows
		for _, name := range set.File[i].GetDependency() {
			if have[name] {
				continue
			}
			have[name] = true
			if d := commonFile(name); d != nil {
				set.File = append(set.File, protodesc.ToFileDescriptorProto(d))
			}
		}
	}
}

// resolver finds types for google.protobuf.Any and for extensions: those of the services, and those that everybody has.
type resolver struct{ types *dynamicpb.Types }

func (r resolver) FindMessageByName(name protoreflect.FullName) (protoreflect.MessageType, error) {
	if t, err := r.types.FindMessageByName(name); err == nil {
		return t, nil
	}
	return commonMessage(name)
}

func (r resolver) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	if t, err := r.types.FindMessageByURL(url); err == nil {
		return t, nil
	}
	return commonMessage(nameOfURL(url))
}

func (r resolver) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	return r.types.FindExtensionByName(name)
}

func (r resolver) FindExtensionByNumber(message protoreflect.FullName, field protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	return r.types.FindExtensionByNumber(message, field)
}
