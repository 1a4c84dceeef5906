package protocol

import "net/http"

// StatusText is the reason phrase of an HTTP status, with nginx's word for a client that left.
func StatusText(status int) string {
	if status == 499 {
		return "Client Closed Request"
	}
	if s := http.StatusText(status); s != "" {
		return s
	}
	return "Unknown"
}

// NoBody reports whether an answer of this status to this method has no content whatever its fields say
// (RFC 9110 section 6.4.1).
func NoBody(method string, status int) bool {
	return method == "HEAD" || status == 204 || status == 304 || status < 200
}
