//go:build !race

package consul

const raceEnabled = false
