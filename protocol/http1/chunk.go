package http1

import "github.com/sluice-gateway/sluice/protocol"

const (
	maxChunkLine     = 256     // one size line with its extensions
	maxChunkOverhead = 8 << 10 // all extensions of one body
	maxTrailers      = 8 << 10 // the trailer section
	maxTrailerCount  = 64
)

// chunkState is where the chunked decoder stands (RFC 9112 section 7.1).
type chunkState struct {
	phase    chunkPhase
	total    int64 // bytes announced so far
	overhead int   // bytes of extensions so far
}

type chunkPhase uint8

const (
	chunkSize    chunkPhase = iota // before a size line
	chunkData                      // in a chunk; inbound.left bytes lack
	chunkDataEnd                   // before the CRLF behind a chunk
	chunkTrailer                   // behind the last chunk
)

// nextChunk returns a piece of a chunk, or an empty one at the end.
func (b *inbound) nextChunk() ([]byte, error) {
	for {
		b.advance()
		switch {
		case b.broke != nil:
			return nil, b.broke
		case b.done:
			return nil, nil
		case b.left > 0 && b.st.buffered() > 0:
			piece := b.take(b.left)
			b.left -= int64(len(piece))
			if b.left == 0 {
				b.chunk.phase = chunkDataEnd
				// If the end is in the window already, this is the last piece and its reader can say so at once.
				b.advance()
			}
			return piece, nil
		}
		want := int64(-1)
		if b.left > 0 {
			want = b.left + 2
		}
		if err := b.fill(want, false); err != nil {
			return nil, err
		}
	}
}

// advance decodes what lies in the window, without reading, up to the next byte of data or the end.
func (b *inbound) advance() {
	for b.broke == nil && !b.done {
		var ok bool
		var err error
		switch b.chunk.phase {
		case chunkData:
			return
		case chunkDataEnd:
			ok, err = b.dataEnd()
		case chunkSize:
			ok, err = b.sizeLine()
		case chunkTrailer:
			ok, err = b.trailers()
		}
		if err != nil {
			b.broke = b.src.malformed(err)
			return
		}
		if !ok {
			return
		}
	}
}

func (b *inbound) dataEnd() (bool, error) {
	w := b.st.window()
	if len(w) > 0 && w[0] != '\r' || len(w) > 1 && w[1] != '\n' {
		return false, errChunkEnd
	}
	if len(w) < 2 {
		return false, nil
	}
	b.st.consume(2)
	b.chunk.phase = chunkSize
	return true, nil
}

// sizeLine reads "1A;name=value" CRLF. Blanks between the digits and ";" are refused, although old grammars had them.
func (b *inbound) sizeLine() (bool, error) {
	w := b.st.window()
	var size int64
	i := 0
	for ; i < len(w); i++ {
		d, ok := unhex(w[i])
		if !ok {
			break
		}
		if i == 15 { // fifteen digits always fit
			return false, errChunkSize
		}
		size = size<<4 | int64(d)
	}
	if i == len(w) {
		return false, nil
	}
	if i == 0 || w[i] != '\r' && w[i] != ';' {
		return false, errChunkSize
	}
	end := i + scanValue(w[i:])
	switch {
	case end > maxChunkLine:
		return false, errChunkExtension
	case end == len(w):
		return false, nil
	case w[end] != '\r':
		return false, errChunkSize
	case end+1 == len(w):
		return false, nil
	case w[end+1] != '\n':
		return false, errBareCR
	}
	if b.chunk.overhead += end - i; b.chunk.overhead > maxChunkOverhead {
		return false, errChunkExtension
	}
	b.st.consume(end + 2)
	if size == 0 {
		b.chunk.phase = chunkTrailer
		return true, nil
	}
	b.chunk.total += size
	if b.limit > 0 && b.chunk.total > b.limit {
		return false, protocol.ErrBodyTooLarge
	}
	b.left, b.chunk.phase = size, chunkData
	return true, nil
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// trailers reads the section behind the last chunk, once it is whole. Fields that frame, route or authenticate a message
// mean nothing there and are dropped (RFC 9110 section 6.5.1).
func (b *inbound) trailers() (bool, error) {
	w := b.st.window()
	pos := 0
	for count := 0; ; count++ {
		name, value, n, err := fieldLine(w[pos:])
		switch {
		case err != nil:
			return false, err
		case pos+n > maxTrailers || count > maxTrailerCount || n == 0 && len(w) > maxTrailers:
			return false, errHeadTooLarge
		case n == 0:
			// The window may move before the rest comes: begin again then.
			if b.trailer != nil {
				b.trailer.Reset()
			}
			return false, nil
		}
		pos += n
		if name == nil {
			break
		}
		if id := protocol.LookupName(text(name)); b.trailer != nil && !forbiddenTrailer(id) {
			b.trailer.AddKnown(id, text(name), text(value))
		}
	}
	b.st.consume(pos)
	b.done = true
	return true, nil
}

func forbiddenTrailer(id protocol.Name) bool {
	switch id {
	case protocol.NameContentLength, protocol.NameHost, protocol.NameExpect, protocol.NameAuthorization,
		protocol.NameContentType, protocol.NameContentEncoding, protocol.NameCacheControl, protocol.NameCookie,
		protocol.NameSetCookie, protocol.NameForwarded, protocol.NameXForwardedFor, protocol.NameXForwardedHost,
		protocol.NameXForwardedPort, protocol.NameXForwardedProto, protocol.NameXRealIP, protocol.NameLocation,
		protocol.NameRetryAfter, protocol.NameVary:
		return true
	}
	return id.HopByHop()
}
