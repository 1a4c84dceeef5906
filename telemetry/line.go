package telemetry

import (
	"cmp"
	"strconv"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// appendLine appends one exchange as a JSON object and a line feed. Members without a value are left out.
func appendLine(dst []byte, now time.Time, req *protocol.Request, status int, nanos int64) []byte {
	rec := &req.Record
	dst = append(dst, `{"time":"`...)
	dst = now.AppendFormat(dst, "2006-01-02T15:04:05.000Z07:00")
	dst = append(dst, `","level":"INFO","msg":"request","method":`...)
	dst = protocol.AppendJSONString(dst, req.Method)
	dst = text(dst, "host", req.Authority)
	dst = text(dst, "path", cmp.Or(rec.Path, req.Path)) // a message that could not be read has no path of its own
	if req.HasQuery {
		dst = text(dst, "query", req.RawQuery)
	}
	dst = append(dst, `,"protocol":"`...)
	dst = append(dst, req.Version.String()...)
	dst = append(dst, `","status":`...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, `,"durationMs":`...)
	dst = millis(dst, nanos)
	if req.Client.IsValid() {
		dst = append(dst, `,"client":"`...)
		dst = req.Client.AppendTo(dst)
		dst = append(dst, '"')
	}
	dst = text(dst, "route", rec.Route)
	dst = text(dst, "service", rec.Service)
	dst = text(dst, "instance", rec.Instance)
	if rec.Attempts > 0 {
		dst = append(dst, `,"attempts":`...)
		dst = strconv.AppendInt(dst, int64(rec.Attempts), 10)
		dst = append(dst, `,"upstreamMs":`...)
		dst = millis(dst, rec.UpstreamNanos)
	}
	dst = append(dst, `,"bytesIn":`...)
	dst = strconv.AppendInt(dst, rec.RequestBytes, 10)
	dst = append(dst, `,"bytesOut":`...)
	dst = strconv.AppendInt(dst, rec.ResponseBytes, 10)
	dst = text(dst, "requestId", req.ID)
	dst = text(dst, "userAgent", req.Header.Value(protocol.NameUserAgent))
	dst = text(dst, "code", string(rec.Code))
	if rec.Err != nil {
		dst = text(dst, "error", rec.Err.Error())
	}
	return append(dst, "}\n"...)
}

func text(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return protocol.AppendJSONString(dst, value)
}

// millis appends nanoseconds as milliseconds with microseconds behind the point.
func millis(dst []byte, nanos int64) []byte {
	micros := max(nanos, 0) / 1000
	dst = strconv.AppendInt(dst, micros/1000, 10)
	frac := micros % 1000
	return append(dst, '.', byte('0'+frac/100), byte('0'+frac/10%10), byte('0'+frac%10))
}
