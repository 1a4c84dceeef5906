// Package frame cuts a Dubbo connection into frames and names what is in them, for both ends of the wire.
package frame
