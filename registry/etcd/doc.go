// Package etcd is the registry of etcd v3: plain keys, one for each instance, and the layout of Dubbo's etcd registries.
//
// One connection carries everything. A session reads the configured prefixes at one revision and follows them from the next
// one with one watch for each prefix; what it learns stands in an index, and only the watches of the service that changed
// are woken. The session, not the library, decides when a connection is lost: it asks for a sign of life all the time, and
// then begins anew with another server and a complete reading, so that nothing deleted meanwhile stays, and a server that
// came back empty, with revisions that run backwards, is believed.
//
// Of etcd's own modules only the messages of the protocol are linked. Its client resumes a broken watch by itself and tells
// nobody, but people on call and the catalogue must hear of it.
package etcd
