package balance

// Hash makes a Choice's Key of a request's header, cookie, address or the like. It is FNV-1a with 64 bits, the same in all
// gateways, versions and restarts, so that they agree on where a key goes.
func Hash[T string | []byte](value T) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(value) {
		h = (h ^ uint64(value[i])) * 0x100000001b3
	}
	return h
}

// mix spreads what differs anywhere in x over all of its bits (the finisher of Vigna's splitmix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// golden makes a sequence of numbers from one: they differ by it.
const golden = 0x9e3779b97f4a7c15

// places gives each target the hash that the tables place it by. Targets that share an ID are told apart by their order.
func places(targets []Target) []uint64 {
	all, seen := make([]uint64, len(targets)), make(map[string]uint64, len(targets))
	for i := range targets {
		id := targets[i].ID
		all[i] = mix(Hash(id) + seen[id]*golden)
		seen[id]++
	}
	return all
}
