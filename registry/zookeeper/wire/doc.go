// Package wire speaks ZooKeeper's client protocol on one connection: the handshake, requests that are answered in order,
// pings, and the events of watches.
//
// It holds what a gateway needs and the usual library lacks: many reads in one request (multiRead) and one watch on a
// whole subtree (addWatch), both since ZooKeeper 3.6, requests that end with their context, and no reconnecting of its
// own: a Conn is one TCP connection with one session, and when it breaks it is over.
//
// The records are those of ZooKeeper's src/main/resources/zookeeper.jute, in its Jute encoding: big-endian numbers, and
// strings and buffers behind a length of four bytes.
package wire
