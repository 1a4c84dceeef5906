package nacos

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxInFlight bounds the questions in flight on one connection. A slow answer holds one of these places for at most
// Timeouts.Request.
const maxInFlight = 64

// maxAskers bounds the Dubbo instances that are asked for their metadata at once. They have places of their own, so that
// dead ones hold up no service.
const maxAskers = 16

// session is the use of one connection, from its making to its loss.
type session struct {
	client *client
	conn   *conn
	ctx    context.Context //nolint:containedctx // the session's own life: its workers end with it
	end    context.CancelCauseFunc
	since  time.Time
	pool   pool
	askers pool
	closed bool // guarded by client.mu

	spaceChecked atomic.Bool // nothing more will be said about the namespace
}

// run uses the connection until it is lost and everything that used it has ended.
func (s *session) run() {
	var tasks sync.WaitGroup
	tasks.Go(s.receive)
	s.client.connected(s)
	tasks.Go(s.keepAlive)
	tasks.Go(s.keepToken)
	tasks.Go(s.compareConfigs)
	tasks.Go(s.checkNamespace)
	<-s.ctx.Done()
	s.client.disconnected(s)
	s.conn.close()
	tasks.Wait()
	s.pool.wait()
	s.askers.wait()
}

// settled reports whether a server that has just come up has had the time to hear from its providers again.
func (s *session) settled() bool { return s.untilSettled() <= 0 }

func (s *session) untilSettled() time.Duration {
	return s.client.config.Settle - time.Since(s.since)
}

// keepAlive asks for a sign of life and ends the session when there is none.
func (s *session) keepAlive() {
	tick := time.NewTicker(s.client.config.Timeouts.KeepAlive)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			err := s.checkHealth()
			if status.Code(err) == codes.DeadlineExceeded {
				err = s.checkHealth() // a server that is busy is not a dead one
			}
			if err != nil {
				s.end(err)
			}
		}
	}
}

func (s *session) checkHealth() error {
	return s.conn.call(s.ctx, typeHealthCheck, &serverCheck{Module: "internal"}, &answerHead{})
}

// keepToken renews the access token before it expires. A failure leaves the token in use, which the server may still take.
func (s *session) keepToken() {
	a := s.client.auth
	if !a.enabled() {
		return
	}
	fails := 0
	timer := time.NewTimer(a.untilRenewal())
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-timer.C:
		}
		pause := a.untilRenewal() // a refused token may have been replaced meanwhile
		if pause <= 0 {
			_, err := a.renew(s.ctx, a.token())
			if err != nil && s.ctx.Err() == nil {
				fails++
				s.client.opts.Report(s.client.stateNow(), fmt.Errorf("renew token: %w", err))
				pause = backoff(fails, askPause) + renewPause
			} else {
				fails, pause = 0, a.untilRenewal()
			}
		}
		timer.Reset(max(pause, renewPause))
	}
}

// receive reads what the server sends until the connection ends.
func (s *session) receive() {
	for {
		p, err := s.conn.stream.Recv()
		if err != nil {
			s.end(err)
			return
		}
		s.handle(p.GetMetadata().GetType(), p.GetBody().GetValue())
	}
}

// handle takes one request of the server. It never waits for anything but the acknowledgement to be sent.
func (s *session) handle(kind string, body []byte) {
	m, err := decodeMessage(kind, body)
	if err != nil {
		s.client.opts.Report(s.client.stateNow(), err)
		// Acknowledged all the same: sent again it would not be any better.
		m = &serverMessage{RequestID: requestID(body)}
	}
	if err := s.conn.acknowledge(kind, m.RequestID); err != nil {
		s.end(err)
		return
	}
	if err != nil {
		return
	}
	switch kind {
	case typeNotifySubscriber:
		s.client.servicePushed(s, m.ServiceInfo)
	case typeConfigChange:
		s.client.configChanged(s, configKey{m.Group, m.DataID})
	case typeFuzzySync:
		for i := range m.Contexts {
			s.client.listChanged(s, &m.Contexts[i])
		}
	case typeFuzzyChange:
		s.client.listChanged(s, &m.serviceChange)
	case typeConnectReset:
		s.end(resetError(m))
	case typeClientDetection, typeHealthCheck, typeSetupAck:
	default:
		s.client.opts.Logger.Debug("unknown message of Nacos", "type", kind)
	}
}

// resetError says where the server wants us to go, if it does.
func resetError(m *serverMessage) error {
	var port json.Number
	if m.ServerIP == "" || json.Unmarshal(m.ServerPort, &port) != nil {
		return errReset
	}
	return &resetTo{net.JoinHostPort(m.ServerIP, strings.TrimSpace(port.String()))}
}

// requestID reads no more of a message than its id.
func requestID(body []byte) string {
	var m struct {
		RequestID string `json:"requestId"`
	}
	if json.Unmarshal(body, &m) != nil {
		return ""
	}
	return m.RequestID
}
