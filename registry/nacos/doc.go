// Package nacos is the registry of Nacos 2.x and 3.x, over the gRPC push that their own clients use.
//
// One connection carries everything: each service and each configuration entry is asked for once and pushed by the server
// from then on. The client is our own and thin: it opens no port of its own and writes no file.
//
// What a watch needs (the instances of a service in each group, a configuration entry, the list of services, an
// application's Dubbo metadata) are subjects. A subject is kept once, however many watches read it, asked for again after
// every reconnection, and tells its readers when it has changed. A watch is a function from subjects to what it pushes.
//
// What we register of ourselves is a subject too, announced again over each new connection and withdrawn when its reader
// leaves. So are the names of services: they are pushed where the server can (fuzzy watch), and read at intervals where it
// cannot, or no longer does.
//
// An error, a refusal or an answer that cannot be read is reported, with what to do about it, and changes no state.
//
// Two rules keep a restarting server from emptying the gateway, because Nacos answers before its providers have come back:
//
//   - After a reconnection an empty answer for a service that had instances (or the absence of a configuration entry that
//     was there) is doubted until Config.Settle has passed since the connection came up. A push with instances ends the
//     doubt at once; otherwise the server is asked again at the end of that time, and that answer is believed.
//   - A service leaves the list of services only when two listings in a row, or a change pushed by a server that has been
//     connected for longer than Config.Settle, say that it is gone.
package nacos
