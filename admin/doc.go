// Package admin is the management address: liveness, readiness, metrics, and what the gateway knows of itself as JSON.
//
// It is plain net/http on an address of its own, loopback unless the document says otherwise, so that it answers when
// the data plane is full, and is never reachable by accident through it.
package admin
