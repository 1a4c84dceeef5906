// Package hessian writes and reads the hessian2 bytes of Dubbo messages without building values in between.
//
// Writing is a set of Append functions over a byte slice; types decides what to write. Reading is a Decoder that walks
// the bytes of one message and writes JSON as it goes. Neither uses reflection, maps or interfaces, and neither
// allocates once its memory has grown to the size of the work.
//
// The format is the Hessian 2.0 Serialization Protocol (http://hessian.caucho.com/doc/hessian-serialization.html) as
// Dubbo's hessian-lite speaks it. Three habits of Java peers shape the writer: lists carry their length (a list of
// unknown length is refused for a typed parameter), strings are counted in UTF-16 units and split into chunks that never
// part a surrogate pair, and characters beyond the basic plane travel as two surrogates of three bytes each.
package hessian
