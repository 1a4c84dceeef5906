package http2

import "encoding/binary"

// preface is what a client's connection begins with (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const (
	frameHeaderLen = 9
	// maxFrame is the largest payload that we accept. It is the protocol's default, so it need not be announced.
	maxFrame = 16 << 10
	// maxWindow is the largest window that a peer may open (section 6.9.1).
	maxWindow = 1<<31 - 1
	// defaultWindow is the size of all windows until something else is said.
	defaultWindow = 65535
)

// frameType is section 6.
type frameType uint8

const (
	frameData         frameType = 0
	frameHeaders      frameType = 1
	framePriority     frameType = 2
	frameRSTStream    frameType = 3
	frameSettings     frameType = 4
	framePushPromise  frameType = 5
	framePing         frameType = 6
	frameGoAway       frameType = 7
	frameWindowUpdate frameType = 8
	frameContinuation frameType = 9
)

// The flags.
const (
	flagEndStream  uint8 = 0x1
	flagAck        uint8 = 0x1
	flagEndHeaders uint8 = 0x4
	flagPadded     uint8 = 0x8
	flagPriority   uint8 = 0x20
)

// frame is a frame's header.
type frame struct {
	length int
	kind   frameType
	flags  uint8
	stream uint32
}

func (f *frame) has(flag uint8) bool { return f.flags&flag != 0 }

func parseFrame(b []byte) frame {
	_ = b[frameHeaderLen-1]
	return frame{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		kind:   frameType(b[3]),
		flags:  b[4],
		stream: binary.BigEndian.Uint32(b[5:]) & maxWindow, // the reserved bit is ignored
	}
}

func appendFrame(dst []byte, length int, kind frameType, flags uint8, stream uint32) []byte {
	return append(dst, byte(length>>16), byte(length>>8), byte(length), byte(kind), flags,
		byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

// putFrame is appendFrame into room that was left before.
func putFrame(b []byte, length int, kind frameType, flags uint8, stream uint32) {
	appendFrame(b[:0], length, kind, flags, stream)
}

func appendRSTStream(dst []byte, stream uint32, code ErrCode) []byte {
	dst = appendFrame(dst, 4, frameRSTStream, 0, stream)
	return binary.BigEndian.AppendUint32(dst, uint32(code))
}

func appendWindowUpdate(dst []byte, stream uint32, n uint32) []byte {
	dst = appendFrame(dst, 4, frameWindowUpdate, 0, stream)
	return binary.BigEndian.AppendUint32(dst, n)
}

func appendPing(dst []byte, flags uint8, data []byte) []byte {
	dst = appendFrame(dst, 8, framePing, flags, 0)
	return append(dst, data[:8]...)
}

func appendGoAway(dst []byte, last uint32, code ErrCode, reason string) []byte {
	dst = appendFrame(dst, 8+len(reason), frameGoAway, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, last)
	dst = binary.BigEndian.AppendUint32(dst, uint32(code))
	return append(dst, reason...)
}

// settingID is section 6.5.2.
type settingID uint16

const (
	settingHeaderTableSize      settingID = 1
	settingEnablePush           settingID = 2
	settingMaxConcurrentStreams settingID = 3
	settingInitialWindowSize    settingID = 4
	settingMaxFrameSize         settingID = 5
	settingMaxHeaderListSize    settingID = 6
	settingEnableConnect        settingID = 8 // RFC 8441
)

type setting struct {
	id    settingID
	value uint32
}

func appendSettings(dst []byte, settings ...setting) []byte {
	dst = appendFrame(dst, 6*len(settings), frameSettings, 0, 0)
	for _, s := range settings {
		dst = binary.BigEndian.AppendUint16(dst, uint16(s.id))
		dst = binary.BigEndian.AppendUint32(dst, s.value)
	}
	return dst
}
