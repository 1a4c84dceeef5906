package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/sluice-gateway/sluice/bench/account"
	"github.com/sluice-gateway/sluice/bench/peer"
)

// idleConnections is how many connections are opened at a time, twice. HAProxy allows 9,500 by 20,000 descriptors.
const idleConnections = 4000

// idlePause is how long they are left alone before memory is read.
func (o *options) idlePause() time.Duration {
	if o.short {
		return 3 * time.Second
	}
	return 8 * time.Second
}

// idle measures what a process takes that does nothing, and what each idle keep-alive connection adds.
func idle(ctx context.Context, b *benchmark) error {
	var rows [][]string
	for _, p := range b.idlePrograms() {
		row, err := b.idleOf(ctx, p)
		if err != nil {
			return err
		}
		b.say("  %v", row)
		rows = append(rows, row)
	}
	b.report.section("Idle", []string{"", "RSS after start, MB", fmt.Sprintf("with %d idle connections, MB", 2*idleConnections),
		"KB per connection, all", fmt.Sprintf("KB per connection, second %d", idleConnections)}, rows,
		fmt.Sprintf("Every connection has had one answer and then rested for %v. ", b.idlePause())+"The second half tells what a connection takes; the first "+
			"also pays for what opening thousands of them at once leaves in a heap or in a pool. RSS is the proportional share (Pss).")
	return nil
}

// idlePrograms are all peers, and Sluice with one route beside the one with all of them.
func (b *benchmark) idlePrograms() []program {
	out := append([]program(nil), b.found...)
	for i, p := range out {
		if p.Name == "sluice" {
			few := program{peer.Sluice(b.sluice, 1), p.path}
			few.Name = "sluice, one route"
			out[i].Name = fmt.Sprintf("sluice, %d routes", b.routes)
			out = append(out, few)
		}
	}
	return out
}

func (b *benchmark) idleOf(ctx context.Context, p program) ([]string, error) {
	running, _, err := b.start(ctx, p)
	if err != nil {
		return nil, err
	}
	defer running.Stop()
	var open crowd
	defer open.close()
	var rss [3]int64
	for i := range rss {
		if i > 0 {
			if err := open.grow(ctx, running, idleConnections); err != nil {
				return nil, fmt.Errorf("open idle connections to %s: %w", p.Name, err)
			}
		}
		if err := wait(ctx, b.idlePause()); err != nil {
			return nil, err
		}
		g, err := account.Of(running.Pid)
		if err != nil {
			return nil, err
		}
		rss[i] = g.RSS
	}
	perConnection := func(bytes int64, n int) string { return fmt.Sprintf("%.1f", float64(bytes)/1024/float64(n)) }
	return []string{
		p.Name, megabytes(rss[0]), megabytes(rss[2]),
		perConnection(rss[2]-rss[0], 2*idleConnections), perConnection(rss[2]-rss[1], idleConnections),
	}, nil
}

// crowd is a number of connections that have been used once.
type crowd struct {
	conns []net.Conn
	read  *bufio.Reader
}

func (c *crowd) grow(ctx context.Context, p *peer.Peer, n int) error {
	request := []byte("GET " + paths("/items/42")[0] + " HTTP/1.1\r\nHost: bench\r\n\r\n")
	if c.read == nil {
		c.read = bufio.NewReaderSize(nil, 8<<10)
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	for range n {
		conn, err := dialer.DialContext(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", p.Port))
		if err != nil {
			return err
		}
		c.conns = append(c.conns, conn)
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		if _, err := conn.Write(request); err != nil {
			return err
		}
		c.read.Reset(conn)
		resp, err := http.ReadResponse(c.read, nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *crowd) close() {
	for _, conn := range c.conns {
		conn.Close()
	}
}
