package frame

// Bodies of events: the hessian strings "R" and "W", and null.
const (
	// ReadOnly is what a provider sends before it stops: no further calls, please.
	ReadOnly = "\x01R"
	// Writeable takes ReadOnly back.
	Writeable = "\x01W"

	heartbeat = "N"
)

// AppendHeartbeat appends a heartbeat that wants an answer.
func AppendHeartbeat(dst []byte, id uint64) []byte {
	return appendEvent(dst, Request|TwoWay|Event|Hessian2, 0, id, heartbeat)
}

// AppendHeartbeatAnswer appends the answer to a heartbeat.
func AppendHeartbeatAnswer(dst []byte, serialization byte, id uint64) []byte {
	return appendEvent(dst, Event|serialization, StatusOK, id, heartbeat)
}

// AppendEvent appends ReadOnly or Writeable, which nobody answers.
func AppendEvent(dst []byte, id uint64, body string) []byte {
	return appendEvent(dst, Request|Event|Hessian2, 0, id, body)
}

func appendEvent(dst []byte, flag, status byte, id uint64, body string) []byte {
	start := len(dst)
	dst = append(AppendHeader(dst, flag, status, id), body...)
	SetLength(dst[start:])
	return dst
}
