package grpc

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"sync"

	"github.com/sluice-gateway/sluice/protocol"
)

const (
	fieldEncoding       = "grpc-encoding"
	fieldAcceptEncoding = "grpc-accept-encoding"
	gzipEncoding        = "gzip"
	identityEncoding    = "identity"
)

// inflater undoes the compression of single messages. It is kept from exchange to exchange.
type inflater struct {
	in  bytes.Reader
	zip *gzip.Reader
	out []byte
}

// inflaters pools them.
type inflaters struct{ pool sync.Pool }

func (p *inflaters) get() *inflater {
	if z, ok := p.pool.Get().(*inflater); ok {
		return z
	}
	return new(inflater)
}

func (p *inflaters) put(z *inflater) {
	if z == nil {
		return
	}
	z.in.Reset(nil)
	if cap(z.out) > keptBuffer {
		z.out = nil
	}
	p.pool.Put(z)
}

// inflate returns what message holds, at most limit bytes, valid until the next call.
func (z *inflater) inflate(message []byte, limit int) ([]byte, error) {
	z.in.Reset(message)
	var err error
	if z.zip == nil {
		z.zip, err = gzip.NewReader(&z.in)
	} else {
		err = z.zip.Reset(&z.in)
	}
	if err != nil {
		return nil, err
	}
	z.out = z.out[:0]
	for {
		if len(z.out) == cap(z.out) {
			z.out = append(z.out, 0)[:len(z.out)]
		}
		room := z.out[len(z.out):cap(z.out)]
		n, err := z.zip.Read(room[:min(len(room), limit+1-len(z.out))])
		z.out = z.out[:len(z.out)+n]
		switch {
		case len(z.out) > limit:
			return nil, &limitError{limit}
		case errors.Is(err, io.EOF):
			return z.out, nil
		case err != nil:
			return nil, err
		}
	}
}

// messages are the messages of one direction, without compression.
type messages struct {
	envelopes
	pool     *inflaters
	encoding string
	zip      *inflater
}

func (m *messages) reset(body protocol.Body, limit int, encoding string) {
	m.envelopes.reset(body, limit)
	m.encoding = encoding
}

// next returns the next message's content, valid until the next call.
func (m *messages) next() ([]byte, error) {
	flags, message, err := m.envelopes.next()
	if err != nil {
		return nil, err
	}
	switch flags {
	case 0:
		return message, nil
	case flagCompressed:
		switch m.encoding {
		case gzipEncoding:
		case "", identityEncoding:
			return nil, errNotNamed
		default:
			return nil, errUnsupported
		}
		if m.zip == nil {
			m.zip = m.pool.get()
		}
		return m.zip.inflate(message, m.limit)
	}
	return nil, errFlags
}

// release gives back what was lent.
func (m *messages) release() {
	m.pool.put(m.zip)
	m.zip, m.body, m.piece = nil, nil, nil
}
