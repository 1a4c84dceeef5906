package grpc

import (
	"strconv"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

const fieldTimeout = "grpc-timeout"

// ParseTimeout reads the value of grpc-timeout: at most eight digits and a unit.
func ParseTimeout(s string) (time.Duration, bool) {
	if len(s) < 2 || len(s) > 9 {
		return 0, false
	}
	var unit time.Duration
	switch s[len(s)-1] {
	case 'H':
		unit = time.Hour
	case 'M':
		unit = time.Minute
	case 'S':
		unit = time.Second
	case 'm':
		unit = time.Millisecond
	case 'u':
		unit = time.Microsecond
	case 'n':
		unit = time.Nanosecond
	default:
		return 0, false
	}
	n := int64(0)
	for i := 0; i < len(s)-1; i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	const most = int64(1<<63 - 1)
	if n > most/int64(unit) {
		return time.Duration(most), true // 292 years, and the field can say more
	}
	return time.Duration(n) * unit, true
}

// AppendTimeout appends d as grpc-timeout has it, rounded up where eight digits are too few: the receiver must not give up
// before the sender.
func AppendTimeout(dst []byte, d time.Duration) []byte {
	const most = 99_999_999
	if d <= 0 {
		return append(dst, "0n"...)
	}
	for _, u := range [...]struct {
		unit time.Duration
		sign byte
	}{{1, 'n'}, {time.Microsecond, 'u'}, {time.Millisecond, 'm'}, {time.Second, 'S'}, {time.Minute, 'M'}, {time.Hour, 'H'}} {
		n := int64(d / u.unit)
		if d%u.unit != 0 {
			n++
		}
		if n <= most {
			return append(strconv.AppendInt(dst, n, 10), u.sign)
		}
	}
	return append(dst, "99999999H"...)
}

// ApplyTimeout narrows the request's deadline to its grpc-timeout, if it has one. A field that cannot be read is an error, as
// it is for servers.
func ApplyTimeout(req *protocol.Request) error {
	text, ok := req.Header.Lookup(fieldTimeout)
	if !ok {
		return nil
	}
	d, ok := ParseTimeout(text)
	if !ok {
		return &protocol.Error{Status: 400, Code: protocol.CodeBadRequest, Message: "grpc-timeout is not valid", NotSent: true}
	}
	req.NarrowDeadline(max(int64(d), 1))
	return nil
}

// PassTimeout writes what is left until the request's deadline into grpc-timeout, for the server that the request is about
// to be sent to. It fails when nothing is left.
func PassTimeout(req *protocol.Request) error {
	if req.Deadline == 0 {
		req.Header.Del(fieldTimeout)
		return nil
	}
	left := req.Deadline - protocol.Now()
	if left <= 0 {
		return &protocol.Error{Status: 504, Code: protocol.CodeUpstreamTimeout, Message: "the request's time was up before it could be sent", NotSent: true}
	}
	var text [12]byte
	req.Header.Set(fieldTimeout, req.Arena.String(AppendTimeout(text[:0], time.Duration(left))))
	return nil
}

// late tells a failure that came when the request's time was up from others: servers that watch grpc-timeout themselves give
// a stream up at that moment, which alone looks like a broken one.
func late(err error, deadline int64) error {
	if deadline == 0 || protocol.Now() < deadline {
		return err
	}
	switch e := protocol.AsError(err); e.Code {
	case protocol.CodeUpstreamReset, protocol.CodeUpstreamBusy:
		return &protocol.Error{
			Status: 504, Code: protocol.CodeUpstreamTimeout, Message: "the service did not answer in time", NotSent: e.NotSent, Cause: err,
		}
	}
	return err
}

// statusOf is the status that tells a gRPC client of err.
func statusOf(err error, deadline int64) Status {
	e := protocol.AsError(late(err, deadline))
	return Status{Code: CodeOfError(e), Message: e.Message}
}
