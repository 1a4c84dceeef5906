//go:build race

package protocol

import "testing"

func TestArenaIsPoisonedAfterTheExchange(t *testing.T) {
	var a Arena
	s := a.Concat("secret")
	a.Reset()
	if s != "######" {
		t.Errorf("a kept string reads %q", s)
	}
}
