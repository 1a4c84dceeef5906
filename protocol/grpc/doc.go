// Package grpc carries gRPC over protocol's Request and Response, and turns other ways of calling into it: JSON over HTTP
// (google.api.http), gRPC-Web and Connect.
//
// Nothing here owns a connection. A gRPC call is an exchange with POST, "application/grpc", framed messages and a status in
// the trailers (the gRPC over HTTP2 protocol document, PROTOCOL-HTTP2.md); the target below is whatever speaks HTTP/2. Each
// translation is a protocol.Filter around that target, so balancing, retries and limits are the same for all of them.
//
// The Transcoder needs to know what messages look like. Descriptors holds that: asked of the servers by reflection, read from
// a descriptor set, or compiled from a folder of .proto files.
//
// Streams are never held whole: messages are turned over one by one, as the reader asks for them.
package grpc
