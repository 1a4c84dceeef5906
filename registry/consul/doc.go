// Package consul is the registry of HashiCorp Consul, by blocking queries of its HTTP API.
//
// A session is the use of one server with one token: its connections and a guard that asks, all the time, whether the server
// still has a leader and still knows the token. When it does not, the session ends and the next address is tried; every
// watch then begins anew in the next session, with a plain read that is pushed in any case. So a server that lost its data is
// noticed at the first answer, and what went on meanwhile cannot be missed.
//
// A watch (follow.go) is a loop of its caller's goroutine: a plain read, then blocking reads with the index of the answer
// before. An answer counts only when it is whole: an error, a page of HTML, a filtered or an anonymous answer is trouble to
// be reported, never a state.
//
// How many questions wait at once is bounded. With HTTP/2, which needs TLS, they share few connections (lanes.go); without
// it each of them needs a connection, of which an agent allows 200 to one client, so that watches beyond the bound take turns
// (gate.go).
package consul
