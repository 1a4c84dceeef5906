// Package route finds the route of a request: one compiled table, read by every request without a lock or an allocation.
//
// # Path patterns
//
// Patterns are those that users of Spring's PathPattern know, over the path in its normal form (Request.Path):
//
//	/orders        exactly this path; /orders/ is another one
//	/orders/{id}   one segment that is not empty, captured as id
//	/orders/{id:[0-9]+}  one segment that matches the whole expression (RE2)
//	/orders/*      one segment that is not empty
//	/files/*.txt   one segment with something before .txt; /v{major} and /{a}-{b} work the same way
//	/orders/**     /orders itself and everything below; only at the end
//	/orders/{*rest} the same, with what is below captured, its first slash included
//
// Captures keep their percent-encoding. An encoded slash (%2F) never separates segments.
//
// # Which route wins
//
// Among the routes whose conditions all hold, the most specific one does:
//
//  1. by host: an exact name, then the longest wildcard, then no host;
//  2. by path, segment by segment from the left: text, then text with captures in it, then an expression, then {name} or
//     *, then the end of the pattern by **;
//  3. by the number of other conditions: method, headers, query, cookies;
//  4. by order in the document.
//
// A route for GET serves HEAD too. If a path matches and only the method does not, the answer is 405 with Allow.
package route
