package socket

import (
	"sync"

	"github.com/sluice-gateway/sluice/protocol"
)

// The sizes of pooled buffers: a head with a small body, a large head or a stream, a bulk transfer.
const (
	Small  = 4 << 10
	Medium = 16 << 10
	Large  = 64 << 10
)

// Buffer is memory borrowed from a Pool until Release.
type Buffer struct {
	// B is the whole buffer; its content is undefined.
	B    []byte
	pool *Pool
}

// Pool lends buffers. The zero value is ready. Each engine has its own.
type Pool struct {
	small, medium, large sync.Pool
}

// Get lends a buffer of at least n bytes. One larger than Large is not pooled.
func (p *Pool) Get(n int) *Buffer {
	class, size := p.class(n)
	if class == nil {
		return &Buffer{B: make([]byte, n)}
	}
	if b, ok := class.Get().(*Buffer); ok {
		return b
	}
	return &Buffer{B: make([]byte, size), pool: p}
}

func (p *Pool) class(n int) (*sync.Pool, int) {
	switch {
	case n <= Small:
		return &p.small, Small
	case n <= Medium:
		return &p.medium, Medium
	case n <= Large:
		return &p.large, Large
	}
	return nil, n
}

// Release gives the buffer back. Under the race detector its content is overwritten first, so that whoever kept a string
// of it notices. A nil Buffer is fine.
func (b *Buffer) Release() {
	if b == nil {
		return
	}
	if protocol.Poisoning {
		for i := range b.B {
			b.B[i] = '#'
		}
	}
	b.put()
}

// put is Release without poison, for a buffer into which nothing was read.
func (b *Buffer) put() {
	if b.pool == nil {
		return
	}
	class, _ := b.pool.class(len(b.B))
	class.Put(b)
}
