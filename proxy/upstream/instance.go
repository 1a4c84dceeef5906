package upstream

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
	"github.com/sluice-gateway/sluice/proxy/health"
	"github.com/sluice-gateway/sluice/proxy/outlier"
)

// instance is one endpoint of a service, and how it is reached. It is its own finisher.
type instance struct {
	endpoint  *discovery.Endpoint
	service   *Service
	connector *connector
	load      *balance.Load
	joined    int64             // when the registry told of it, in protocol.Now's time; 0: it was there before
	outlier   *outlier.Instance // nil when nobody judges it
	checked   *health.Target    // nil when nobody checks it
}

// errLeft is for a request that met an instance in the moment it left.
func (i *instance) errLeft() *protocol.Error {
	return &protocol.Error{
		Status: 503, Code: protocol.CodeUpstreamConnect, Message: i.endpoint.ID + " has left " + i.service.name, NotSent: true,
	}
}

// serve sends the request and keeps the instance's books. start is the present. Where the service has limits the request's
// place was reserved.
func (i *instance) serve(ctx context.Context, req *protocol.Request, start int64) (*protocol.Response, error) {
	reserved := i.service.limits != nil
	req.Record.Service, req.Record.Instance = i.service.name, i.endpoint.ID
	req.Record.Attempts++
	client := i.connector.client(i.endpoint, i.load)
	if client == nil {
		if reserved {
			i.service.limits.release(i)
		}
		return nil, i.errLeft()
	}
	if reserved {
		i.load.Sent()
	} else {
		i.load.Begin()
	}
	if appeared, first := i.load.First(); first {
		i.service.discovered.Observe(time.Duration(start - appeared).Seconds())
	}
	trial := i.outlier != nil && i.service.detector.Begin(i.outlier, start)
	i.load.Wait(start)
	handedOver, waiting := false, true
	defer func() {
		// Also when the client panics: a count that never comes back would shun the instance for ever.
		if waiting {
			i.load.Answered(protocol.Now())
		}
		if !handedOver {
			i.end()
		}
	}()
	resp, err := client.Serve(ctx, req)
	now := protocol.Now()
	i.load.Answered(now)
	waiting = false
	req.Record.UpstreamNanos = now - start
	if err != nil {
		i.judge(now, now-start, err)
		if i.outlier != nil {
			i.failed(now, err, trial)
		}
		return nil, err
	}
	if i.outlier != nil {
		i.answered(now, now-start, resp.Status, trial)
	}
	busy := resp.Status == 429 || resp.Status == 503
	if reserved && i.service.limits.rule.Adaptive {
		i.load.Adapt(now, now-start, i.load.InFlight(), busy)
	}
	if busy || failing(resp.Status) {
		i.load.Fail(now, now-start, retryAfter(resp))
	} else {
		i.load.Observe(now, now-start)
	}
	if i.service.reports {
		i.report(now, &resp.Header)
	}
	resp.OnClose(i)
	handedOver = true
	return resp, nil
}

// failing reports whether an answer says that the instance cannot do its work. It costs the instance as much as no answer:
// errors are made quickly, and a quick instance attracts requests.
func failing(status int) bool {
	return status >= 500 && status != 501 && status != 505 // these two are about the request
}

// Finish implements protocol.Finisher.
func (i *instance) Finish(_ *protocol.Request, resp *protocol.Response, err error) {
	if err != nil && instancesFault(err) {
		i.load.Fail(protocol.Now(), 0, 0)
	}
	if i.outlier != nil {
		i.finished(resp.Status, err)
	}
	if i.service.reports && resp.Trailer.Len() > 0 {
		i.report(protocol.Now(), &resp.Trailer)
	}
	i.end()
}

// end gives the request's place back.
func (i *instance) end() {
	if l := i.service.limits; l != nil {
		l.release(i)
		return
	}
	i.load.End()
}

func (i *instance) judge(now, latency int64, err error) {
	if instancesFault(err) {
		i.load.Fail(now, latency, 0)
		if l := i.service.limits; l != nil && l.rule.Adaptive {
			i.load.Adapt(now, latency, i.load.InFlight(), true)
		}
		return
	}
	var e *protocol.Error
	if errors.As(err, &e) && e.Code == protocol.CodeUpstreamException {
		i.load.Observe(now, latency) // it answered, and promptly or not
	}
}

// instancesFault reports whether err says something about the instance, and not about the client or the request.
func instancesFault(err error) bool {
	var e *protocol.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case protocol.CodeUpstreamConnect, protocol.CodeUpstreamReset, protocol.CodeUpstreamProtocol,
		protocol.CodeUpstreamTimeout, protocol.CodeUpstreamBusy:
		return true
	}
	return false
}

// retryAfter reads the field's form in seconds, in nanoseconds (RFC 9110 section 10.2.3). The form of a date is not worth
// a parser here: it makes the failure cost its ordinary price.
func retryAfter(resp *protocol.Response) int64 {
	seconds, err := strconv.ParseUint(resp.Header.Value(protocol.NameRetryAfter), 10, 16)
	if err != nil {
		return 0
	}
	return int64(seconds) * int64(time.Second)
}
