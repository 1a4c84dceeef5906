package dubbo

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Values as different versions write them; what makes no sense is not there.
func TestLenientJSON(t *testing.T) {
	type all struct {
		T Text
		N Number
		M Texts
	}
	for text, want := range map[string]all{
		`{"T":"a","N":1,"M":{"a":"b","c":1,"d":true,"e":null,"f":[1],"g":{"h":2}}}`: {
			"a", Number{1, true}, Texts{"a": "b", "c": "1", "d": "true", "e": "", "f": "[1]", "g": `{"h":2}`},
		},
		`{"T":1.5,"N":"20880","M":[]}`:     {"1.5", Number{20880, true}, nil},
		`{"T":{},"N":{},"M":"x"}`:          {},
		`{"T":null,"N":null,"M":null}`:     {},
		`{"T":true,"N":"x","M":{}}`:        {T: "true"},
		`{"T":[],"N":0}`:                   {N: Number{0, true}},
		`{"T":"\u0000\ud800","N":"1e400"}`: {T: "\x00\ufffd"},
	} {
		var got all
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
	for text, want := range map[string]int{"1": 1, `"65535"`: 65535, "65536": 0, "-1": 0, "0": 0, "80.5": 0, "1e400": 0, "NaN": 0, "{}": 0} {
		var n Number
		_ = n.UnmarshalJSON([]byte(text))
		if got := n.Port(); got != want {
			t.Errorf("%s is port %d, want %d", text, got, want)
		}
	}
}
