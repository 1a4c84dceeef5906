package grpc

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// TestOpenAPI: every reference leads somewhere, every parameter of a path is declared, and the well-known forms are there.
func TestOpenAPI(t *testing.T) {
	for _, options := range []JSON{{}, {ProtoNames: true, EnumNumbers: true, Int64Numbers: true}} {
		tr, _ := transcoder(t, Route{JSON: options}, protos, nil)
		raw, err := tr.OpenAPI(t.Context(), "Shop", "1")
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			OpenAPI    string
			Paths      map[string]map[string]map[string]any
			Components struct{ Schemas map[string]map[string]any }
		}
		if err := json.Unmarshal(raw, &doc); err != nil || doc.OpenAPI != "3.1.0" {
			t.Fatalf("%v: %s", err, raw)
		}
		for _, m := range regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(string(raw), -1) {
			if doc.Components.Schemas[m[1]] == nil {
				t.Errorf("%s is not there", m[1])
			}
		}
		ids := map[any]bool{}
		for path, item := range doc.Paths {
			for method, op := range item {
				if ids[op["operationId"]] {
					t.Errorf("%v is there twice", op["operationId"])
				}
				ids[op["operationId"]] = true
				declared := map[string]bool{}
				params, _ := op["parameters"].([]any)
				for _, p := range params {
					p := p.(map[string]any)
					if p["in"] == "path" {
						declared[p["name"].(string)] = true
					}
				}
				used := regexp.MustCompile(`\{([^}]+)\}`).FindAllStringSubmatch(path, -1)
				if len(used) != len(declared) {
					t.Errorf("%s %s declares %v", method, path, declared)
				}
				for _, u := range used {
					if !declared[u[1]] {
						t.Errorf("%s %s does not declare %s", method, path, u[1])
					}
				}
			}
		}
		for _, want := range []string{"/v1/shelves/{name}/items/{name_2}", "/v1/shelves/{name}/items/{name_2}:cancel", "/v1/all/{parent}", "/test.shop.v1.Shop/Echo", "/v1/watch"} {
			if doc.Paths[want] == nil {
				t.Errorf("%s is not there", want)
			}
		}
		item := doc.Components.Schemas["test.shop.v1.Item"]["properties"].(map[string]any)
		got, _ := json.Marshal(map[string]any{"made": item["made"], "serial": item["serial"], "tags": item["tags"], "stock": item["stock"], "note": item["note"]})
		want := `{"made":{"format":"date-time","type":"string"},"note":{"anyOf":[{"type":"string"},{"type":"null"}]},"serial":{"format":"int64","type":"string"},` +
			`"stock":{"additionalProperties":{"format":"int32","type":"integer"},"type":"object"},"tags":{"items":{"type":"string"},"type":"array"}}`
		if options.Int64Numbers {
			want = strings.Replace(want, `"format":"int64","type":"string"`, `"format":"int64","type":"integer"`, 1)
		}
		if string(got) != want {
			t.Errorf("%s\nwant %s", got, want)
		}
		list := doc.Paths["/v1/shelves/{parent}/items"]["get"]
		text, _ := json.Marshal(list["parameters"])
		name := "pageSize"
		if options.ProtoNames {
			name = "page_size"
		}
		if !strings.Contains(string(text), `"name":"`+name+`"`) || !strings.Contains(string(text), `.units"`) || strings.Contains(string(text), "labels") {
			t.Errorf("%s", text)
		}
	}
	tr, _ := transcoder(t, Route{}, SetFile("none"), nil)
	if _, err := tr.OpenAPI(t.Context(), "x", "1"); err == nil {
		t.Error("a document of nothing")
	}
}
