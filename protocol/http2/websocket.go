package http2

import (
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what RFC 6455 asks for; nothing depends on its strength
	"encoding/base64"

	"github.com/sluice-gateway/sluice/protocol"
)

// RFC 8441 carries WebSocket without the key and its proof, by which HTTP/1.1 makes sure that both ends mean it. Whoever
// stands between the two adds what is missing on the other side.
const (
	keyField    = "sec-websocket-key"
	acceptField = "sec-websocket-accept"
	acceptGUID  = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455 section 4.2.2
)

// upgrade makes of an extended CONNECT what every upstream client understands.
func (x *serverStream) upgrade() {
	req := &x.req
	req.Method = "GET"
	req.Upgrade = x.connect
	req.ContentLength = protocol.UnknownLength
	req.Body = &x.body
	x.patient = true
	if protocol.EqualFold(x.connect, "websocket") {
		if _, ok := req.Header.Lookup(keyField); !ok {
			var key [16]byte
			_, _ = rand.Read(key[:]) // never fails
			req.Header.Add(keyField, base64.StdEncoding.EncodeToString(key[:]))
		}
	}
}

// acceptKey is the proof for a key.
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + acceptGUID)) //nolint:gosec // see above
	return base64.StdEncoding.EncodeToString(sum[:])
}
