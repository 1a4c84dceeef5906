package protocol

import (
	"strconv"
	"unicode/utf8"
)

// ProblemType is the media type of a rendered Error (RFC 9457).
const ProblemType = "application/problem+json"

// AppendProblem appends e as a problem document (RFC 9457 section 3). requestID may be empty.
func AppendProblem(dst []byte, e *Error, requestID string) []byte {
	dst = append(dst, `{"type":"about:blank","title":`...)
	dst = AppendJSONString(dst, StatusText(e.Status))
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(e.Status), 10)
	dst = append(dst, `,"code":`...)
	dst = AppendJSONString(dst, string(e.Code))
	dst = append(dst, `,"detail":`...)
	dst = AppendJSONString(dst, e.Message)
	for _, d := range e.Details {
		dst = append(dst, ',')
		dst = AppendJSONString(dst, d.Name)
		dst = append(dst, ':')
		dst = AppendJSONString(dst, d.Value)
	}
	if requestID != "" {
		dst = append(dst, `,"requestId":`...)
		dst = AppendJSONString(dst, requestID)
	}
	return append(dst, "}\n"...)
}

// AppendJSONString appends s as a JSON string (RFC 8259 section 7). Bytes that are not UTF-8 become U+FFFD.
func AppendJSONString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '"' && c != '\\' && c != 0x7f {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		// U+2028 and U+2029 end lines in JavaScript: escaped for whoever pastes a log line into a script.
		if (r == utf8.RuneError && size == 1) || r == '\u2028' || r == '\u2029' {
			dst = append(dst, s[start:i]...)
			switch r {
			case '\u2028':
				dst = append(dst, `\u2028`...)
			case '\u2029':
				dst = append(dst, `\u2029`...)
			default:
				dst = append(dst, `\ufffd`...)
			}
			i += size
			start = i
			continue
		}
		i += size
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
