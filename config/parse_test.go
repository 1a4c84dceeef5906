package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type stripPrefix struct {
	Parts int `yaml:"parts"`
}

func (s *stripPrefix) Validate() error {
	if s.Parts < 1 {
		return errors.New("parts: must be at least 1")
	}
	return nil
}

type header struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
}

type cors struct {
	Origins []string `yaml:"origins"`
}

type redirect struct {
	To string `yaml:"to"`
}

func (redirect) Answers() bool { return true }

type server struct {
	Addresses []string `yaml:"addresses"`
	Namespace string   `yaml:"namespace"`
	Groups    []string `yaml:"groups"`
	Password  string   `yaml:"password"`
}

type static struct {
	Services map[string][]instance `yaml:"services"`
}

// instance is a union, read from a plain value.
type instance struct{ Address string }

func (i *instance) UnmarshalConfig(v any) error {
	switch v := v.(type) {
	case string:
		i.Address = v
		return nil
	case map[string]any:
		address, ok := v["address"].(string)
		if !ok {
			return errors.New("address: must be a text")
		}
		i.Address = address
		return nil
	}
	return errors.New("must be an address or a mapping")
}

type folder struct {
	Path string `yaml:"path"`
}

func testKinds() Kinds {
	return Kinds{
		Filters: map[string]func() any{
			"stripPrefix":      func() any { return &stripPrefix{Parts: 1} },
			"setRequestHeader": func() any { return &header{} },
			"cors":             func() any { return &cors{Origins: []string{"*"}} },
			"redirect":         func() any { return &redirect{} },
		},
		Registries: map[string]func() any{
			"nacos":     func() any { return &server{Namespace: "public"} },
			"zookeeper": func() any { return &server{} },
			"static":    func() any { return &static{} },
			"file":      func() any { return &folder{} },
		},
		Pattern: func(path string) error {
			if strings.Count(path, "{") != strings.Count(path, "}") {
				return errors.New("has a brace without its partner")
			}
			return nil
		},
		Env: func(name string) (string, bool) {
			v, ok := map[string]string{"PORT": "8080", "SECRET": "s3cret: ${PORT}", "EMPTY": ""}[name]
			return v, ok
		},
	}
}

var update = flag.Bool("update", false, "rewrite the expected messages in testdata")

// TestBadDocuments compares all messages of testdata/*.bad.yaml with the file beside it.
func TestBadDocuments(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, problems := Parse(filepath.Base(file), data, testKinds())
			got := problems.Error() + "\n"
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestGoodDocuments(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.yaml")
	n := 0
	for _, file := range files {
		if strings.HasSuffix(file, ".bad.yaml") {
			continue
		}
		n++
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, problems := Parse(file, data, testKinds())
		if problems != nil || doc == nil {
			t.Errorf("%v", problems)
		}
	}
	if n == 0 {
		t.Fatal("no documents")
	}
}
