// Package zookeeper finds services in Apache ZooKeeper: Dubbo services, registered by interface or by application, and
// Spring Cloud services; and it registers the gateway there.
//
// What is watched is computed by plain functions that read nodes (dubbo.go, plain.go, services.go, definition.go). The tree
// remembers every node that such a function read; when one of them changes, only that node is read again and the function
// runs anew. Two watches tell of every change below the two roots, and the reads of all functions go together in few
// requests (session.go, read.go, flight.go; the protocol itself is in package wire). A lost connection makes every node
// unknown, so after it everything is read again: ZooKeeper does not promise that a client hears of all that it missed.
//
// A connection is used once. When it breaks a new one is made, with a new session: a session holds nothing for us but the
// gateway's own registration, which is replaced, and a server whose data was lost refuses old ones for ever.
package zookeeper
