package testbed

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// ConsulCluster is several Consul servers that elect a leader. They keep their data.
type ConsulCluster struct{ Nodes []*Consul }

// StartConsulCluster starts three servers for this test and returns when each of them knows the leader.
func StartConsulCluster(tb testing.TB, opts ...Option) *ConsulCluster {
	tb.Helper()
	o := collect(opts).consul
	cluster := &ConsulCluster{}
	var joins []string
	for n := range 3 {
		c, err := layConsul(tb.Context(), "bed"+strconv.Itoa(n+1), o)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(c.close)
		c.LogOnFailure(tb)
		cluster.Nodes = append(cluster.Nodes, c)
		joins = append(joins, loopback(c.ports.Port(3)))
	}
	starts := errgroup.Group{}
	for _, c := range cluster.Nodes {
		if err := c.prepare(joins); err != nil {
			tb.Fatal(err)
		}
		starts.Go(func() error { return c.launch(tb.Context()) })
	}
	if err := starts.Wait(); err != nil {
		tb.Fatal(err)
	}
	return cluster
}

// Leader is the server that the given one takes for the leader.
func (c *ConsulCluster) Leader(ctx context.Context, asked *Consul) (*Consul, error) {
	text, err := asked.Get(ctx, "/v1/status/leader")
	if err != nil {
		return nil, err
	}
	for _, n := range c.Nodes {
		if strings.Contains(text, strconv.Quote(loopback(n.ports.Port(4)))) {
			return n, nil
		}
	}
	return nil, fmt.Errorf("find the leader: %s is none of the servers", text)
}
