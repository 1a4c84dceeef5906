package balance

import "math/bits"

// alias draws an index in proportion to its share in constant time (Walker's alias method, in Vose's stable form: "A
// linear algorithm for generating random numbers with a given distribution", 1991).
type alias struct {
	keep  []uint32 // probability of staying with the column, scaled to 2^32-1
	other []int32
}

// newAlias takes shares whose average is 1.
func newAlias(shares []float64) *alias {
	n := len(shares)
	a := &alias{keep: make([]uint32, n), other: make([]int32, n)}
	left := append([]float64(nil), shares...)
	var small, large []int32
	for i, s := range left {
		if s < 1 {
			small = append(small, int32(i))
		} else {
			large = append(large, int32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.keep[s], a.other[s] = scale(left[s]), l
		left[l] -= 1 - left[s]
		if left[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, rest := range [][]int32{small, large} {
		for _, i := range rest {
			a.keep[i], a.other[i] = 1<<32-1, i
		}
	}
	return a
}

func scale(p float64) uint32 { return uint32(min(max(p, 0), 1) * (1<<32 - 1)) }

func (a *alias) draw(r uint64) int {
	column := bound(uint32(r), len(a.keep))
	if uint32(r>>32) <= a.keep[column] {
		return int(column)
	}
	return int(a.other[column])
}

// spread is draw for numbers that are evenly spread over 64 bits rather than random: the column is the number's high part, and
// what stays in the column comes first.
func (a *alias) spread(x uint64) int {
	column, place := bits.Mul64(x, uint64(len(a.keep)))
	if uint32(place>>32) <= a.keep[column] {
		return int(column)
	}
	return int(a.other[column])
}
