package protocol

import "testing"

// TestSensitive shows that the mark stays with a field whose value is replaced, and goes with the field.
func TestSensitive(t *testing.T) {
	var h Header
	h.AddSensitive(NameOther, "X-Key", "a")
	h.Add("X-Other", "b")
	if !h.At(0).Sensitive() || h.At(1).Sensitive() {
		t.Errorf("got %+v", h)
	}
	h.Set("x-key", "c")
	if !h.At(0).Sensitive() || h.At(0).Value != "c" {
		t.Errorf("after Set: %+v", h)
	}
	h.Del("x-key")
	h.Add("X-Key", "d")
	if h.At(1).Sensitive() {
		t.Errorf("the mark outlived its field: %+v", h)
	}
}
