package hpack

import "errors"

// huffmanLengths are the lengths in bits of the codes of RFC 7541 appendix B, by octet. The code is canonical: codes of one
// length are consecutive numbers in the order of the octets, so that the lengths say everything.
var huffmanLengths = [256]uint8{
	13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
	28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
	6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
	5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
	13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
	7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
	15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
	6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
	20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
	24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
	22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
	21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
	26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
	19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
	20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
	26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
}

// eosLength is the length of the code that ends nothing: thirty bits of one.
const eosLength = 30

// huffmanNode is eight bits of a walk through the code.
type huffmanNode [256]huffmanStep

// huffmanStep is where the next eight bits lead: to a symbol whose code ends within them, or to another node.
type huffmanStep struct {
	symbol byte
	bits   uint8 // of these eight that belong to the symbol; 0 leads on
	next   uint8 // node; 0 means that no symbol has this code
}

var huffman = buildHuffman()

func buildHuffman() []huffmanNode {
	nodes := make([]huffmanNode, 1, 16)
	code := uint32(0)
	for length := uint8(5); length <= eosLength; length++ {
		for symbol, l := range huffmanLengths {
			if l == length {
				nodes = placeCode(nodes, code, length, byte(symbol))
				code++
			}
		}
		code <<= 1
	}
	return nodes
}

func placeCode(nodes []huffmanNode, code uint32, length uint8, symbol byte) []huffmanNode {
	at := 0
	for ; length > 8; length -= 8 {
		octet := byte(code >> (length - 8))
		if nodes[at][octet].next == 0 {
			nodes = append(nodes, huffmanNode{})
			nodes[at][octet].next = uint8(len(nodes) - 1)
		}
		at = int(nodes[at][octet].next)
	}
	first := int(byte(code << (8 - length)))
	for i := range 1 << (8 - length) {
		nodes[at][first+i] = huffmanStep{symbol: symbol, bits: length}
	}
	return nodes
}

var errHuffman = errors.New("a Huffman-coded string is not valid")

// appendHuffman decodes src behind dst (RFC 7541 section 5.2). One octet becomes at most 8/5.
func appendHuffman(dst, src []byte) ([]byte, error) {
	var bits uint64
	n, at := uint(0), 0 // bits that are held, node
	taken := uint(0)    // bits of the current code that nodes above have consumed
	for i := 0; ; {
		for n <= 48 && i < len(src) {
			bits = bits<<8 | uint64(src[i])
			i++
			n += 8
		}
		if n < 8 && i == len(src) {
			break
		}
		step := &huffman[at][byte(bits>>(n-8))]
		switch {
		case step.bits != 0:
			dst = append(dst, step.symbol)
			n -= uint(step.bits)
			at, taken = 0, 0
		case step.next != 0:
			n -= 8
			at, taken = int(step.next), taken+8
		default:
			return dst, errHuffman // EOS, or the start of it and more
		}
	}
	// Up to seven bits are left: a last short code, or padding.
	for n > 0 {
		step := &huffman[at][byte(bits<<(8-n))]
		if step.bits == 0 || uint(step.bits) > n {
			break
		}
		dst = append(dst, step.symbol)
		n -= uint(step.bits)
		at, taken = 0, 0
	}
	// Padding is the start of EOS, all ones, and shorter than an octet.
	if taken+n > 7 || byte(bits)|^byte(1<<n-1) != 0xff {
		return dst, errHuffman
	}
	return dst, nil
}
