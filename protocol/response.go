package protocol

// Response is the answer to a Request. Whoever holds it must Close it, exactly once.
type Response struct {
	// Status is 200 to 599, or 101 when Upgrade is true. Interim answers go to Request.Informer.
	Status int
	// Header holds all fields but hop-by-hop ones and Content-Length.
	Header Header
	// Trailer is set when the body's last piece was handed over.
	Trailer Header
	// Body is nil when there is none.
	Body Body
	// ContentLength in bytes, or UnknownLength. For answers without content (HEAD, 304) it may state the size that a GET
	// would have had, with a nil Body; UnknownLength then means the field is not sent.
	ContentLength int64
	// Upgrade is true when the connection now speaks the protocol that Request.Upgrade named: Body then is the duplex
	// partner of Request.Body.
	Upgrade bool

	req       *Request
	err       error
	open      bool
	finishers []Finisher
}

// OnClose registers f to run at Close. The last registered runs first, like defer.
func (r *Response) OnClose(f Finisher) { r.finishers = append(r.finishers, f) }

// Fail records why the answer did not reach its reader whole. The first reason stays.
func (r *Response) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// Err is the reason recorded by Fail.
func (r *Response) Err() error { return r.err }

// Close is the one end of an exchange: it closes the body, which gives the upstream's connection back or shuts it and
// waits until whoever still reads the request's body has stopped, and then runs the finishers. After it nothing of the
// exchange may be touched. A second Close does nothing.
func (r *Response) Close() error {
	if !r.open {
		return nil
	}
	r.open = false
	var err error
	if r.Body != nil {
		err = r.Body.Close()
	}
	for i := len(r.finishers) - 1; i >= 0; i-- {
		r.finishers[i].Finish(r.req, r, r.err)
	}
	return err
}

func (r *Response) reset() {
	header, trailer, finishers := r.Header, r.Trailer, r.finishers
	header.Reset()
	trailer.Reset()
	clear(finishers)
	*r = Response{Header: header, Trailer: trailer, finishers: finishers[:0]}
}
