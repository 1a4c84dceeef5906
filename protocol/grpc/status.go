package grpc

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluice-gateway/sluice/protocol"
)

// The fields of a status.
const (
	fieldStatus  = "grpc-status"
	fieldMessage = "grpc-message"
	fieldDetails = "grpc-status-details-bin"
)

// Status is how a call ended.
type Status struct {
	Code    Code
	Message string
	// Details is an encoded google.rpc.Status, or nil.
	Details []byte
}

// ReadStatus finds the status in trailers, or in the head of an answer that has nothing else. ok is false when there is none.
func ReadStatus(h *protocol.Header) (s Status, ok bool) {
	text, ok := h.Lookup(fieldStatus)
	if !ok {
		return Status{}, false
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		n = uint64(Unknown) // a status that cannot be read is no success
	}
	s.Code = Code(n)
	if s.Code == OK {
		return s, true
	}
	s.Message = decodeMessage(h.Get(fieldMessage))
	if d, ok := h.Lookup(fieldDetails); ok {
		s.Details, _ = decodeBinary(d) // details that cannot be read say nothing, the status still does
	}
	return s, true
}

// Append adds the fields of s to a head or to trailers.
func (s *Status) Append(h *protocol.Header) {
	h.Add(fieldStatus, strconv.FormatUint(uint64(s.Code), 10))
	if s.Message != "" {
		h.Add(fieldMessage, encodeMessage(s.Message))
	}
	if len(s.Details) > 0 {
		h.Add(fieldDetails, base64.RawStdEncoding.EncodeToString(s.Details))
	}
}

// DelStatus removes the fields of a status.
func DelStatus(h *protocol.Header) {
	h.Del(fieldStatus)
	h.Del(fieldMessage)
	h.Del(fieldDetails)
}

// decodeBinary reads the value of a "-bin" field: base64, padded or not.
func decodeBinary(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}

// decodeMessage undoes the percent-encoding of grpc-message. What is no escape stays as it is, and what is no UTF-8 is
// replaced: a status message is always shown.
func decodeMessage(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(n))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return strings.ToValidUTF8(string(out), string(utf8.RuneError))
}

// encodeMessage percent-encodes all but the printable ASCII characters, and the percent sign.
func encodeMessage(s string) string {
	const hex = "0123456789ABCDEF"
	plain := func(c byte) bool { return c >= 0x20 && c <= 0x7e && c != '%' }
	i := 0
	for i < len(s) && plain(s[i]) {
		i++
	}
	// A blank at either end would not survive as the value of a field.
	if i == len(s) && strings.TrimSpace(s) == s {
		return s
	}
	out := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if plain(c) && (c != ' ' || i > 0 && i < len(s)-1) {
			out = append(out, c)
		} else {
			out = append(out, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(out)
}
