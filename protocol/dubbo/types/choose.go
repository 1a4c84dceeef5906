package types

// Kind is the shape of an argument, as far as it can be told without reading it.
type Kind uint8

// The shapes of JSON values, and Text for a value from a path, query, header or cookie.
const (
	Invalid Kind = iota
	Null
	Bool
	Integer // a number without fraction and exponent
	Fraction
	String
	Array
	Object
	Text
)

// Choose picks the overload that takes arguments of these shapes: first by their number, then by how well each shape fits.
// An overload wins if it fits each argument at least as well as every other, and one of them better. The error is an
// *OverloadError.
func Choose(candidates []*Method, args ...Kind) (*Method, error) {
	return nil, nil
}
