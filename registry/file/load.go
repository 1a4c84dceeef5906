package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/static"
	"github.com/sluice-gateway/sluice/strictyaml"
)

// loaded is one file as it was last read, and its last good content.
type loaded struct {
	data []byte
	// definitions are the JSON files that it names; nil content is a file that cannot be read.
	definitions map[string][]byte
	problem     error
	good        *content
}

// content is what a good file says.
type content struct {
	entries     []static.Entry
	definitions map[registry.ServiceName][]byte
}

// load reads a file again, unless neither it nor its definitions have changed since old, which may be nil. It reports
// whether it did.
func (f *folder) load(name string, old *loaded) (*loaded, bool) {
	data, err := os.ReadFile(filepath.Join(f.path, name))
	if err != nil {
		l := &loaded{problem: fmt.Errorf("read service file: %w", err)}
		if old != nil {
			l.good = old.good
			if old.data == nil && old.problem.Error() == l.problem.Error() {
				return old, false
			}
		}
		return l, true
	}
	if old != nil && old.data != nil && bytes.Equal(data, old.data) && f.sameDefinitions(old) {
		return old, false
	}
	l := &loaded{data: data, definitions: map[string][]byte{}}
	if l.data == nil {
		l.data = []byte{}
	}
	good, problems := f.parse(name, data, l.definitions)
	if problems != nil {
		l.problem = problems
		if old != nil {
			l.good = old.good
		}
		return l, true
	}
	l.good = good
	return l, true
}

func (f *folder) sameDefinitions(l *loaded) bool {
	for path, before := range l.definitions {
		now, _ := os.ReadFile(filepath.Join(f.path, path))
		if !bytes.Equal(now, before) {
			return false
		}
	}
	return true
}

// parse reads a file's content. The definitions that it names are put into named, whatever becomes of it.
func (f *folder) parse(name string, data []byte, named map[string][]byte) (*content, strictyaml.Problems) {
	root, problems := strictyaml.Read(filepath.Join(f.path, name), data, nil)
	if problems != nil {
		return nil, problems
	}
	var d strictyaml.Decoder
	var doc document
	d.Decode(root, nil, &doc)
	c := &content{definitions: map[registry.ServiceName][]byte{}}
	for i, s := range doc.Dubbo {
		if s.Definition == nil {
			continue
		}
		definition, err := f.definition(s.Definition, named)
		if err != nil {
			d.Complain(root, nil, fmt.Errorf("dubbo[%d].definition: %w", i, err))
			continue
		}
		c.definitions[s.Service.ServiceName()] = definition
	}
	if problems := d.Problems(); len(problems) > 0 {
		return nil, problems
	}
	c.entries = doc.services().Entries()
	return c, nil
}

// definition is a FullServiceDefinition as JSON, from a file of the folder or as it was written in YAML.
func (f *folder) definition(v any, named map[string][]byte) ([]byte, error) {
	switch v := v.(type) {
	case map[string]any:
		return json.Marshal(v)
	case string:
		if !filepath.IsLocal(v) {
			return nil, errors.New("must be a file inside the folder")
		}
		data, err := os.ReadFile(filepath.Join(f.path, v))
		named[v] = data
		if err != nil {
			return nil, fmt.Errorf("read definition: %w", err)
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(data, &object); err != nil {
			return nil, fmt.Errorf("%s is not a JSON object: %w", v, err)
		}
		if object == nil {
			return nil, fmt.Errorf("%s is not a JSON object, but null", v)
		}
		return data, nil
	}
	return nil, errors.New("must be the name of a JSON file, or the definition as a mapping")
}

// listed reports whether a file of the folder lists services: editors' and Kubernetes' own files do not.
func listed(name string) bool {
	ext := filepath.Ext(name)
	return (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(name, ".")
}
