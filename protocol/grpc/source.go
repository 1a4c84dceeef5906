package grpc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Source is where descriptors come from.
type Source interface {
	// load gives an encoded FileDescriptorSet: the same bytes as long as nothing has changed.
	load(ctx context.Context) ([]byte, error)
	// String names it for people.
	String() string
}

// maxDescriptors bounds what a source may bring, in bytes.
const maxDescriptors = 64 << 20

// SetFile is a descriptor set (protoc --descriptor_set_out --include_imports, buf build) as a Source.
type SetFile string

// String implements Source.
func (f SetFile) String() string { return "the descriptor set " + string(f) }

func (f SetFile) load(context.Context) ([]byte, error) {
	info, err := os.Stat(string(f))
	if err != nil {
		return nil, fmt.Errorf("read descriptor set: %w", err)
	}
	if info.Size() > maxDescriptors {
		return nil, fmt.Errorf("read descriptor set %s: larger than %d bytes", f, maxDescriptors)
	}
	raw, err := os.ReadFile(string(f))
	if err != nil {
		return nil, fmt.Errorf("read descriptor set: %w", err)
	}
	return raw, nil
}

// ProtoFolder is a folder of .proto files, which is the root of their imports, as a Source. They are compiled here, without
// protoc.
type ProtoFolder string

// String implements Source.
func (f ProtoFolder) String() string { return "the .proto files in " + string(f) }

func (f ProtoFolder) load(ctx context.Context) ([]byte, error) {
	names, err := f.files()
	if err != nil {
		return nil, fmt.Errorf("read .proto files: %w", err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no .proto file in %s", f)
	}
	c := protocompile.Compiler{
		Resolver: protocompile.CompositeResolver{
			&protocompile.SourceResolver{ImportPaths: []string{string(f)}},
			protocompile.ResolverFunc(resolveCommon),
		},
		MaxParallelism: 2,
	}
	files, err := c.Compile(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("compile .proto files: %w", err)
	}
	return encodeFiles(files)
}

// files lists the .proto files below the folder, in order.
func (f ProtoFolder) files() ([]string, error) {
	var names []string
	size := int64(0)
	err := filepath.WalkDir(string(f), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".proto") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if size += info.Size(); size > maxDescriptors {
			return errors.New("they are too large")
		}
		name, err := filepath.Rel(string(f), path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	slices.Sort(names)
	return names, err
}

// resolveCommon gives the compiler what a folder need not hold.
func resolveCommon(name string) (protocompile.SearchResult, error) {
	if d := commonFile(name); d != nil {
		return protocompile.SearchResult{Desc: d}, nil
	}
	return protocompile.SearchResult{}, fs.ErrNotExist
}

// encodeFiles makes a descriptor set of compiled files and all that they import.
func encodeFiles(files linker.Files) ([]byte, error) {
	set := new(descriptorpb.FileDescriptorSet)
	seen := map[string]bool{}
	var add func(d protoreflect.FileDescriptor)
	add = func(d protoreflect.FileDescriptor) {
		if d.IsPlaceholder() || seen[d.Path()] {
			return
		}
		seen[d.Path()] = true
		for i := range d.Imports().Len() {
			add(d.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(d))
	}
	for _, f := range files {
		add(f)
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("write descriptors: %w", err)
	}
	return raw, nil
}
