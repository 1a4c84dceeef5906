// Package strictyaml reads YAML that people write into Go values, and names every mistake in one go: file, line, column,
// the path to the key, and the nearest right word. It is the room for what is strict about reading; what a document
// means is known by its types and by whoever asks.
//
// Reading has two steps. Read turns bytes into a tree of Nodes with positions: one document, UTF-8, bounded in size,
// depth and in what aliases expand to, with variables filled in. A Decoder then fills Go values from a Node.
//
// A type says how it is read by these conventions, all optional:
//
//   - Fields with a tag `yaml:"name"` are keys; any other key is a mistake. Fields without a tag are not read.
//     `yaml:",inline"` reads an embedded struct's keys in place.
//   - SetDefaults() is called before the section is read, so that what is left out keeps these values. A null value
//     (also "key:" with nothing behind it) is the same as leaving the key out.
//   - UnmarshalConfig(v any) error reads a type with several forms from a plain value: nil, bool, int64, uint64,
//     float64, string, []any or map[string]any.
//   - UnmarshalText is the form as one text; a struct may have it beside its keys.
//   - Validate() error is called after the section was read.
//
// An error of UnmarshalConfig and Validate that begins with a path inside the section and a colon
// ("timeouts.idle: must be at least 1s") is shown at that key; errors.Join gives several.
package strictyaml
