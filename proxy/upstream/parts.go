package upstream

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// PartSelector says which exact group and version of a Dubbo service a request wants. ok is false for a value that the
// request leaves open.
type PartSelector func(req *protocol.Request) (group string, groupOK bool, version string, versionOK bool)

// NewPartTarget is NewTarget for a Dubbo service that was acquired with "*" as its group or version: sel chooses among the
// groups and versions that the registry knows.
func NewPartTarget(svc *Service, tries Tries, sel PartSelector) *Target {
	return &Target{to: &partResolver{svc, sel}, tries: tries}
}

type partResolver struct {
	svc *Service
	sel PartSelector
}

// resolve takes the part that was asked for. What a request leaves open is filled when only one part fits; among several,
// an empty group and version are preferred, because in Dubbo those are what a caller gets who names none.
func (r *partResolver) resolve(_ context.Context, req *protocol.Request) (*state, error) {
	all := r.svc.state.Load()
	p, err := r.svc.choose(all, r.sel, req)
	if err != nil {
		return nil, err
	}
	return all.parts[p], nil
}

// Part says which exact group and version Serve would use for the request; the transcoder needs it before the pick.
func (t *Target) Part(req *protocol.Request) (group, version string, err error) {
	r, ok := t.to.(*partResolver)
	if !ok {
		return "", "", fmt.Errorf("the target's group and version are fixed")
	}
	p, err := r.svc.choose(r.svc.state.Load(), r.sel, req)
	return p.group, p.version, err
}

func (s *Service) choose(all *state, sel PartSelector, req *protocol.Request) (part, error) {
	group, groupOK, version, versionOK := sel(req)
	if groupOK && versionOK {
		p := part{group, version}
		if all.parts[p] == nil {
			return p, all.noPart(group, version)
		}
		return p, nil
	}
	var found part
	n := 0
	for p := range all.parts {
		if (groupOK && p.group != group) || (versionOK && p.version != version) {
			continue
		}
		n++
		if n == 1 || (p.group == "" && p.version == "") {
			found = p
		}
	}
	switch {
	case n == 0:
		return found, all.noPart(group, version)
	case n > 1 && (found.group != "" || found.version != ""):
		return found, ambiguous(all)
	}
	return found, nil
}

func (s *state) noPart(group, version string) *protocol.Error {
	e := s.noInstance()
	if len(s.parts) > 0 {
		e.Message = fmt.Sprintf("no instance of %s has group %q and version %q", s.service, group, version)
	}
	return e
}

func ambiguous(s *state) *protocol.Error {
	names := make([]string, 0, len(s.parts))
	for p := range s.parts {
		names = append(names, fmt.Sprintf("group %q version %q", p.group, p.version))
	}
	slices.Sort(names)
	return protocol.NewError(400, protocol.CodeBadRequest,
		"the service has several groups or versions; say which by x-dubbo-group and x-dubbo-version: "+strings.Join(names, ", "))
}
