//go:build race

package consul

// raceEnabled says that figures mean nothing.
const raceEnabled = true
