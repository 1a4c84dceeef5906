package grpc

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sluice-gateway/sluice/protocol"
)

// OpenAPI describes what can be called as an OpenAPI 3.1 document, as the newest descriptors have it.
func (t *Transcoder) OpenAPI(ctx context.Context, title, version string) ([]byte, error) {
	s, err := t.descriptors.schema(ctx, 0)
	if err != nil {
		return nil, err
	}
	r := t.compile(s)
	d := document{options: t.route.JSON, schemas: object{"Problem": problemSchema()}}
	paths := object{}
	used := map[string]int{}
	for _, b := range r.bindings {
		method := strings.ToLower(b.httpMethod)
		switch method {
		case "get", "put", "post", "delete", "patch", "head", "options", "trace":
		default:
			continue // OpenAPI 3.1 knows no others
		}
		path, params, variables := b.template.OpenAPI()
		item, _ := paths[path].(object)
		if item == nil {
			item = object{}
			paths[path] = item
		}
		if item[method] == nil { // templates that differ only within a variable are one path here
			item[method] = d.operation(b, params, variables, used)
		}
	}
	return json.MarshalIndent(object{
		"openapi": "3.1.0", "info": object{"title": title, "version": version}, "paths": paths, "components": object{"schemas": d.schemas},
	}, "", "  ")
}

// object is a JSON object.
type object = map[string]any

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func text(format string) object { return object{"type": "string", "format": format} }

func problemSchema() object {
	str := object{"type": "string"}
	return object{
		"type": "object", "description": "RFC 9457",
		"properties": object{
			"type": str, "title": str, "status": object{"type": "integer"}, "code": str, "detail": str, "grpcStatus": str, "path": str, "expected": str,
			"value": str, "requestId": str, "details": object{"type": "array", "items": object{"type": "object"}},
		},
	}
}

// document collects the schemas that are referred to.
type document struct {
	options JSON
	schemas object
}

func (d *document) operation(b *binding, params []string, variables []int, used map[string]int) object {
	service := b.desc.Parent()
	id := string(service.Name()) + "_" + string(b.desc.Name())
	if used[id]++; used[id] > 1 {
		id += "_" + strconv.Itoa(used[id])
	}
	var list []object
	for i, name := range params {
		schema := object{"type": "string"}
		if v := variables[i]; v >= 0 && len(b.template.Variables[v].Path) > 0 {
			if fields := b.vars[v]; name == b.template.Variables[v].Path {
				schema = d.value(fields[len(fields)-1])
			}
		}
		list = append(list, object{"name": name, "in": "path", "required": true, "schema": schema})
	}
	op := object{
		"operationId": id, "tags": []string{string(service.FullName())},
		"responses": object{
			"200":     d.answer(b),
			"default": object{"description": "What went wrong.", "content": object{protocol.ProblemType: object{"schema": ref("Problem")}}},
		},
	}
	if b.body != bodyAll {
		list = d.query(list, b, b.desc.Input(), nil)
	}
	if len(list) > 0 {
		op["parameters"] = list
	}
	if body := d.body(b); body != nil {
		op["requestBody"] = body
	}
	return op
}

func (d *document) body(b *binding) object {
	var schema object
	mediaType := "application/json"
	switch b.body {
	case bodyNone:
		return nil
	case bodyAll:
		schema = d.message(b.desc.Input())
		if b.desc.Input().FullName() == httpBody {
			mediaType = "*/*"
		}
	case bodyField:
		schema = d.field(b.field)
		if m := b.field.Message(); m != nil && m.FullName() == httpBody {
			mediaType = "*/*"
		}
	}
	if b.desc.IsStreamingClient() {
		mediaType = ndjson
	}
	return object{"content": object{mediaType: object{"schema": schema}}}
}

func (d *document) answer(b *binding) object {
	schema := d.message(b.desc.Output())
	raw := b.desc.Output().FullName() == httpBody
	if b.response != nil {
		schema = d.field(b.response)
	}
	content := object{"application/json": object{"schema": schema}}
	switch {
	case raw:
		content = object{"*/*": object{}}
	case b.desc.IsStreamingServer():
		content = object{
			ndjson: object{"schema": schema}, eventStream: object{"schema": schema},
			"application/json": object{"schema": object{"type": "array", "items": schema}},
		}
	}
	return object{"description": "The answer.", "content": content}
}

// query lists the fields that query parameters can set. Messages within themselves end the walk.
func (d *document) query(list []object, b *binding, m protoreflect.MessageDescriptor, above []protoreflect.FieldDescriptor) []object {
	for i := range m.Fields().Len() {
		fd := m.Fields().Get(i)
		fields := append(above[:len(above):len(above)], fd)
		if fd.IsMap() || b.taken(fields) {
			continue
		}
		if inner := fd.Message(); inner != nil && !hasText(inner) {
			recursive := inner == b.desc.Input()
			for _, a := range above {
				recursive = recursive || a.Message() == inner
			}
			if !fd.IsList() && !recursive && !isWellKnown(inner.FullName()) {
				list = d.query(list, b, inner, fields)
			}
			continue
		}
		var name strings.Builder
		for k, f := range fields {
			if k > 0 {
				name.WriteByte('.')
			}
			name.WriteString(d.name(f))
		}
		list = append(list, object{"name": name.String(), "in": "query", "schema": d.field(fd)})
	}
	return list
}

func (d *document) name(fd protoreflect.FieldDescriptor) string {
	if d.options.ProtoNames {
		return fd.TextName()
	}
	return fd.JSONName()
}

// field is the schema of a field, with its repetition.
func (d *document) field(fd protoreflect.FieldDescriptor) object {
	switch {
	case fd.IsMap():
		return object{"type": "object", "additionalProperties": d.value(fd.MapValue())}
	case fd.IsList():
		return object{"type": "array", "items": d.value(fd)}
	}
	return d.value(fd)
}

func (d *document) value(fd protoreflect.FieldDescriptor) object {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return object{"type": "boolean"}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return object{"type": "integer", "format": "int32"}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return object{"type": "integer", "format": "uint32", "minimum": 0}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return d.int64("int64")
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return d.int64("uint64")
	case protoreflect.FloatKind:
		return object{"type": []string{"number", "string"}, "format": "float"}
	case protoreflect.DoubleKind:
		return object{"type": []string{"number", "string"}, "format": "double"}
	case protoreflect.StringKind:
		return object{"type": "string"}
	case protoreflect.BytesKind:
		return object{"type": "string", "contentEncoding": "base64"}
	case protoreflect.EnumKind:
		return d.enum(fd.Enum())
	}
	return d.message(fd.Message())
}

func (d *document) int64(format string) object {
	if d.options.Int64Numbers {
		return object{"type": "integer", "format": format}
	}
	return text(format)
}

func (d *document) enum(e protoreflect.EnumDescriptor) object {
	name := string(e.FullName())
	if name == "google.protobuf.NullValue" {
		return object{"type": "null"}
	}
	if d.schemas[name] == nil {
		var names []string
		for i := range e.Values().Len() {
			names = append(names, string(e.Values().Get(i).Name()))
		}
		d.schemas[name] = object{"type": "string", "enum": names}
		if d.options.EnumNumbers {
			d.schemas[name] = object{"type": "integer", "format": "int32", "description": strings.Join(names, ", ")}
		}
	}
	return ref(name)
}

// message is the schema of a message, by reference unless it has a form of its own.
func (d *document) message(m protoreflect.MessageDescriptor) object {
	switch m.FullName() {
	case "google.protobuf.Timestamp":
		return text("date-time")
	case "google.protobuf.Duration":
		return object{"type": "string", "pattern": `^-?[0-9]+(\.[0-9]{1,9})?s$`}
	case "google.protobuf.FieldMask":
		return object{"type": "string"}
	case "google.protobuf.Struct", "google.protobuf.Empty":
		return object{"type": "object"}
	case "google.protobuf.ListValue":
		return object{"type": "array", "items": object{}}
	case "google.protobuf.Value":
		return object{}
	case "google.protobuf.Any":
		return object{"type": "object", "required": []string{"@type"}, "properties": object{"@type": object{"type": "string"}}}
	}
	if isWrapper(m) {
		return object{"anyOf": []object{d.value(m.Fields().ByNumber(1)), {"type": "null"}}}
	}
	name := string(m.FullName())
	if d.schemas[name] == nil {
		properties := object{}
		d.schemas[name] = object{"type": "object", "properties": properties} // before its fields: it may contain itself
		for i := range m.Fields().Len() {
			fd := m.Fields().Get(i)
			properties[d.name(fd)] = d.field(fd)
		}
	}
	return ref(name)
}
