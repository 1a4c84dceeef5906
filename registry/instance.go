package registry

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Instance is one process that serves a service, as its registry describes it. Instances are values: once pushed they
// never change, and Metadata must not be written to.
type Instance struct {
	// Host is an IP address or a DNS name, without brackets.
	Host string
	// Port is 1 to 65535.
	Port int
	// Protocol is what the instance says it speaks ("http", "https", "dubbo", "tri", "grpc"), or "" if it does not say.
	Protocol string
	// Weight is relative to the other instances; 1 is ordinary. 0 means: in the registry but not to be picked.
	Weight float64
	// Disabled is true when the registry says that it is out of service on purpose.
	Disabled bool
	// Unhealthy is true when the registry's own checks fail.
	Unhealthy bool
	// Zone or cluster, if known.
	Zone string
	// Group and Version of a Dubbo instance.
	Group, Version string
	// Path is the Dubbo service path when it differs from the interface.
	Path string
	// Metadata as registered.
	Metadata map[string]string
}

// Address is host:port, with IPv6 hosts in brackets. Together with the service's name it is the instance's identity.
func (i *Instance) Address() string { return net.JoinHostPort(i.Host, strconv.Itoa(i.Port)) }

// Validate refuses what cannot be dialled, so that one bad entry is skipped by name and the rest is used.
func (i *Instance) Validate() error {
	if i.Host == "" {
		return errors.New("no host")
	}
	if strings.ContainsAny(i.Host, " \t\r\n/?#@[]%") || len(i.Host) > 253 {
		return fmt.Errorf("host %q is not a name or an address", clip(i.Host))
	}
	for j := 0; j < len(i.Host); j++ {
		if i.Host[j] < 0x21 || i.Host[j] == 0x7f {
			return fmt.Errorf("host %q holds control characters", clip(i.Host))
		}
	}
	if i.Port < 1 || i.Port > 65535 {
		return fmt.Errorf("port %d is not in 1-65535", i.Port)
	}
	if !(i.Weight >= 0 && i.Weight <= 1e9) {
		return fmt.Errorf("weight %v is not in 0-1e9", i.Weight)
	}
	return nil
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

// Skipped is an entry that a registry holds but that cannot be used.
type Skipped struct {
	// Entry names it, as the registry does: a node, an instance id.
	Entry string
	// Reason is a short phrase.
	Reason string
}

// Snapshot is the complete state of one service at one moment. An empty one says: the registry answered, and there is no
// instance. A failure is never a Snapshot.
type Snapshot struct {
	Service   ServiceName
	Instances []Instance
	// Skipped holds at most MaxSkipped entries; SkippedCount counts all.
	Skipped      []Skipped
	SkippedCount int
}

// MaxSkipped bounds what a Snapshot remembers of bad entries; a registry full of garbage must not fill our memory.
const MaxSkipped = 20

// Add appends a valid instance, or notes why it was skipped.
func (s *Snapshot) Add(entry string, i Instance) {
	// "localhost." is how some providers register a host that must not be replaced by an address. Go's resolver looks a
	// single label up in the hosts file only without the final dot, where Java's takes both.
	if label, ok := strings.CutSuffix(i.Host, "."); ok && !strings.Contains(label, ".") {
		i.Host = label
	}
	if err := i.Validate(); err != nil {
		s.Skip(entry, err.Error())
		return
	}
	s.Instances = append(s.Instances, i)
}

// Skip notes an entry that cannot be used.
func (s *Snapshot) Skip(entry, reason string) {
	s.SkippedCount++
	if len(s.Skipped) < MaxSkipped {
		s.Skipped = append(s.Skipped, Skipped{Entry: clip(entry), Reason: reason})
	}
}

// ServiceSet is the full list of a registry's services at one moment.
type ServiceSet struct {
	Services []ServiceName
}
