// Package proxy is the data plane: it compiles a document into an immutable Plan, swaps plans, and serves requests by the
// plan in force.
//
// A Gateway owns everything that outlives a plan: registries (through discovery.Catalogue), services with their
// connections and loads (upstream.Store), listeners, counters, rules. A Plan only refers to them. Applying a document
// builds all, swaps one pointer, and releases what only the old plan used once its requests have ended.
package proxy
