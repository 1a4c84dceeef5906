package dubbo

import (
	"errors"
	"fmt"
	"sync"

	"github.com/sluice-gateway/sluice/protocol"
)

// The first value of an answer's body says what follows. The higher three are the same with attachments after it, which
// providers send to clients of version 2.0.2.
const (
	kindException = 0
	kindValue     = 1
	kindNull      = 2
	// kindAttached is what the higher three have more.
	kindAttached = 3
)

// answer is the body of a response: JSON in memory that goes back to its client's pool at Close.
type answer struct {
	protocol.Bytes
	json  []byte
	owner *answers
}

// keptAnswer is the largest buffer that is kept for the next answer.
const keptAnswer = 256 << 10

// answers pools answers.
type answers struct{ pool sync.Pool }

func (p *answers) get() *answer {
	if a, ok := p.pool.Get().(*answer); ok {
		a.owner = p
		return a
	}
	return &answer{owner: p}
}

// Close implements protocol.Body.
func (a *answer) Close() error {
	p := a.owner
	if p == nil {
		return nil
	}
	a.owner = nil
	a.SetBytes(nil)
	_ = a.Bytes.Close()
	if protocol.Poisoning {
		for i := range a.json {
			a.json[i] = '#'
		}
	}
	if cap(a.json) > keptAnswer {
		a.json = nil
	}
	p.pool.Put(a)
	return nil
}

// respond turns the frame in cl into the response.
func (c *Client) respond(req *protocol.Request, cl *call, inv *Invocation) (*protocol.Response, error) {
	if s := cl.header.serialization(); s != hessian2 {
		return nil, invalidAnswer(fmt.Errorf("answer in serialization %d, which was not asked for", s))
	}
	if cl.header.status != statusOK {
		return nil, statusError(cl.header.status, readText(cl.body), cl.size)
	}
	kind, rest, err := readKind(cl.body)
	if err != nil {
		return nil, invalidAnswer(err)
	}
	a := c.answers.get()
	switch kind {
	case kindValue:
		a.json, err = appendValue(a.json[:0], rest)
	case kindNull:
		a.json = append(a.json[:0], "null"...)
	default:
		err = readException(rest)
	}
	if err != nil {
		_ = a.Close()
		var e *protocol.Error
		if errors.As(err, &e) {
			return nil, e
		}
		return nil, invalidAnswer(err)
	}
	resp := req.NewResponse()
	if kind == kindNull && inv.void {
		_ = a.Close()
		resp.Status = 204
		return resp, nil
	}
	resp.Status = 200
	resp.Header.AddKnown(protocol.NameContentType, "content-type", "application/json")
	a.SetBytes(a.json)
	resp.Body, resp.ContentLength = a, int64(len(a.json))
	return resp, nil
}

// readKind reads the first value of an answer's body.
func readKind(body []byte) (kind int, rest []byte, err error) {
	if len(body) == 0 {
		return 0, nil, errors.New("empty answer")
	}
	// A one-byte int is 0x80 to 0xbf, with 0x90 for 0.
	kind = int(body[0]) - 0x90
	if kind < kindException || kind > kindNull+kindAttached {
		return 0, nil, fmt.Errorf("answer begins with 0x%02x", body[0])
	}
	return kind % kindAttached, body[1:], nil
}
