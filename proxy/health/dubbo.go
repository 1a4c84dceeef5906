package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// maxDubbo bounds what is read of a provider.
const maxDubbo = 16 << 10

// dubboProbe sends a heartbeat, or calls $echo, which Dubbo's EchoFilter answers for every service.
type dubboProbe struct {
	rule *Rule
	echo bool
	dial dialer
}

const question = 1 // its number

// probe implements prober.
func (p *dubboProbe) probe(ctx context.Context, s *Subject) error {
	conn, err := p.dial(ctx, "tcp", p.rule.address(s))
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := p.ask(conn, s); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	return nil
}

func (p *dubboProbe) ask(conn net.Conn, s *Subject) error {
	out := frame.AppendHeartbeat(nil, question)
	if p.echo {
		out = appendEcho(nil, s)
	}
	if _, err := conn.Write(out); err != nil {
		return err
	}
	frames := frame.NewReader(io.LimitReader(conn, maxDubbo), maxDubbo/2)
	for {
		f, err := frames.Next()
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		switch {
		case f.IsEvent() && f.IsRequest():
			// A provider that says goodbye answers on, for a while; who asks for health does not want to be served any more.
			if string(f.Body) == frame.ReadOnly {
				return errors.New("the provider says that it is stopping")
			}
		case f.ID != question || f.IsRequest():
		case f.Status != frame.StatusOK:
			return fmt.Errorf("answered status %d: %s", f.Status, text(f.Body))
		case p.echo:
			return echoed(f)
		default:
			return nil
		}
	}
}

// appendEcho is a call of $echo, which takes and returns an object.
func appendEcho(dst []byte, s *Subject) []byte {
	start := len(dst)
	path := cmp.Or(s.Path, s.Interface)
	dst = frame.AppendHeader(dst, frame.Request|frame.TwoWay|frame.Hessian2, 0, question)
	for _, text := range []string{frame.Version, path, s.Version, "$echo", "Ljava/lang/Object;", "OK"} {
		dst = hessian.AppendString(dst, text)
	}
	dst = append(dst, 'H') // a map without a type
	for _, attachment := range [][2]string{{"path", path}, {"interface", s.Interface}, {"group", s.Group}, {"version", s.Version}} {
		if attachment[1] != "" {
			dst = hessian.AppendString(dst, attachment[0])
			dst = hessian.AppendString(dst, attachment[1])
		}
	}
	dst = append(dst, 'Z')
	frame.SetLength(dst[start:])
	return dst
}

// echoed checks the answer to $echo: a value, with or without attachments.
func echoed(f frame.Frame) error {
	var d hessian.Decoder
	d.Reset(f.Body, hessian.Options{})
	kind, err := d.Int()
	if err != nil || f.TooLong {
		return errors.New("the answer to $echo makes no sense")
	}
	switch kind {
	case frame.Value, frame.Value + frame.Attached, frame.Null, frame.Null + frame.Attached:
		return nil
	case frame.Exception, frame.Exception + frame.Attached:
		if e, err := d.Exception(); err == nil {
			return fmt.Errorf("$echo threw %s: %s", e.Class, e.Message)
		}
		return errors.New("$echo threw an exception")
	}
	return fmt.Errorf("the answer to $echo is of kind %d", kind)
}

// text is the one string of an answer with a status.
func text(body []byte) string {
	var d hessian.Decoder
	d.Reset(body, hessian.Options{})
	out, _, err := d.AppendText(nil)
	if err != nil {
		return "without a reason that can be read"
	}
	return string(out)
}
